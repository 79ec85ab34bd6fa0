"""The parts of one HTTP/1.1 connection, which :mod:`fal_jupyter.gateway.http.server` composes."""
