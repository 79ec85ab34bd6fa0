"""What the timeline of an app draws: its runners' states and its counts over time."""
