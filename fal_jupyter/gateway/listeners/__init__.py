"""The listeners: the Unix socket, the loopback port and the TLS port, and the routing of requests to handlers."""
