"""Tornado handlers: the control plane, the panels, and the public routes beside the data plane."""
