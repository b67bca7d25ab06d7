"""Admission: no batch begins that the disk may not hold.

A full disk in mid-batch loses nothing (the batch runs again), but Kafka, Neo4j and everybody else on the disk suffer
with it. So a batch is refused while less than ``min_free_gib`` is free below the home: packets wait in Kafka, the query
tries again by itself and goes on when there is room. How much a batch may take is ``max_packets_per_batch``.
"""

from __future__ import annotations

import shutil

from asterism.ingest.errors import DiskLowError
from asterism.settings import Settings


def admit(settings: Settings) -> None:
    """Let a batch begin, or not.

    Raises
    ------
    DiskLowError
        If less than ``min_free_gib`` is free on the disk of ``home``.
    """
    free = shutil.disk_usage(settings.home).free / 2**30
    if free < settings.min_free_gib:
        raise DiskLowError(f"{free:.2f} GiB are free below {settings.home}, wanted {settings.min_free_gib:g} GiB")
