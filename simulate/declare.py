"""A one-line notation for Avro records: ``name:type`` between blanks, ``?`` after a type that may be null.

The surveys' records have up to 113 fields; written as Avro JSON they fill a thousand lines in which nobody
sees a wrong type. A nullable field gets the default null and the union ``["null", type]``, as both surveys
write it.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
"""An Avro schema as parsed JSON."""

_LOGICAL: dict[str, Schema] = {"micros": {"type": "long", "logicalType": "timestamp-micros"}}


def fields(declaration: str) -> list[Schema]:
    """Return the Avro fields a declaration names, in its order.

    Parameters
    ----------
    declaration : str
        For example ``"jd:double fid:int magap:float?"``.
    """
    return [_field(*item.split(":")) for item in declaration.split()]


def _field(name: str, kind: str) -> Schema:
    plain = kind.removesuffix("?")
    avro = _LOGICAL.get(plain, plain)
    return nullable(name, avro) if kind.endswith("?") else {"name": name, "type": avro}


def nullable(name: str, kind: str | Schema) -> Schema:
    """Return a field that may be null and is null by default."""
    return {"name": name, "type": ["null", kind], "default": None}


def record(name: str, namespace: str, content: list[Schema]) -> Schema:
    """Return an Avro record."""
    return {"type": "record", "name": name, "namespace": namespace, "fields": content}


def array(items: str | Schema) -> Schema:
    """Return an Avro array."""
    return {"type": "array", "items": items}
