"""Access rules: keys, cross-origin requests, lifetimes of files."""
