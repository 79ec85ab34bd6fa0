"""The room where user code lives: template (warm fork source), guard, channel, host, endpoints, capture."""
