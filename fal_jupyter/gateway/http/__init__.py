"""HTTP/1.1 on sockets: server, TLS port, cross-origin rules, and the bridge to Tornado handlers."""
