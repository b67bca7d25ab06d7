"""Catalogue files are checked before anything is matched with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.enrich.catalogues import (
    PLAIN_ID,
    SOURCE,
    angle_arcsec,
    chord,
    load_catalogue,
    local_density,
    read_catalogue,
)
from asterism.enrich.errors import CatalogueError
from asterism.errors import IdError
from asterism.ids import id_text
from asterism.sky.healpix import hpx29

Write = Callable[..., Path]

TWO = [(10.0, 20.0), (350.0, -30.0)]


def test_columns_arrive_with_keys_and_unknown_numbers_are_null(catalogue: Write) -> None:
    path = catalogue(TWO, id=[2**62 + 1, 7], mag=pa.array([np.nan, 17.5], pa.float32()), extra=["x", "y"])
    found = read_catalogue(path)
    assert found.table.schema == SOURCE
    by_key = {row["sourceKey"]: row for row in found.table.to_pylist()}
    assert by_key[f"test:dr1:{2**62 + 1}"] == {
        "sourceKey": f"test:dr1:{2**62 + 1}",
        "catalogue": "test",
        "release": "dr1",
        "id": str(2**62 + 1),
        "class": "star",
        "ra": 10.0,
        "dec": 20.0,
        "hpx29": int(hpx29(10.0, 20.0)),
    } | dict.fromkeys(("type", "distanceMpc", "redshift", "mag"))
    assert by_key["test:dr1:7"]["mag"] == 17.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a", "a"]}, "occurs twice"),
        ({"id": ["a", "b c"]}, "not plain text"),
        ({"id": ["a", None]}, "some have no id"),
        ({"id": [1.0, 2.0]}, "text or integers"),
        ({"ra": [1.0, np.inf]}, "not finite"),
        ({"dec": [1.0, 90.5]}, r"outside \[-90, 90\]"),
        ({"ra": ["one", "two"]}, "cannot be read"),
        ({"class": ["star", None]}, "some have no class"),
        ({"release": ["dr1", "dr2"]}, "one release of one catalogue"),
        ({"release": [1, 1]}, "one release of one catalogue"),
        ({"catalogue": ["A B", "A B"]}, "namespace"),
        ({"catalogue": [None, None]}, "some have no catalogue"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(catalogue: Write, columns: dict[str, Any], message: str) -> None:
    path = catalogue(TWO, **columns)
    with pytest.raises(CatalogueError, match=message) as caught:
        load_catalogue(path)
    assert caught.value.code == "enrich.catalogue_unusable"


def test_missing_empty_and_damaged_files_are_refused(catalogue: Write, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="No such file"):
        load_catalogue(tmp_path / "none.parquet")
    with pytest.raises(CatalogueError, match="no rows"):
        load_catalogue(catalogue([], name="empty"))
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"ra": [1.0], "dec": [1.0]}), bare)
    with pytest.raises(CatalogueError, match="no column catalogue, release, id, class"):
        load_catalogue(bare)
    whole = catalogue(TWO, name="cut")
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(CatalogueError, match="cannot be read"):
        load_catalogue(whole)


def test_a_file_is_read_once_and_again_when_it_is_another(catalogue: Write) -> None:
    path = catalogue(TWO)
    first = load_catalogue(path)
    assert load_catalogue(path) is first
    catalogue([*TWO, (1.0, 1.0)])
    os.utime(path, ns=(1, 1))
    assert load_catalogue(path).table.num_rows == 3


@given(st.text(alphabet=st.sampled_from("aZ09._+-/ :\n\0é"), max_size=5) | st.text(max_size=4) | st.just("a" * 129))
def test_the_ids_of_a_column_are_judged_as_single_ids_are(text: str) -> None:
    column = pa.array([text])
    accepted = pa.compute.match_substring_regex(column, PLAIN_ID)[0].as_py()
    try:
        id_text(text)
    except IdError:
        assert not accepted
    else:
        assert accepted


@given(st.floats(1e-6, 600.0))
def test_angles_survive_the_way_through_chords(angle: float) -> None:
    assert angle_arcsec(np.array([chord(angle)]))[0] == pytest.approx(angle, rel=1e-12)


def test_the_local_density_follows_the_sky() -> None:
    """1,000 sources in 1 deg2 and 1,000 all over the sky: each knows what is around it."""
    rng = np.random.default_rng(5)
    patch = hpx29(rng.uniform(100, 101, 1000), rng.uniform(0, 1, 1000))
    sky = hpx29(rng.uniform(0, 360, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000))))
    assert np.median(local_density(patch)) == pytest.approx(1000, rel=0.35)
    assert np.median(local_density(sky)) == pytest.approx(1000 / 41253, rel=0.35)
