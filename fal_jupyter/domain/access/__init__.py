"""Rules of access: keys, other origins, lifetimes of files."""
