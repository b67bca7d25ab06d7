"""From decoded fields to rows of `DETECTION`: what is the same for every survey.

Keys, night and sky index are derived here; an alert without object, id, time or position is refused with the
first of those as its reason. Everything else that is missing or cannot be is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from asterism.ingest.errors import BadIdError, BadPositionError, BadTimeError, NoObjectError, PacketError
from asterism.ingest.packets import Position, known_ms
from asterism.ingest.quality import with_flags
from asterism.ingest.surveys.conversions import MALFORMED
from asterism.ingest.surveys.survey import Field, Survey, Texts, Values
from asterism.records import DETECTION
from asterism.sky.healpix import hpx29
from asterism.times import night_of

_INT32_MAX = 2**31 - 1


def detections(
    survey: Survey, raw: Mapping[Field, Sequence[Any]], positions: Sequence[Position]
) -> tuple[pa.Table, dict[int, PacketError]]:
    """Return the usable rows as a table, and why the others are not.

    Parameters
    ----------
    survey : Survey
        Whose packets they are.
    raw : mapping
        The decoded values of every field of the survey, one sequence each.
    positions : sequence of Position
        Where each was read, of the same length.

    Returns
    -------
    pa.Table
        Schema `DETECTION`, in the order given.
    dict
        Index of each refused row to the reason.
    """
    values = survey.convert(raw)
    refused = _refused(survey, values)
    if refused:
        kept = [index for index in range(len(positions)) if index not in refused]
        values = {name: _take(column, kept) for name, column in values.items()}
        positions = [positions[index] for index in kept]
    return _table(survey, values, positions), refused


def _refused(survey: Survey, values: Mapping[str, Values]) -> dict[int, PacketError]:
    refused: dict[int, PacketError] = {}
    identities = [_texts(values, name) for name in survey.identified_by]
    for index, known in enumerate(zip(*identities, strict=True)):
        if not any(value is not None for value in known):
            refused[index] = NoObjectError(f"the {survey.name} alert has none of {', '.join(survey.identified_by)}")
        elif MALFORMED in known:
            refused[index] = BadIdError(f"{' or '.join(survey.identified_by)} is negative or malformed")
    for index, source in enumerate(_texts(values, "sourceId")):
        if not source:
            refused.setdefault(index, BadIdError("sourceId is missing, negative or malformed"))
    for index in np.flatnonzero(np.isnan(_numbers(values, "mjdTai"))).tolist():
        refused.setdefault(
            index, BadTimeError("the time of the exposure is missing, not finite or not within 1972 to 2100")
        )
    ra, dec = _numbers(values, "ra"), _numbers(values, "dec")
    for index in np.flatnonzero(~((ra >= 0.0) & (ra < 360.0) & (np.abs(dec) <= 90.0))).tolist():
        refused.setdefault(index, BadPositionError(f"position ra {ra[index]} dec {dec[index]} deg is not on the sky"))
    return refused


def _table(survey: Survey, values: Mapping[str, Values], positions: Sequence[Position]) -> pa.Table:
    rows = len(positions)
    mjd, source = _numbers(values, "mjdTai"), _texts(values, "sourceId")
    topics, partitions, offsets, published = zip(*positions, strict=True) if rows else ((), (), (), ())
    derived: dict[str, Any] = {
        "alertKey": [f"{survey.name}:{value}" for value in source],
        "survey": [survey.name] * rows,
        "objectKey": [None if value is None else f"{survey.name}:{value}" for value in _texts(values, "objectId")],
        "night": night_of(mjd, survey.night_shift_hours),
        "hpx29": hpx29(_numbers(values, "ra"), _numbers(values, "dec")),
        "topic": topics,
        "partition": partitions,
        "offset": offsets,
        "publishedMs": [known_ms(value) for value in published],
    }
    columns = [
        pa.array(derived[item.name], item.type)
        if item.name in derived
        else _arrow(values.get(item.name), item.type, rows)
        for item in DETECTION
    ]
    return with_flags(survey.name, pa.Table.from_arrays(columns, schema=DETECTION))


def _arrow(column: Values | None, kind: pa.DataType, rows: int) -> pa.Array:
    """Return a column as Arrow, NaN and numbers that do not fit as null."""
    if column is None:
        return pa.nulls(rows, kind)
    if isinstance(column, list):
        return pa.array(column, kind)
    if pa.types.is_boolean(kind):
        return pa.array(column == 1.0, mask=np.isnan(column))
    if pa.types.is_int32(kind):
        fits = (np.abs(column) <= _INT32_MAX) & (column == np.trunc(column))
        return pa.array(np.where(fits, column, 0.0).astype(np.int32), mask=~fits)
    return pa.array(column, mask=~np.isfinite(column))


def _take(column: Values, kept: list[int]) -> Values:
    return [column[index] for index in kept] if isinstance(column, list) else column[kept]


def _texts(values: Mapping[str, Values], name: str) -> Texts:
    column = values[name]
    assert isinstance(column, list), name  # noqa: S101 - the field map names a text conversion for it
    return column


def _numbers(values: Mapping[str, Values], name: str) -> NDArray[np.float64]:
    column = values[name]
    assert isinstance(column, np.ndarray), name  # noqa: S101 - the field map names a numeric conversion for it
    return column
