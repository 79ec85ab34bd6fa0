"""What is shown of the calls of a cell: timings, progress, pictures."""
