"""Rules about text: spelling suggestions, terminals, JSON, output limits."""
