"""Jobs on the whole graph, run by Spark."""

DEFAULT_RADIUS_ARCSEC = 1.0
"""Largest separation of two objects that may be one source [arcsec]: several sigma of either survey's
astrometry."""
MAX_RADIUS_ARCSEC = 60.0
"""Beyond this [arcsec], being near says nothing about being the same."""
