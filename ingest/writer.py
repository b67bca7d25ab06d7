"""The writer schema of a packet: checked before use, searched by name, cut where the wanted fields end.

A schema comes with the packet or from a registry and is hostile until checked. fastavro's compiled reader
recurses in C, so a schema that contains itself, or is nested deeply, would end the process; an item that
takes no bytes lets a few bytes stand for 2**60 of them. `WriterSchema` refuses both; what it accepts costs
memory and time in proportion to the bytes read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import fastavro

from asterism.ingest.errors import SchemaInvalidError

MAX_SCHEMA_BYTES = 2**20
"""Longest schema text accepted [bytes]; real ones have 8 to 60 kB."""
MAX_DEPTH = 12
"""Deepest nesting of records, arrays, maps and unions accepted."""
MAX_TYPES = 20_000
"""Most types a schema may mention."""

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_COMPLEX = frozenset({"record", "error", "enum", "array", "map", "fixed"})
_DOCUMENTATION = ("doc", "default", "logicalType", "order")

Schema = dict[str, Any]


class Location(NamedTuple):
    """Where a field stands at the top and, if in a record there, inside; its actual names; its types."""

    outer_index: int
    name: str
    inner_index: int | None
    inner_name: str | None
    types: frozenset[str]


class WriterSchema:
    """A writer schema that is safe to decode with.

    Parameters
    ----------
    raw : dict
        The schema of a record, as parsed JSON.

    Raises
    ------
    SchemaInvalidError
        If it is malformed, contains itself, exceeds the limits, or has an item that takes no bytes.
    """

    def __init__(self, raw: Any) -> None:
        if not isinstance(raw, dict) or raw.get("type") not in ("record", "error"):
            raise SchemaInvalidError("the writer schema is not that of a record")
        self.raw: Schema = raw
        self._named: dict[str, tuple[Schema, int]] = {}
        self._count = 0
        try:
            self._check(raw, "", 1, set())
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SchemaInvalidError(f"the writer schema is malformed: {type(error).__name__} {error}") from error

    @classmethod
    def from_text(cls, text: bytes) -> WriterSchema:
        """Read a schema from JSON text.

        Raises
        ------
        SchemaInvalidError
            If the text is too long, is not JSON, or is not a safe schema of a record.
        """
        if len(text) > MAX_SCHEMA_BYTES:
            raise SchemaInvalidError(f"the writer schema has {len(text)} bytes, more than {MAX_SCHEMA_BYTES}")
        try:
            return cls(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise SchemaInvalidError(f"the writer schema is not JSON: {error}") from error

    @property
    def field_names(self) -> list[str]:
        """Names of the fields at the top."""
        return [item["name"] for item in self.raw["fields"]]

    @property
    def namespace(self) -> str | None:
        """Namespace of the record, None if it has none."""
        return self.full_name.rpartition(".")[0] or None

    @property
    def full_name(self) -> str:
        """Name of the record with its namespace."""
        return _full_name(self.raw, "")

    def parsed(self, raw: Schema | None = None) -> Any:
        """Return the schema, or a cut of it, as fastavro decodes with it.

        Raises
        ------
        SchemaInvalidError
            If fastavro does not accept it.
        """
        try:
            return fastavro.parse_schema(self.raw if raw is None else raw)
        except Exception as error:  # whatever a hostile schema makes the library raise
            raise SchemaInvalidError(f"the writer schema is refused: {type(error).__name__} {error}") from error

    def locate(self, path: str) -> Location | None:
        """Find a field by the dotted path of its name or an alias; None if the schema lacks it.

        Parameters
        ----------
        path : str
            ``name`` or ``record.name``; the outer field may also be a union with the record.
        """
        outer, _, inner = path.partition(".")
        for index, item in enumerate(self.raw["fields"]):
            if _called(item, outer):
                if not inner:
                    return Location(index, item["name"], None, None, self._types(item["type"]))
                for inner_index, nested in enumerate(self._record(item["type"])):
                    if _called(nested, inner):
                        return Location(index, item["name"], inner_index, nested["name"], self._types(nested["type"]))
        return None

    def cut(self, locations: list[Location]) -> Schema:
        """Return the schema up to the last of some fields, without documentation, defaults and logical types.

        Bytes of the whole schema decode under the cut one; what follows the last wanted field is not read.
        """
        last = max(location.outer_index for location in locations)
        inside = [item.inner_index for item in locations if item.outer_index == last]
        fields = [_bare(item) for item in self.raw["fields"][: last + 1]]
        deepest = [index for index in inside if index is not None]
        if len(deepest) == len(inside):
            fields[last] = {**fields[last], "type": _shorten(fields[last]["type"], max(deepest) + 1)}
        return {**_bare(self.raw), "fields": fields}

    def _check(self, schema: Any, namespace: str, depth: int, open_names: set[str]) -> int:
        """Check a type; return how deeply it is nested itself."""
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_TYPES:
            raise SchemaInvalidError(
                f"the writer schema is nested deeper than {MAX_DEPTH} or has over {MAX_TYPES} types"
            )
        if isinstance(schema, list):
            return 1 + max(
                0 if branch == "null" else self._check(branch, namespace, depth + 1, open_names) for branch in schema
            )
        if isinstance(schema, str):
            return self._check_name(schema, namespace, depth, open_names)
        match schema["type"]:
            case "record" | "error":
                return self._check_record(schema, namespace, depth, open_names)
            case "array":
                return 1 + self._check(schema["items"], namespace, depth + 1, open_names)
            case "map":
                return 1 + self._check(schema["values"], namespace, depth + 1, open_names)
            case "enum" | "fixed" as kind:
                if kind == "fixed" and not (isinstance(schema["size"], int) and 0 < schema["size"] <= MAX_SCHEMA_BYTES):
                    raise SchemaInvalidError(f"the writer schema has a fixed type of size {schema['size']!r:.40}")
                self._named[_full_name(schema, namespace)] = (schema, 1)
                return 1
            case inner:
                return self._check(inner, namespace, depth + 1, open_names)

    def _check_name(self, name: str, namespace: str, depth: int, open_names: set[str]) -> int:
        if name == "null":
            raise SchemaInvalidError("the writer schema has a field that takes no bytes")
        if name in _PRIMITIVES:
            return 1
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in open_names or name in open_names:
            raise SchemaInvalidError(f"the writer schema contains itself: {full:.80}")
        _, height = self._named.get(full) or self._named[name]
        if depth + height > MAX_DEPTH:
            raise SchemaInvalidError(f"the writer schema is nested deeper than {MAX_DEPTH}")
        return height

    def _check_record(self, schema: Schema, namespace: str, depth: int, open_names: set[str]) -> int:
        full = _full_name(schema, namespace)
        inner_namespace = full.rpartition(".")[0]
        fields = schema["fields"]
        if not isinstance(fields, list) or not fields:
            raise SchemaInvalidError(f"the record {full:.80} of the writer schema has no fields")
        if not all(isinstance(item["name"], str) and isinstance(item.get("aliases", []), list) for item in fields):
            raise SchemaInvalidError(f"the record {full:.80} of the writer schema has malformed names")
        inside = open_names | {full}
        height = 1 + max(self._check(item["type"], inner_namespace, depth + 1, inside) for item in fields)
        self._named[full] = (schema, height)
        return height

    def _record(self, schema: Any) -> list[Schema]:
        """Return the fields of a record, or of the first record of a union; none for another type."""
        if isinstance(schema, list):
            return next((found for branch in schema if (found := self._record(branch))), [])
        if isinstance(schema, str):
            return [] if schema in _PRIMITIVES else self._record(self._definition(schema))
        if schema["type"] in ("record", "error"):
            return cast(list[Schema], schema["fields"])
        return [] if isinstance(schema["type"], str) else self._record(schema["type"])

    def _types(self, schema: Any) -> frozenset[str]:
        """Return the names of the types a value can have, null left out."""
        if isinstance(schema, list):
            return frozenset().union(*(self._types(branch) for branch in schema))
        if isinstance(schema, str):
            if schema in _PRIMITIVES:
                return frozenset({schema}) - {"null"}
            return self._types(self._definition(schema))
        kind = schema["type"]
        return frozenset({kind}) if isinstance(kind, str) and kind in _COMPLEX else self._types(kind)

    def _definition(self, name: str) -> Any:
        """Return the definition of a named type; an unqualified name may stand in any namespace."""
        if name in self._named:
            return self._named[name][0]
        return next(
            (entry for full, (entry, _) in self._named.items() if full.rpartition(".")[2] == name),
            {"type": "null"},
        )


def _called(item: Schema, name: str) -> bool:
    return bool(item["name"] == name or name in item.get("aliases", ()))


def _full_name(schema: Mapping[str, Any], namespace: str) -> str:
    name = schema["name"]
    if not isinstance(name, str):
        raise SchemaInvalidError(f"the writer schema has a type named {name!r:.40}")
    space = schema.get("namespace", namespace)
    return name if "." in name or not space else f"{space}.{name}"


def _bare(schema: Any) -> Any:
    """Return a schema without what decoding does not need; logical types would only slow it down."""
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key not in _DOCUMENTATION}
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    return schema


def _shorten(schema: Any, length: int) -> Any:
    """Return a record, or a union with one, with only its first fields; a reference by name stays whole."""
    if isinstance(schema, list):
        return [_shorten(branch, length) for branch in schema]
    if isinstance(schema, dict) and schema["type"] in ("record", "error"):
        return {**schema, "fields": schema["fields"][:length]}
    return schema
