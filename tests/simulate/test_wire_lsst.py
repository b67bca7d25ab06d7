"""LSST packets written with schemas found at run time decode to the detections of our own declaration."""

from __future__ import annotations

import copy
import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from click.testing import CliRunner
from fastavro.validation import validate
from typing_extensions import override

from asterism.ingest.decode import Decoder
from asterism.ingest.errors import RegistryUnreachableError, SchemaUnknownError
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.simulate import wire_lsst
from asterism.simulate.commands import simulate
from asterism.simulate.errors import SchemaPackageError, SchemaUnusableError
from asterism.simulate.night import AlertMessage, build_night
from asterism.simulate.packets import LSST_SCHEMA, LSST_SCHEMA_ID, write_schemas
from asterism.simulate.schema_lsst import DIA_SOURCE
from asterism.simulate.wire_lsst import OWN_WIRE, LsstWire, find_wire


def lsst_packets(wire: LsstWire, count: int = 60) -> list[bytes]:
    """Return packets of a night: of moving and of fixed things, some with a history."""
    night = build_night("quiet", 2, ztf=0, lsst=100, wire=wire)
    packets = [i.message.payload for i in night.timeline() if isinstance(i, AlertMessage) and i.message.topic == "lsst"]
    step = len(packets) // count
    return packets[::step][:count]


@pytest.fixture(scope="module")
def own_packets() -> list[bytes]:
    return lsst_packets(OWN_WIRE)


def detections(packets: list[bytes], wire: LsstWire, folder: Path) -> pa.Table:
    """Decode with the writer schema that `write_schemas` leaves beside a night; the version column is left out."""
    write_schemas(folder, wire.schema_id, wire.schema)
    positions = [Position("lsst", 0, n) for n in range(len(packets))]
    decoded = Decoder(SchemaSource(folder)).decode(packets, positions)
    assert decoded.dead_letters.num_rows == 0
    return decoded.detections.drop_columns(["schemaVersion"])


def records(packets: list[bytes], wire: LsstWire) -> list[dict[str, Any]]:
    """Read packets whole with plain fastavro, and check every field against the schema."""
    schema, found = fastavro.parse_schema(wire.schema), []
    for packet in packets:
        assert packet[:5] == b"\0" + wire.schema_id.to_bytes(4, "big")
        stream = io.BytesIO(packet[5:])
        record = fastavro.schemaless_reader(stream, schema)
        assert stream.read() == b""
        assert validate(record, schema)
        found.append(record)
    return found


def other_version() -> LsstWire:
    """A schema as a later version might be: fields moved, dropped, renamed, added with and without a default."""
    schema = copy.deepcopy(LSST_SCHEMA)
    schema["namespace"] = "lsst.v12_3"
    source = next(field for field in schema["fields"] if field["name"] == "diaSource")["type"]
    source["namespace"] = "lsst.v12_3"
    source["fields"] = [field for field in reversed(source["fields"]) if field["name"] != "snr"]
    source["fields"] += [
        {"name": "newRequired", "type": "double"},
        {"name": "newDefault", "type": "int", "default": 7},
        {"name": "newNullable", "type": ["null", "string"]},
    ]
    past = next(field for field in schema["fields"] if field["name"] == "prvDiaSources")
    past["type"][1]["items"] = "lsst.v12_3.diaSource"
    return LsstWire(1203, schema)


def test_our_own_schema_changes_nothing(own_packets: list[bytes]) -> None:
    assert find_wire() is OWN_WIRE
    assert [OWN_WIRE.packet(packet) for packet in own_packets] == own_packets


def test_another_schema_gets_the_same_values_by_name_and_fills_what_is_unknown(
    own_packets: list[bytes], tmp_path: Path
) -> None:
    wire = other_version()
    packets = [wire.packet(packet) for packet in own_packets]
    before, after = records(own_packets, OWN_WIRE), records(packets, wire)
    kept = {item.split(":")[0] for item in DIA_SOURCE.split()} - {"snr"}
    lines = 0
    for old, new in zip(before, after, strict=True):
        for one, other in [(old["diaSource"], new["diaSource"]), *_histories(old, new)]:
            assert (other["newRequired"], other["newDefault"], other["newNullable"]) == (0.0, 7, None)
            assert "snr" not in other
            assert repr({name: one[name] for name in kept}) == repr({name: other[name] for name in kept})
            lines += 1
        for name in ("prvDiaForcedSources", "diaObject", "ssSource", "mpc_orbits", "cutoutTemplate"):
            assert repr(old[name]) == repr(new[name])
    assert lines > len(packets)  # there was history
    ours, theirs = detections(own_packets, OWN_WIRE, tmp_path / "a"), detections(packets, wire, tmp_path / "b")
    assert theirs.drop_columns(["snr"]).equals(ours.drop_columns(["snr"]))


