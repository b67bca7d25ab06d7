"""Writer schemas by id, from folders and from a registry over real HTTP."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fastavro
import pytest
from typing_extensions import override

from asterism.ingest.decode import Decoder
from asterism.ingest.errors import (
    RegistryUnreachableError,
    SchemaFolderError,
    SchemaInvalidError,
    SchemaUnknownError,
)
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource, load_schema_folder
from asterism.ingest.writer import MAX_SCHEMA_BYTES, WriterSchema
from asterism.simulate.packets import (
    LSST_SCHEMA,
    LSST_SCHEMA_ID,
    SimulatedDetection,
    lsst_packet,
    write_schemas,
)

PACKET = lsst_packet(SimulatedDetection("17", 4, 53.2, -27.8, 61002.27, "i", -940.0, 150.0))


class Registry(BaseHTTPRequestHandler):
    """What a Confluent registry answers to ``GET /schemas/ids/<id>``."""

    answers: ClassVar[dict[int, tuple[int, bytes]]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.get(int(self.path.rpartition("/")[2]), (404, b'{"error_code": 40403}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


def answer(schema: Any, **more: str) -> tuple[int, bytes]:
    return 200, json.dumps({"schema": json.dumps(schema), **more}).encode()


@pytest.fixture
def registry() -> Iterator[str]:
    Registry.answers = {
        LSST_SCHEMA_ID: answer(LSST_SCHEMA),
        2: (200, b"not json"),
        3: (200, b'{"schema": 5}'),
        4: answer({"type": "record", "name": "x", "fields": []}),
        5: (500, b""),
        6: answer({}, schemaType="PROTOBUF"),
        7: (200, b'{"schema": "' + b"x" * 3 * MAX_SCHEMA_BYTES + b'"}'),
        8: (302, b""),
    }
    Registry.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def codes(source: SchemaSource, *payloads: bytes) -> list[str]:
    letters = Decoder(source).decode(payloads, [Position("t", 0, n) for n in range(len(payloads))]).dead_letters
    return [str(code) for code in letters["code"].to_pylist()]


def framed(schema_id: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + PACKET[5:]


def test_registry_is_asked_once_per_id(registry: str) -> None:
    source = SchemaSource(registry=registry + "/")
    assert codes(source, *[PACKET] * 5) == []
    assert codes(source, PACKET) == []
    assert Registry.asked == [f"/schemas/ids/{LSST_SCHEMA_ID}"]


@pytest.mark.parametrize(
    ("schema_id", "code"),
    [
        (2, "ingest.schema_invalid"),
        (3, "ingest.schema_invalid"),
        (4, "ingest.schema_invalid"),
        (5, "ingest.registry_unreachable"),
        (6, "ingest.schema_invalid"),
        (7, "ingest.schema_invalid"),
        (8, "ingest.registry_unreachable"),
        (404, "ingest.schema_unknown"),
    ],
)
def test_whatever_the_registry_answers_has_its_own_code(registry: str, schema_id: int, code: str) -> None:
    assert codes(SchemaSource(registry=registry), framed(schema_id)) == [code]


def test_unknown_id_is_asked_for_again_only_after_a_while(registry: str) -> None:
    source = SchemaSource(registry=registry, retry_s=3600.0, pauses_s=(0.01, 0.01))
    assert codes(source, *[framed(404)] * 50) == ["ingest.schema_unknown"] * 50
    assert len(Registry.asked) == 3
    assert codes(source, framed(405), framed(406)) == ["ingest.schema_unknown"] * 2
    assert len(Registry.asked) == 5  # one question each: patience was in vain just now
    impatient = SchemaSource(registry=registry, retry_s=0.0, pauses_s=())
    codes(impatient, framed(404))
    Registry.answers[404] = answer(LSST_SCHEMA)
    assert codes(impatient, framed(404)) == []


def test_schema_that_is_registered_a_moment_after_its_first_packet_is_found(registry: str) -> None:
    threading.Timer(0.3, lambda: Registry.answers.update({404: answer(LSST_SCHEMA)})).start()
    assert codes(SchemaSource(registry=registry, pauses_s=(0.1,) * 20), framed(404)) == []
    assert len(Registry.asked) > 1


def test_registry_that_is_down_is_told_from_an_unknown_id(registry: str) -> None:
    down = SchemaSource(registry="http://127.0.0.1:9", timeout_s=1.0, pauses_s=())
    with pytest.raises(RegistryUnreachableError) as refusal:
        down.text(1)
    assert refusal.value.transient
    with pytest.raises(SchemaUnknownError) as unknown:
        SchemaSource(registry=registry).text(1)
    assert not unknown.value.transient


def test_registry_address_that_is_none_is_unreachable() -> None:
    with pytest.raises(RegistryUnreachableError):
        SchemaSource(registry="http://[").text(1)


def test_folder_is_asked_before_the_registry(registry: str, tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert codes(SchemaSource(folder=tmp_path, registry=registry), PACKET) == []
    assert Registry.asked == []


def test_without_folder_and_registry_every_framed_message_is_unknown() -> None:
    assert codes(SchemaSource(), PACKET) == ["ingest.schema_unknown"]


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b" " * (MAX_SCHEMA_BYTES + 1), b"[" * 100_000])
def test_unusable_file_in_the_folder_is_an_invalid_schema(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "7.avsc").write_bytes(text)
    assert codes(SchemaSource(folder=tmp_path), framed(7)) == ["ingest.schema_invalid"]


def split_into_files(folder: Path) -> None:
    """Write a schema the way LSST does: one file per record, each naming the others."""
    folder.mkdir(parents=True)
    root = json.loads(json.dumps(LSST_SCHEMA))

    def write(node: Any) -> Any:
        if isinstance(node, list):
            return [write(item) for item in node]
        if isinstance(node, dict):
            inside = {key: write(value) if key in {"type", "items", "fields"} else value for key, value in node.items()}
            if node.get("type") == "record":
                name = f"{node['namespace']}.{node['name']}"
                (folder / f"{name}.avsc").write_text(json.dumps(inside))
                return name
            return inside
        return node

    write(root)
    (folder / "unused.avsc").write_text('{"type": "record", "name": "other", "fields": [{"name": "a", "type": "int"}]}')


@pytest.mark.parametrize("layout", [str(LSST_SCHEMA_ID), f"{LSST_SCHEMA_ID // 100}/{LSST_SCHEMA_ID % 100}"])
def test_one_file_per_record_is_put_together(tmp_path: Path, layout: str) -> None:
    split_into_files(tmp_path / layout)
    whole = load_schema_folder(tmp_path / layout)
    record = fastavro.schemaless_reader(io.BytesIO(PACKET[5:]), fastavro.parse_schema(whole), None)
    assert repr(record) == repr(fastavro.schemaless_reader(io.BytesIO(PACKET[5:]), LSST_SCHEMA, None))
    assert codes(SchemaSource(folder=tmp_path), PACKET) == []


def test_folder_without_an_alert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaFolderError, match="holds 0"):
        load_schema_folder(tmp_path)
    for name in ("a", "b"):
        fields = [{"name": "x", "type": "int"}]
        (tmp_path / f"{name}.avsc").write_text(json.dumps({"type": "record", "name": name, "fields": fields}))
    with pytest.raises(SchemaFolderError, match="2 possible alerts"):
        load_schema_folder(tmp_path)


def test_file_names_in_a_schema_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.avsc").write_text('{"type": "record", "name": "s", "fields": [{"name": "a", "type": "int"}]}')
    inner = tmp_path / "7"
    inner.mkdir()
    field = {"name": "a", "type": "../secret"}
    (inner / "a.avsc").write_text(json.dumps({"type": "record", "name": "a", "fields": [field]}))
    assert codes(SchemaSource(folder=tmp_path), framed(7)) == ["ingest.schema_invalid"]


@pytest.mark.realdata
@pytest.mark.parametrize("version", ["7/1", "7/4", "8/0", "9/0", "10/0", "11/0"])
def test_published_folders_equal_what_the_library_loads(test_data: Path, version: str) -> None:
    folder = test_data / "lsst/schema" / version
    (alert,) = folder.glob("*.alert.avsc")
    library = fastavro.schema.load_schema(str(alert))
    ours = fastavro.parse_schema(load_schema_folder(folder))
    assert fastavro.schema.to_parsing_canonical_form(ours) == fastavro.schema.to_parsing_canonical_form(library)
    major, minor = version.split("/")
    assert SchemaSource(folder=test_data / "lsst/schema").text(100 * int(major) + int(minor))


@pytest.mark.parametrize("raw", [None, 5, [], "int", {"type": "array", "items": "int"}, {"type": "record"}])
def test_what_is_no_record_is_no_writer_schema(raw: Any) -> None:
    with pytest.raises(SchemaInvalidError):
        WriterSchema(raw)


def test_fields_are_found_by_name_and_alias_through_unions_and_references() -> None:
    inner = {
        "type": "record",
        "name": "n.inner",
        "fields": [{"name": "x", "type": ["null", "long"], "aliases": ["old"]}],
    }
    fields = [{"name": "first", "type": inner}, {"name": "second", "type": ["null", "inner"]}]
    writer = WriterSchema({"type": "record", "name": "n.outer", "fields": fields})
    found = writer.locate("second.old")
    assert found is not None
    assert (found.outer_index, found.name, found.inner_index, found.inner_name) == (1, "second", 0, "x")
    assert found.types == {"long"}
    assert writer.locate("second.new") is None
    assert writer.locate("first.x.deeper") is None
    assert (writer.namespace, writer.field_names) == ("n", ["first", "second"])
