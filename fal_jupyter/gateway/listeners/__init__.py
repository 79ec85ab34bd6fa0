"""Where requests come in: the Unix socket, the loopback port and the TLS port, and which handlers get a request."""
