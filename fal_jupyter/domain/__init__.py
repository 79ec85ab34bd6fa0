"""Pure decision logic: no clock, file, socket, thread, log, environment or unseeded randomness."""
