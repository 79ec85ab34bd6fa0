"""Ground floor: the decisions. No clock, file, socket, thread, log, environment or unseeded chance."""
