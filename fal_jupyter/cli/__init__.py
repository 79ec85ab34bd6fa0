"""The command line, and the grammar and verbs that the magics share with it."""
