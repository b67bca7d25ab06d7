"""Missions as data: one TOML table a mission says how its notices are recognised and what their numbers
mean."""
