"""The engine: what happened goes to the fleet as events, and the commands that come back are carried out."""
