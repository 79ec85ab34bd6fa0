"""The engine: reports events to the fleet, and executes the resulting commands."""
