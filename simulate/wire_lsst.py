"""Which LSST schema packets are written with: our own declaration, or one found at run time.

The survey's schemas are under the GPL and no part of Asterism. A folder of them, a schema registry, or the
distribution `lsst-alert-packet` (the extra ``lsst``) supplies one, and a night's packets are then written with it.
Fields are matched by name. What the simulator does not know takes the schema's default, or null, or, where neither
is allowed, the zero of its type.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType, to_parsing_canonical_form

from asterism.ingest.schemas import SchemaSource
from asterism.simulate.declare import Schema
from asterism.simulate.errors import SchemaPackageError, SchemaUnusableError
from asterism.simulate.schema_lsst import LSST_SCHEMA, LSST_SCHEMA_ID

OWN, PACKAGE = "own", "package"
"""Sources that need no place: our declaration, and the newest schema of `lsst-alert-packet`."""

_MODULE, _FOLDER, _NEWEST = "lsst.alert.packet", "schema", "latest.txt"
_FRAME = struct.Struct(">bI")
_ZEROS: dict[str, Any] = {
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "",
    "bytes": b"",
}
_FORMERLY = {"alertId": "diaSourceId", "MPCORB": "mpc_orbits"}
"""Names in older schemas of what has another name in ours."""

_Fill = Callable[[Any], Any]
"""A value of our schema, or None for an unknown one, to a value of the other."""


@dataclass(frozen=True, eq=False)
class LsstWire:
    """A writer schema of LSST packets.

    Parameters
    ----------
    schema_id : int
        Stands in the frame of every packet; 100 major + minor.
    schema : dict
        Parsed JSON, nested records in place.

    Raises
    ------
    SchemaUnusableError
        If it is no schema of an LSST alert.
    """

    schema_id: int
    schema: Schema

    def __post_init__(self) -> None:
        names = {field.get("name") for field in self.schema.get("fields", ()) if isinstance(field, dict)}
        if "diaSource" not in names:
            raise SchemaUnusableError(
                f"schema {self.schema_id} has no field diaSource: it is not that of an LSST alert"
            )
        try:
            fastavro.parse_schema(self.schema)
        except (SchemaParseException, UnknownType, KeyError, TypeError, ValueError) as error:
            raise SchemaUnusableError(f"schema {self.schema_id} is no Avro schema: {error}") from error

    def packet(self, own: bytes) -> bytes:
        """Return a packet of our schema as this schema writes it."""
        frame = _FRAME.pack(0, self.schema_id)
        if self._same:
            return frame + own[_FRAME.size :]
        row = fastavro.schemaless_reader(io.BytesIO(own[_FRAME.size :]), _PARSED, None)
        stream = io.BytesIO(frame)
        stream.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(stream, self._parsed, self._fill(row))
        return stream.getvalue()

    @cached_property
    def _same(self) -> bool:
        """Whether it writes the same bytes as ours, whatever it is called."""
        return _form(self.schema) == _form(LSST_SCHEMA)

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(self.schema)

    @cached_property
    def _fill(self) -> _Fill:
        return _filler(self.schema, {})


def _form(schema: Schema) -> str:
    """Return what decides about the bytes: the canonical form without the namespace, which names the version."""
    return to_parsing_canonical_form(schema).replace(f"{schema.get('namespace', '')}.", "")


_PARSED = fastavro.parse_schema(LSST_SCHEMA)
OWN_WIRE = LsstWire(LSST_SCHEMA_ID, LSST_SCHEMA)
"""The default."""


def find_wire(source: str = OWN, schema_id: int | None = None) -> LsstWire:
    """Return the schema a source holds.

    Parameters
    ----------
    source : str
        `OWN`, `PACKAGE`, the address of a Confluent schema registry (``http://...``), or a folder
        (see `asterism.ingest.schemas.SchemaSource`).
    schema_id : int, optional
        Which one; if not given the newest a folder names (``latest.txt``), else that of our own declaration.

    Raises
    ------
    SchemaPackageError
        If `lsst-alert-packet` is wanted and not installed.
    SchemaUnusableError
        If the source holds no schema of an LSST alert under the id.
    PacketError
        If there is none under the id, it cannot be read, or the registry does not answer.
    """
    if source == OWN:
        return OWN_WIRE
    if source.startswith(("http://", "https://")):
        found, number = SchemaSource(registry=source), schema_id or LSST_SCHEMA_ID
    else:
        folder = _package_folder() if source == PACKAGE else Path(source)
        if not folder.is_dir():
            raise SchemaUnusableError(f"{folder} is no folder of schemas")
        found, number = SchemaSource(folder), schema_id or _newest(folder)
    return LsstWire(number, json.loads(found.text(number)))


def _package_folder() -> Path:
    try:
        spec = find_spec(_MODULE)
    except ModuleNotFoundError:  # one of the packages around it
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SchemaPackageError("lsst-alert-packet is not installed")
    return Path(spec.submodule_search_locations[0]) / _FOLDER


def _newest(folder: Path) -> int:
    """Return the id that ``latest.txt`` stands for, 1101 for 11.1; that of our declaration if there is no such file."""
    try:
        major, minor = (folder / _NEWEST).read_text(encoding="ascii").strip().split(".")
        return 100 * int(major) + int(minor)
    except FileNotFoundError:
        return LSST_SCHEMA_ID
    except (OSError, ValueError) as error:
        raise SchemaUnusableError(f"{folder / _NEWEST} names no version: {error}") from error


def _filler(schema: Any, records: dict[str, _Fill]) -> _Fill:
    """Return what turns our values into those of another schema; `records` holds the named types met before."""
    if isinstance(schema, list):
        return _union(schema, records)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return _record(schema, records)
    if kind == "array":
        item = _filler(schema["items"], records)
        return lambda values: [item(value) for value in values or ()]
    if kind in records:
        return records[kind]
    if kind not in _ZEROS:
        raise SchemaUnusableError(f"type {kind!r:.60} does not occur in LSST alerts")
    zero = _ZEROS[kind]
    return lambda value: zero if value is None else value


def _union(branches: list[Any], records: dict[str, _Fill]) -> _Fill:
    fills = [_filler(branch, records) for branch in branches if branch != "null"]
    if len(fills) != 1:
        raise SchemaUnusableError(f"a union of {len(branches)} types does not occur in LSST alerts")
    (fill,) = fills
    return (lambda value: None if value is None else fill(value)) if "null" in branches else fill


def _record(schema: Any, records: dict[str, _Fill]) -> _Fill:
    members: list[tuple[str, str, _Fill, Any]] = []

    def fill(row: Any) -> dict[str, Any]:
        known = row or {}
        result = {}
        for name, former, member, default in members:
            value = known.get(name, known.get(former))
            result[name] = default if value is None and default is not None else member(value)
        return result

    for name in (schema["name"], f"{schema.get('namespace')}.{schema['name']}"):
        records[name] = fill
    for field in schema["fields"]:
        name = field["name"]
        members.append((name, _FORMERLY.get(name, name), _filler(field["type"], records), field.get("default")))
    return fill
