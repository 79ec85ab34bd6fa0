"""The user's cells and names: which cell defined what, which classes are apps, which name was meant."""
