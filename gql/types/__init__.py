"""What the API shows: one module per type. Names, units and time scales are those of `asterism.records`."""
