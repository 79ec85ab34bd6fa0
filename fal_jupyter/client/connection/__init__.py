"""The connection to the gateway: leases, start-up, the control plane, answers as they come."""
