"""Decides how many runners an app should have, and explains why."""
