"""Cards and panels, live and saved."""
