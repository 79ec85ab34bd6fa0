"""The protocol between our processes: frames, paths, headers and fields."""
