"""The user's files that an app uses: its source, imported modules, and ``app_files``."""
