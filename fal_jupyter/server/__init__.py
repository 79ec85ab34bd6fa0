"""The Jupyter server extension: exposes the user's gateway behind Jupyter's login, to programs, pages and panels."""
