"""The queue: requests that are submitted now and answered later, and the delivery of their results."""
