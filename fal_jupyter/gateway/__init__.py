"""The gateway process: HTTP servers and handlers, and the engine that executes the decisions of ``domain.fleet``."""
