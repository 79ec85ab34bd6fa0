"""Runner processes, in which user code runs: template (warm fork source), guard, channel, lifecycle, endpoints, capture."""
