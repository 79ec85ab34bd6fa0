"""Functions that run a server of their own (``exposed_port``)."""
