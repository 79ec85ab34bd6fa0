"""What a runner's process needs at its start: packages, variables, folders."""
