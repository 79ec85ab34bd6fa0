"""The gateway room: engine (does), run_api and admin_api (talk); what to do is decided in ``domain.fleet``."""
