"""The process around user code: limits, folders, children, event loop."""
