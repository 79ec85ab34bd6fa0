"""The queue: requests that are answered asynchronously, and the delivery of their results."""
