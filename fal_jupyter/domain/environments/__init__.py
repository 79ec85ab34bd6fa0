"""What a runner's process needs from the start: packages, variables, folders."""
