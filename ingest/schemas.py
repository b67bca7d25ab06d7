"""Writer schemas of framed messages, found by the id each message begins with.

A folder is asked first, then a Confluent schema registry over HTTP. A schema id never changes its meaning, so
what was found is kept for ever; that an id is unknown, or that the registry does not answer, is remembered
only for a short while. The registry is asked again before a message is given up, for a schema may be registered a
moment after its first packet; once in that short while, so that a stream of invented ids stops nobody. Both say so
under different codes: an unknown id needs a person, an unreachable registry needs time.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self

import httpx

from asterism.ingest.errors import (
    PacketError,
    RegistryUnreachableError,
    SchemaFolderError,
    SchemaInvalidError,
    SchemaUnknownError,
)
from asterism.ingest.writer import MAX_SCHEMA_BYTES
from asterism.settings import Settings

_MAX_FILES = 100


class SchemaSource:
    """Finds writer schemas by id.

    Parameters
    ----------
    folder : Path, optional
        Holds ``<id>.avsc``, or ``<id>/*.avsc``, or LSST's own ``<major>/<minor>/*.avsc`` (id = 100 major +
        minor).
    registry : str, optional
        Base URL of a Confluent schema registry.
    timeout_s : float
        Longest wait for the registry to connect, and for each part of its answer [s].
    retry_s : float
        How long a failed look-up is remembered [s], so that a stream of such messages asks once.
    pauses_s : tuple of float
        How long to wait before each further question to the registry [s].
    """

    def __init__(
        self,
        folder: Path | None = None,
        registry: str | None = None,
        *,
        timeout_s: float = 5.0,
        retry_s: float = 10.0,
        pauses_s: tuple[float, ...] = (0.25, 0.75),
    ) -> None:
        self._folder = folder
        self._registry = registry
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._pauses_s = pauses_s
        self._patient_from = 0.0
        self._found: dict[int, bytes] = {}
        self._failed: dict[int, tuple[float, PacketError]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the source that the settings name."""
        return cls(folder=settings.schema_folder, registry=settings.schema_registry)

    def text(self, schema_id: int) -> bytes:
        """Return a writer schema as JSON text.

        Raises
        ------
        SchemaUnknownError
            If neither folder nor registry has it.
        RegistryUnreachableError
            If the registry does not answer, or answers with a fault of its own; transient.
        SchemaInvalidError
            If what was found is no schema or too long.
        """
        if schema_id in self._found:
            return self._found[schema_id]
        until, failure = self._failed.get(schema_id, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise type(failure)(failure.message)
        try:
            found = self._look_up(schema_id)
        except PacketError as error:
            if len(self._failed) > 1000:  # a stream of invented ids must not fill the memory
                self._failed.clear()
            self._failed[schema_id] = (time.monotonic() + self._retry_s, error)
            raise
        self._found[schema_id] = found
        return found

    def _look_up(self, schema_id: int) -> bytes:
        if (local := self._from_folder(schema_id)) is not None:
            return local
        if self._registry is None:
            raise SchemaUnknownError(f"schema id {schema_id} is unknown here, and no registry is set")
        return self._patiently(self._registry, schema_id)

    def _patiently(self, registry: str, schema_id: int) -> bytes:
        """Ask the registry, and again if it does not know or does not answer, unless that was in vain just now."""
        for pause in self._pauses_s if time.monotonic() >= self._patient_from else ():
            try:
                return self._from_registry(registry, schema_id)
            except (SchemaUnknownError, RegistryUnreachableError):
                time.sleep(pause)
        try:
            return self._from_registry(registry, schema_id)
        except PacketError:
            self._patient_from = time.monotonic() + self._retry_s
            raise

    def _from_folder(self, schema_id: int) -> bytes | None:
        if self._folder is None:
            return None
        single = self._folder / f"{schema_id}.avsc"
        many = [self._folder / str(schema_id), self._folder / str(schema_id // 100) / str(schema_id % 100)]
        try:
            if single.is_file():
                return json.dumps(_read_schema(single)).encode()
            folder = next((path for path in many if path.is_dir()), None)
            return None if folder is None else json.dumps(load_schema_folder(folder)).encode()
        except SchemaFolderError as error:
            raise SchemaInvalidError(error.message) from error

    def _from_registry(self, registry: str, schema_id: int) -> bytes:
        url = f"{registry.rstrip('/')}/schemas/ids/{schema_id}"
        try:
            with httpx.stream("GET", url, timeout=self._timeout_s, follow_redirects=False) as response:
                body = b""
                for chunk in response.iter_bytes(65536):
                    body += chunk
                    if len(body) > 2 * MAX_SCHEMA_BYTES:  # JSON within JSON: every quote is escaped
                        raise SchemaInvalidError(f"the registry's schema {schema_id} has over {MAX_SCHEMA_BYTES} bytes")
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryUnreachableError(
                f"the schema registry does not answer: {type(error).__name__} {error}"
            ) from error
        if status == httpx.codes.NOT_FOUND:
            raise SchemaUnknownError(f"the schema registry does not know schema id {schema_id}")
        if status != httpx.codes.OK:
            raise RegistryUnreachableError(f"the schema registry answers {status} for schema id {schema_id}")
        try:
            answer = json.loads(body)
            text = answer["schema"].encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SchemaInvalidError(f"the registry's answer for schema id {schema_id} holds no schema") from error
        if answer.get("schemaType", "AVRO") != "AVRO":
            raise SchemaInvalidError(f"schema id {schema_id} is of type {answer['schemaType']!r:.40}, not AVRO")
        return bytes(text)


def load_schema_folder(folder: Path) -> dict[str, Any]:
    """Return one self-contained schema from a folder with a file per record, as LSST ships them.

    Parameters
    ----------
    folder : Path
        Its ``*.avsc`` files define each other's types by name; one of them, the alert, uses others and
        is used by none (LSST's folders also hold records that no packet carries).

    Returns
    -------
    dict
        The alert's schema, every other record written out where it is first used.

    Raises
    ------
    SchemaFolderError
        If a file is unreadable, or none or several could be the alert.
    """
    paths = sorted(folder.glob("*.avsc"))
    if not 0 < len(paths) <= _MAX_FILES:
        raise SchemaFolderError(f"{folder} holds {len(paths)} .avsc files, wanted 1 to {_MAX_FILES}")
    records = {}
    for path in paths:
        schema = _read_schema(path)
        name, namespace = str(schema.get("name")), schema.get("namespace")
        records[name if "." in name or not namespace else f"{namespace}.{name}"] = schema
    uses: dict[str, set[str]] = {name: set() for name in records}
    for name, schema in records.items():
        _expand(schema, {other: {} for other in records if other != name}, uses[name])
    used = set().union(*uses.values())
    free = [name for name in records if name not in used]
    roots = [name for name in free if uses[name]] or free
    if len(roots) != 1:
        raise SchemaFolderError(f"{folder} defines {len(roots)} possible alerts, wanted one: {roots}")
    rest = {name: schema for name, schema in records.items() if name != roots[0]}
    expanded = _expand(records[roots[0]], rest, set())
    assert isinstance(expanded, dict)  # noqa: S101 - _read_schema gave an object
    return expanded


def _expand(schema: Any, records: dict[str, Any], used: set[str]) -> Any:
    """Return a schema with each named record written out at its first use; names met are added to `used`."""
    if isinstance(schema, list):
        return [_expand(branch, records, used) for branch in schema]
    if isinstance(schema, dict):
        inside = ("type", "items", "values", "fields")
        return {key: _expand(value, records, used) if key in inside else value for key, value in schema.items()}
    if isinstance(schema, str) and schema in records and schema not in used:
        used.add(schema)
        return _expand(records[schema], records, used)
    return schema


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_SCHEMA_BYTES:
            raise SchemaFolderError(f"{path} has more than {MAX_SCHEMA_BYTES} bytes")
        schema = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SchemaFolderError(f"{path} cannot be read as a schema: {error}") from error
    if not isinstance(schema, dict):
        raise SchemaFolderError(f"{path} is not the schema of a record")
    return schema
