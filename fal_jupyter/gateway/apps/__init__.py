"""Deployed apps: payloads and revisions, publishing, scaling and stopping."""
