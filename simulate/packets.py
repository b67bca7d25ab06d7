"""Alert packets as the surveys publish them, of real size, for tests, benchmarks and the demo.

>>> source_id = 3_246_300_000_115_000_001
>>> first = SimulatedDetection("ZTF25aaaaaab", source_id, 150.1, 2.2, 61000.3, "r", 2.5e4, 1.2e3)
>>> packet = ztf_packet(first)
>>> packet[:4]
b'Obj\\x01'
"""

from __future__ import annotations

from asterism.simulate.measurement import ForcedFlux, History, SimulatedDetection, UpperLimit
from asterism.simulate.packets_lsst import lsst_packet
from asterism.simulate.packets_ztf import ztf_packet
from asterism.simulate.schema_lsst import LSST_SCHEMA, LSST_SCHEMA_ID, write_schemas

__all__ = [
    "LSST_SCHEMA",
    "LSST_SCHEMA_ID",
    "ForcedFlux",
    "History",
    "SimulatedDetection",
    "UpperLimit",
    "lsst_packet",
    "write_schemas",
    "ztf_packet",
]
