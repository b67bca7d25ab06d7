"""How to read one writer schema: whose it is, where it can be cut, and where the wanted fields stand.

In the alerts of ZTF and LSST the new detection comes before its history and the cutouts, so a reader for the
schema **cut after the last wanted field** never sees those (15 to 100 times faster than the whole). Nothing
depends on that order: where a wanted field stands behind the history, the cut lies behind it too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any, cast

import fastavro

from asterism.ingest.errors import SchemaInvalidError, TruncatedPacketError, UndecodableError
from asterism.ingest.scan import compile_scanner
from asterism.ingest.surveys import recognise
from asterism.ingest.surveys.survey import NAMESPACE, Field
from asterism.ingest.writer import Location, WriterSchema

Row = tuple[Any, ...]


class Plan:
    """The compiled reader of one writer schema.

    Parameters
    ----------
    writer : WriterSchema
        The schema.

    Raises
    ------
    SurveyUnknownError
        If the schema is that of no known survey.
    SchemaInvalidError
        If a wanted field has a type it cannot have, or fastavro refuses the schema.
    """

    def __init__(self, writer: WriterSchema) -> None:
        self.writer = writer
        self.survey = recognise(writer)
        self._constants: dict[Field, Any] = {}
        found: dict[Field, Location] = {}
        for wanted in self.survey.fields:
            self._find(wanted, found)
        cut = writer.cut(list(found.values()))
        self._prefix = writer.parsed(cut)
        self._getters: list[tuple[str | None, list[Field], Any]] = []
        for outer in dict.fromkeys(place.name if place.inner_name else None for place in found.values()):
            inside = {
                wanted: place.inner_name or place.name
                for wanted, place in found.items()
                if (place.name if place.inner_name else None) == outer
            }
            self._getters.append((outer, list(inside), _tuple_getter(list(inside.values()))))

        self._order = [wanted for _, fields, _ in self._getters for wanted in fields]
        places = {(place.outer_index, place.inner_index): wanted for wanted, place in found.items()}
        self._scanner = compile_scanner(cut, places)
        scanned = [places[place] for place in sorted(places, key=lambda place: (place[0], place[1] or 0))]
        self._arrange = _tuple_getter([scanned.index(wanted) for wanted in self._order])

    def _find(self, wanted: Field, found: dict[Field, Location]) -> None:
        for path in wanted.paths:
            if path == NAMESPACE:
                self._constants[wanted] = self.writer.namespace
                return
            if (place := self.writer.locate(path)) is not None:
                if not place.types <= wanted.kind.value:
                    raise SchemaInvalidError(
                        f"field {path} has the types {sorted(place.types)}, wanted {wanted.kind.name}"
                    )
                found[wanted] = place
                return

    @cached_property
    def _whole(self) -> Any:
        return self.writer.parsed()

    def read(self, data: bytes, start: int) -> tuple[Row, int]:
        """Read the wanted fields of the record that begins at `start`; return them and where the last one ends.

        Raises
        ------
        TruncatedPacketError, UndecodableError
            If the bytes end too early or contradict the schema.
        """
        if self._scanner is not None and (scanned := self._scanner.read(data, start)) is not None:
            return self._arrange(scanned[0]), scanned[1]
        stream = io.BytesIO(data)
        stream.seek(start)
        return self._read_with_library(stream), stream.tell()

    def _read_with_library(self, stream: io.BytesIO) -> Row:
        record = read_record(stream, self._prefix)
        values: Row = ()
        for outer, fields, getter in self._getters:
            part = record if outer is None else record[outer]
            if part is None:
                values += (None,) * len(fields)
                continue
            try:
                values += getter(part)
            except (KeyError, TypeError) as error:  # another branch of a union of records
                raise UndecodableError(f"{outer} lacks a field that its schema has: {error}") from error
        return values

    def read_whole(self, stream: io.BytesIO) -> dict[str, Any]:
        """Read one record with everything in it.

        Raises
        ------
        TruncatedPacketError, UndecodableError
            If the bytes end too early or contradict the schema.
        """
        return cast(dict[str, Any], read_record(stream, self._whole))

    def columns(self, rows: Sequence[Row]) -> dict[Field, Sequence[Any]]:
        """Turn what `read` gave into a sequence per field of the survey; fields the schema lacks are null."""
        columns: dict[Field, Sequence[Any]] = dict(zip(self._order, zip(*rows, strict=True), strict=True))
        return {wanted: columns.get(wanted, [self._constants.get(wanted)] * len(rows)) for wanted in self.survey.fields}


def read_record(stream: io.BytesIO, schema: Any) -> Any:
    """Decode one record with a parsed schema, all of fastavro's errors turned into ours.

    Raises
    ------
    TruncatedPacketError, UndecodableError
        If the bytes end too early or contradict the schema.
    """
    try:
        return fastavro.schemaless_reader(stream, schema, None)
    except EOFError as error:
        raise TruncatedPacketError("the packet ends within its record") from error
    except IndexError as error:  # a number that the end cuts off, or a branch that a union lacks
        if not stream.read(1):
            raise TruncatedPacketError("the packet ends within its record") from error
        raise UndecodableError(f"the record contradicts its schema: {error}") from error
    except Exception as error:  # damaged bytes make the library raise nearly anything
        raise UndecodableError(f"the record contradicts its schema: {type(error).__name__} {error}") from error


def _tuple_getter(names: Sequence[str | int]) -> Any:
    if len(names) == 1:
        return lambda record: (record[names[0]],)
    return itemgetter(*names)


@lru_cache(maxsize=64)
def plan_for(schema: bytes) -> Plan:
    """Return the plan of a writer schema given as JSON text; compiled once per process while in use.

    Raises
    ------
    SchemaInvalidError, SurveyUnknownError
        As `WriterSchema` and `Plan` do.
    """
    return Plan(WriterSchema.from_text(schema))
