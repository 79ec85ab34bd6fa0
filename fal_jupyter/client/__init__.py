"""The client room: finds or starts the gateway, holds the lease, publishes apps, calls them. It displays nothing."""
