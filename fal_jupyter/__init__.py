"""fal_jupyter."""
