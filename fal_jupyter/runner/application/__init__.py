"""The live instance as an ASGI application: routes, parameters, errors, realtime."""
