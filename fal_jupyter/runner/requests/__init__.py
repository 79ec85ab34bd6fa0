"""Frames of requests in and out, and the WebSocket streams among them."""
