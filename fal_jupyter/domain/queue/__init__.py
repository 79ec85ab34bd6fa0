"""Queued requests: their states, retries, memory and webhooks."""
