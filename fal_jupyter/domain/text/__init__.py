"""Rules about text: near misses, terminals, JSON, how much may be printed."""
