"""Who may do what: leases of owners, API keys, access tokens."""
