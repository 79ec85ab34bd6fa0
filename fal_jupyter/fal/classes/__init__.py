"""The rules of an app class: its options, endpoints and routes, and what it is from outside."""
