"""Arguments of calls: where each parameter goes, binding, and the request that comes out."""
