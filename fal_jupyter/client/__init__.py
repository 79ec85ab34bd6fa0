"""The client: finds or starts the gateway, holds the lease, publishes apps and calls them. It displays nothing."""
