"""What a cell does: define, publish, look up and explain apps."""
