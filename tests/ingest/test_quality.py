"""Quality cuts flag alerts, in three values, and drop none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.ingest.quality import quality_rules, with_flags
from asterism.ingest.schemas import SchemaSource
from asterism.records import DETECTION

VALUES = {"rb": st.none() | st.sampled_from([0.5, 0.55, 0.56]), "nBad": st.none() | st.integers(0, 1)}
BANDS = st.none() | st.sampled_from("gri")
MAGS = st.none() | st.sampled_from([18.0, 18.05, 17.93, 18.2])


def flux(mag: float | None, positive: bool) -> float | None:
    return None if mag is None else (1 if positive else -1) * 10 ** ((31.4 - mag) / 2.5)


def row(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(DETECTION.names) | {"survey": "ztf"} | values


def flags(*rows: dict[str, Any], survey: str = "ztf") -> list[tuple[bool | None, ...]]:
    schema = pa.schema([field.with_nullable(True) for field in DETECTION])
    table = with_flags(survey, pa.Table.from_pylist(list(rows), schema=schema))
    return list(zip(table["passesPaper2020"].to_pylist(), table["passesFink2026"].to_pylist(), strict=True))


def together(*cuts: bool | None) -> bool | None:
    return False if False in cuts else None if None in cuts else True


@given(st.fixed_dictionaries(VALUES), BANDS, MAGS, MAGS, st.booleans())
def test_a_cut_that_fails_decides_and_a_missing_value_leaves_the_answer_open(
    values: dict[str, Any], band: str | None, mag: float | None, aperture: float | None, positive: bool
) -> None:
    rb, bad = values["rb"], values["nBad"]
    clean = None if bad is None else bad == 0
    near = None if mag is None or aperture is None else abs(aperture - mag) < 0.1
    paper = together(None if rb is None else rb > 0.55, clean, near)
    fink = together(None if rb is None else rb >= 0.55, clean, None if band is None else band != "i")
    alert = row(**values, band=band, flux=flux(mag, positive), apFlux=flux(aperture, positive))
    assert flags(alert) == [(paper, fink)]


def test_a_set_that_says_nothing_of_a_survey_cannot_be_told() -> None:
    assert flags(row(survey="lsst", rb=0.9, nBad=0, band="g"), survey="lsst") == [(None, None)]


def test_every_set_names_its_source_and_a_column_of_its_own() -> None:
    columns = [rules.column for rules in quality_rules()]
    assert len(set(columns)) == len(columns)
    assert {DETECTION.field(column).type for column in columns} == {pa.bool_()}
    assert all(rules.source for rules in quality_rules())


@pytest.mark.realdata
def test_real_packets_pass_as_plain_fastavro_says_and_none_is_lost(test_data: Path) -> None:
    paths = sorted((test_data / "ztf").glob("v*/*.avro"))
    wanted: Counter[tuple[bool, bool]] = Counter()
    for path in paths:
        with path.open("rb") as stream:
            found: Any = next(fastavro.reader(stream))
        candidate = found["candidate"]
        both = candidate["nbad"] == 0 and candidate["rb"] >= 0.55
        near = abs(candidate["magap"] - candidate["magpsf"]) < 0.1
        wanted[both and near and candidate["rb"] > 0.55, both and candidate["fid"] != 3] += 1
    packets = [path.read_bytes() for path in paths]
    rows = Decoder(SchemaSource()).decode(packets, [Position("test", 0, n) for n in range(len(packets))]).detections
    columns = rows["passesPaper2020"].to_pylist(), rows["passesFink2026"].to_pylist()
    assert Counter(zip(*columns, strict=True)) == wanted
    assert len(wanted) > 2
