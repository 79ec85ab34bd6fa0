"""A runner in the fleet: its states, health and liveness."""
