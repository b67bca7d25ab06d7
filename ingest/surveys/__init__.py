"""Declarative field maps: a survey is data, not code."""
