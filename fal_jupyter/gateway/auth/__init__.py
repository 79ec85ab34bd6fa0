"""Authentication and authorization: leases of owners, API keys, access tokens."""
