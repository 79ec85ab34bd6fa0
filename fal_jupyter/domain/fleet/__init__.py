"""The fleet: events in, commands out."""
