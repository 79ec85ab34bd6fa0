"""How many runners an app should have now, and the sentence that says why."""
