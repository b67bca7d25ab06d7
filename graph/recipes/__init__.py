"""Questions analysts ask, as named statements with parameters: one TOML file each, beside the code that runs them."""
