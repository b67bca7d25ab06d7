"""Jobs over the whole graph through one `GraphEngine` protocol."""
