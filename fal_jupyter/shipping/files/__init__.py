"""Files of the user's that an app uses: its source, modules that it imports, files that go with it."""