def _histories(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(zip(old["prvDiaSources"] or [], new["prvDiaSources"] or [], strict=True))


@pytest.mark.realdata
@pytest.mark.parametrize("version", ["7/1", "7/4", "8/0", "9/0", "10/0", "11/0"])
def test_every_published_schema_writes_the_same_detections(
    version: str, own_packets: list[bytes], test_data: Path, tmp_path: Path
) -> None:
    major, minor = map(int, version.split("/"))
    wire = find_wire(str(test_data / "lsst/schema"), 100 * major + minor)
    assert wire.schema["namespace"] == f"lsst.v{major}_{minor}"
    packets = [wire.packet(packet) for packet in own_packets]
    read = records(packets, wire)
    ours, theirs = detections(own_packets, OWN_WIRE, tmp_path / "a"), detections(packets, wire, tmp_path / "b")
    unknown = {name for name in ("snr", "reliability", "ssObjectId") if not _knows(wire, name)}
    assert unknown <= ({"snr"} if major == 7 else set())
    assert theirs.drop_columns(list(unknown)).equals(ours.drop_columns(list(unknown)))
    assert {row.get("alertId", row.get("diaSourceId")) for row in read} == set(map(int, ours["sourceId"].to_pylist()))
    assert (packets == own_packets) is (version == "11/0")


def _knows(wire: LsstWire, name: str) -> bool:
    source = next(field["type"] for field in wire.schema["fields"] if field["name"] == "diaSource")
    return any(field["name"] == name for field in source["fields"])


@pytest.mark.realdata
def test_a_folder_s_newest_schema_is_taken_unless_another_is_asked_for(test_data: Path) -> None:
    assert find_wire(str(test_data / "lsst/schema")).schema_id == LSST_SCHEMA_ID  # latest.txt says 11.0
    assert find_wire(str(test_data / "lsst/schema"), 900).schema_id == 900


def test_the_newest_schema_of_the_package_writes_the_same_detections(own_packets: list[bytes], tmp_path: Path) -> None:
    try:
        installed = find_spec("lsst.alert.packet") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        pytest.skip("lsst-alert-packet is not installed (extra lsst)")
    wire = find_wire("package")
    assert wire.schema_id >= LSST_SCHEMA_ID
    packets = [wire.packet(packet) for packet in own_packets]
    records(packets, wire)
    ours, theirs = detections(own_packets, OWN_WIRE, tmp_path / "a"), detections(packets, wire, tmp_path / "b")
    assert theirs.equals(ours)


def test_without_the_package_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_lsst, "_MODULE", "lsst_of_nobody.alert.packet")
    with pytest.raises(SchemaPackageError) as refused:
        find_wire("package")
    assert "pip install lsst-alert-packet" in refused.value.hint


class Registry(BaseHTTPRequestHandler):
    """Answers as a Confluent registry does."""

    def __init__(self, answers: dict[str, bytes], *arguments: Any) -> None:
        self.answers = answers
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = self.answers.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"{}")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def registry() -> Iterator[str]:
    schemas = {
        LSST_SCHEMA_ID: LSST_SCHEMA,
        1203: other_version().schema,
        5: {"type": "record", "name": "x", "fields": []},
    }
    answers = {f"/schemas/ids/{n}": json.dumps({"schema": json.dumps(s)}).encode() for n, s in schemas.items()}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Registry, answers)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_registry_supplies_the_schema_a_night_is_written_with(registry: str, tmp_path: Path) -> None:
    out = tmp_path / "night"
    arguments = ["night", "--scenario", "quiet", "--seed", "2", "--ztf", "0", "--lsst", "100", "--out", str(out)]
    arguments += ["--lsst-schema", registry, "--lsst-schema-id", "1203", "--json"]
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (out / "schemas").iterdir()] == ["1203.avsc"]
    packets = [path.read_bytes() for path in sorted((out / "lsst").iterdir())]
    assert {packet[:5] for packet in packets} == {b"\0" + (1203).to_bytes(4, "big")}
    decoded = Decoder(SchemaSource(out / "schemas")).decode(
        packets, [Position("lsst", 0, n) for n in range(len(packets))]
    )
    assert decoded.dead_letters.num_rows == 0
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    assert decoded.detections.num_rows == truth["counts"]["lsst"]
    assert find_wire(registry).schema_id == LSST_SCHEMA_ID


def test_what_is_no_lsst_schema_is_refused_with_a_code(registry: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaUnusableError, match="no field diaSource"):
        find_wire(registry, 5)
    with pytest.raises(SchemaUnknownError):
        find_wire(registry, 6)
    with pytest.raises(RegistryUnreachableError):
        find_wire("http://127.0.0.1:1")
    with pytest.raises(SchemaUnusableError, match="no folder"):
        find_wire(str(tmp_path / "nothing"))
    with pytest.raises(SchemaUnknownError):
        find_wire(str(tmp_path))
    (tmp_path / "latest.txt").write_text("eleven", encoding="ascii")
    with pytest.raises(SchemaUnusableError, match="names no version"):
        find_wire(str(tmp_path))
    broken = copy.deepcopy(LSST_SCHEMA)
    broken["fields"].append({"name": "what", "type": "no-such-type"})
    with pytest.raises(SchemaUnusableError, match="no Avro schema"):
        LsstWire(1, broken)


def test_an_id_belongs_to_another_source_than_our_own(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, ["night", "--lsst-schema-id", "1100", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2
