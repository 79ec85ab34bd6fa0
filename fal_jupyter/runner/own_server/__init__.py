"""Functions that run their own server (``exposed_port``)."""
