"""Runner processes: starting, communication and termination."""
