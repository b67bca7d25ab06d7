"""Seeded packets and nights with known truth."""
