"""The Jupyter server extension: the user's gateway behind Jupyter's login, for programs, pages and panels."""
