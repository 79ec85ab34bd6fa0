"""One runner as the fleet sees it: its states, its health, its liveness."""
