"""Calls of endpoints: arguments, answers, streams, queued requests, realtime sessions."""
