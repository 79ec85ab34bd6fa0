"""The machine's hardware (cores, memory, GPUs), its allocation and its usage."""
