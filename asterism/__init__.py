"""Asterism: a graph of alerts, objects and multi-messenger events.

This package is the kernel: what every part needs and nothing that needs a part. The parts (``asterism.ingest``,
``asterism.graph``, ...) live in folders of the same name at the top of the repository.
"""

__version__ = "0.1.0"
