"""Captures what user code prints and displays."""
