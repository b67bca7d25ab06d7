"""B1, decoding: packet bytes to detection records, against what other brokers do with the same packets.

Baseline for ZTF: fastavro's container reader for each packet, giving the whole alert as a dictionary (the
route of Kowalski, ALeRCE, AMPEL and Fink). For LSST: fastavro's schemaless reader with the schema parsed
once, likewise the whole alert. Ours, known path: `Decoder.decode` in batches of 250, giving the Arrow table
with all conversions, keys and the sky index included. Ours, full path: `Decoder.decode_full`, the same
dictionary as the baseline. The work is not the same by intent: the known path leaves history and cutouts
unread, which is its point.
"""

from __future__ import annotations

import io
import random
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.simulate.packets import (
    LSST_SCHEMA,
    LSST_SCHEMA_ID,
    ForcedFlux,
    History,
    SimulatedDetection,
    UpperLimit,
    lsst_packet,
    write_schemas,
    ztf_packet,
)
from benchmarks.harness import Bench

BATCH = 250
UNIT = "alerts/cpu-s"
LSST_PARSED = fastavro.parse_schema(LSST_SCHEMA)


def ztf_packets(count: int) -> list[bytes]:
    """Packets of schema 4.02 with 8 earlier detections, 13 limits and 10 forced fluxes."""
    rng = random.Random(1)
    return [ztf_packet(_detection(rng, n, "gri"), _history(rng, n, "gri", 8, 13, 10)) for n in range(count)]


def lsst_packets(count: int, sources: int, forced: int) -> list[bytes]:
    """Framed messages with a given number of earlier and of forced sources."""
    rng = random.Random(2)
    return [
        lsst_packet(_detection(rng, n, "ugrizy"), _history(rng, n, "ugrizy", sources, 0, forced)) for n in range(count)
    ]


def _detection(rng: random.Random, number: int, bands: str, age: float = 0.0) -> SimulatedDetection:
    object_id = str(2**60 + number) if "u" in bands else f"ZTF25{number:07d}"
    source_id = 2**61 + 1000 * number + int(10 * age)
    flux = rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(2.5, 5.0)
    return SimulatedDetection(
        object_id,
        source_id,
        rng.uniform(0.0, 360.0),
        rng.uniform(-60.0, 60.0),
        61000.3 - age,
        rng.choice(bands),
        flux,
        120.0,
    )


def _history(rng: random.Random, number: int, bands: str, sources: int, limits: int, forced: int) -> History:
    return History(
        tuple(_detection(rng, number, bands, 1.0 + age) for age in range(sources)),
        tuple(UpperLimit(60990.0 - age, rng.choice(bands), rng.uniform(19.0, 21.0)) for age in range(limits)),
        tuple(ForcedFlux(60990.0 - age, rng.choice(bands), rng.gauss(0.0, 300.0), 150.0) for age in range(forced)),
    )


def known(decoder: Decoder, packets: Sequence[bytes]) -> list[dict[str, Any]]:
    """Decode to detection records and return them as rows, for the comparison before timing."""
    return [row for table in _tables(decoder, packets) for row in table.to_pylist()]


def _tables(decoder: Decoder, packets: Sequence[bytes]) -> list[Any]:
    tables = []
    for start in range(0, len(packets), BATCH):
        batch = packets[start : start + BATCH]
        decoded = decoder.decode(batch, [Position("b1", 0, start + n, 1) for n in range(len(batch))])
        if decoded.dead_letters.num_rows:
            raise RuntimeError(f"refused: {decoded.dead_letters['message'][0]}")
        tables.append(decoded.detections)
    return tables


def full(decoder: Decoder, packets: Sequence[bytes]) -> None:
    """Decode whole packets, one at a time and none kept, as the baselines do."""
    for packet in packets:
        decoder.decode_full(packet)


def container_reader(packet: bytes) -> Any:
    """The baseline for ZTF."""
    return next(iter(fastavro.reader(io.BytesIO(packet))))


def schemaless_reader(packet: bytes) -> Any:
    """The baseline for LSST."""
    return fastavro.schemaless_reader(io.BytesIO(packet[5:]), LSST_PARSED, None)


def each(reader: Any, packets: Sequence[bytes]) -> None:
    """Read packet after packet, none kept."""
    for packet in packets:
        reader(packet)


def check(decoder: Decoder, packets: Sequence[bytes], reader: Any) -> None:
    """Show that both routes read the same from every packet, as far as no conversion lies between."""
    for packet, row in zip(packets, known(decoder, packets), strict=True):
        alert = reader(packet)
        if "candidate" in alert:
            new = alert["candidate"]
            pairs = [
                (row["sourceId"], str(alert["candid"])),
                (row["objectId"], alert["objectId"]),
                (row["mag"], new["magpsf"]),
            ]
        else:
            new = alert["diaSource"]
            pairs = [(row["sourceId"], str(new["diaSourceId"])), (row["objectId"], str(new["diaObjectId"]))]
            pairs += [(row["flux"], new["psfFlux"]), (row["mjdTai"], new["midpointMjdTai"])]
        pairs += [(row["ra"], new["ra"]), (row["dec"], new["dec"])]
        if any(ours != theirs for ours, theirs in pairs):
            raise RuntimeError(f"the routes differ: {pairs}")
        if repr(decoder.decode_full(packet)) != repr(alert):
            raise RuntimeError(f"the full decodes of {row['alertKey']} differ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    bench = Bench("B1", arguments)
    with TemporaryDirectory() as folder:
        write_schemas(Path(folder))
        source = SchemaSource(folder=Path(folder))
        source.text(LSST_SCHEMA_ID)  # kept by the source from here on
    decoder = Decoder(source)
    packets = ztf_packets(bench.size(2000))
    _describe(bench, "ztf", packets)
    check(decoder, packets, container_reader)
    baseline = partial(each, container_reader, packets)
    bench.compare("ztf_known", len(packets), UNIT, partial(_tables, decoder, packets), baseline)
    bench.compare("ztf_full", len(packets), UNIT, partial(full, decoder, packets), baseline)
    for sources, forced in ((0, 0), (20, 60), (100, 200)):
        name = f"lsst_{sources}_{forced}"
        packets = lsst_packets(bench.size(500), sources, forced)
        _describe(bench, name, packets)
        check(decoder, packets, schemaless_reader)
        baseline = partial(each, schemaless_reader, packets)
        bench.compare(f"{name}_known", len(packets), UNIT, partial(_tables, decoder, packets), baseline)
    bench.compare(f"{name}_full", len(packets), UNIT, partial(full, decoder, packets), baseline)
    return bench.finish()


def _describe(bench: Bench, name: str, packets: Sequence[bytes]) -> None:
    bench.facts[name] = {"packets": len(packets), "median_bytes": int(statistics.median(map(len, packets)))}


if __name__ == "__main__":
    sys.exit(main())
