"""Data of an app's timeline: its runners' states and its counts over time."""
