"""What this machine has (cores, memory, GPUs), who holds it, and how much of it is in use."""
