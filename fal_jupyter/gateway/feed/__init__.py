"""The feed of the panels: state, timelines, and who receives them."""
