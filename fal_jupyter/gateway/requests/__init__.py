"""Requests on their way between a caller and a runner."""
