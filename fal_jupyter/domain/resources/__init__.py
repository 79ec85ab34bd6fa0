"""Machine types, and which runner holds which device."""
