"""The app's instance as an ASGI application: routes, parameters, errors, realtime."""
