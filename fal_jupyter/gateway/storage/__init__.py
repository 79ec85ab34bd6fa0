"""Data on disk: the state directory with its lock, the database, files and logs."""
