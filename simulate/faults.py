"""Ways a packet can arrive broken, each on purpose.

A cut packet is cut inside its new detection (or before): the part a reader needs first. Behind it lie only
history and images, whose loss a reader of the detection alone does not see.
"""

from __future__ import annotations

import struct
from enum import StrEnum

import numpy as np

from asterism.simulate.schema_lsst import LSST_SCHEMA_ID
from asterism.simulate.schema_ztf import CONTAINER_HEADER

UNKNOWN_SCHEMA_ID = 999_999
"""A schema id no registry knows."""

_LONGEST_CUT = {"ztf": len(CONTAINER_HEADER) + 200, "lsst": 200}


class Fault(StrEnum):
    """What is wrong with a packet."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    WRONG_MAGIC = "wrong_magic"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"


FAULTS = {
    "ztf": (Fault.EMPTY, Fault.TRUNCATED, Fault.WRONG_MAGIC),
    "lsst": (Fault.EMPTY, Fault.TRUNCATED, Fault.WRONG_MAGIC, Fault.UNKNOWN_SCHEMA_ID),
}
"""Faults that can befall a packet of each survey; a ZTF packet brings its schema and has no id."""


def corrupt(payload: bytes, survey: str, fault: Fault, rng: np.random.Generator) -> bytes:
    """Return a broken copy of a packet."""
    match fault:
        case Fault.EMPTY:
            return b""
        case Fault.TRUNCATED:
            return payload[: int(rng.integers(6, _LONGEST_CUT[survey]))]
        case Fault.WRONG_MAGIC:
            return b"\x7fELF" + payload[4:]
        case Fault.UNKNOWN_SCHEMA_ID:
            known = struct.pack(">I", LSST_SCHEMA_ID)
            return payload.replace(known, struct.pack(">I", UNKNOWN_SCHEMA_ID), 1)
