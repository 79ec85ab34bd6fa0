"""One request as the fleet sees it: waiting, dispatched, cancelled."""
