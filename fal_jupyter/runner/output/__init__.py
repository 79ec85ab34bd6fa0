"""What user code prints and displays."""
