"""Ground floor: the bytes. How frames look, and the one list of paths, headers and fields."""
