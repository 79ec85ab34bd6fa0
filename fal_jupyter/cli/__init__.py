"""The command line ``fal-jupyter``."""
