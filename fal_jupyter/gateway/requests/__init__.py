"""Requests between a caller and a runner."""
