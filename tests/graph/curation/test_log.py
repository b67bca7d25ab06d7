"""The curation table: each act once, on the disk, readable by anybody."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.errors import LakeError
from asterism.graph.curation.acts import CURATION, Act, Kind, Subject, from_row, to_row
from asterism.graph.curation.log import CurationLog

floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.none() | st.text()
subjects = st.builds(
    Subject, object_key=texts, event_key=texts, ra=st.none() | floats, dec=st.none() | floats, radius_arcsec=st.none()
)
acts = st.builds(
    Act,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    kind=st.sampled_from(Kind),
    state=st.text(),
    name=texts,
    text=texts,
    author=st.text(),
    token_id=st.text(),
    made_mjd_tai=floats,
    subjects=st.lists(subjects, min_size=1, max_size=3).map(tuple),
)
VET = Act("ab" * 16, Kind.VETTING, "rejected", None, "a CV", "ada", "01", 60000.0, (Subject("ztf:a", "lvk:S1"),))


@given(acts)
def test_an_act_reads_back_as_it_was_written(act: Act) -> None:
    assert from_row(to_row(act)) == act


@given(st.lists(acts, max_size=5, unique_by=lambda act: act.id))
def test_all_acts_come_back_by_time(tmp_path_factory: pytest.TempPathFactory, some: list[Act]) -> None:
    log = CurationLog(tmp_path_factory.mktemp("lake"))
    for act in some:
        assert log.append(act) == act
    assert log.acts() == sorted(some, key=lambda act: (act.made_mjd_tai, act.id))


def test_whoever_repeats_an_id_gets_the_first_act_and_can_tell_another_from_it(tmp_path: Path) -> None:
    log = CurationLog(tmp_path)
    log.append(VET)
    repeated, other = replace(VET, made_mjd_tai=60001.0, token_id="02"), replace(VET, text="an AGN")
    assert log.append(repeated) == log.append(other) == VET
    assert VET.same_as(repeated)
    assert not VET.same_as(other)
    assert log.acts() == [VET]


def test_writers_at_once_agree_on_one_act(tmp_path: Path) -> None:
    CurationLog(tmp_path)

    def append(number: int) -> Act:
        return CurationLog(tmp_path).append(replace(VET, made_mjd_tai=float(number)))

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(append, range(32)))
    assert list(answers) == CurationLog(tmp_path).acts()
    assert len(answers) == 1


def test_the_bytes_and_the_name_are_on_the_disk_before_the_act_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, list[str]()

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    log = CurationLog(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    log.append(VET)
    file = next(name for name in synced if name.endswith(".tmp"))
    folders = [str(tmp_path), str(tmp_path / "curation"), str(tmp_path / "curation" / "ab")]
    assert synced.index(file) < len(synced) - 1 - synced[::-1].index(folders[-1])
    assert set(folders) <= set(synced)
    assert [path.name for path in (tmp_path / "curation" / "ab").iterdir()] == [f"{VET.id}.parquet"]


def test_what_a_killed_writer_left_is_not_read(tmp_path: Path) -> None:
    log = CurationLog(tmp_path)
    log.append(VET)
    (tmp_path / "curation" / "ab" / f".{'ab' * 16}.parquet.x.tmp").write_bytes(b"half")
    assert log.acts() == [VET]


def test_a_damaged_table_is_an_error_of_the_lake_and_nothing_is_skipped(tmp_path: Path) -> None:
    log = CurationLog(tmp_path)
    log.append(VET)
    (tmp_path / "curation" / "ab" / f"{VET.id}.parquet").write_bytes(b"half")
    with pytest.raises(LakeError):
        log.acts()
    with pytest.raises(LakeError):
        log.append(VET)


def test_the_file_has_the_stated_schema(tmp_path: Path) -> None:
    CurationLog(tmp_path).append(VET)
    assert pq.read_schema(next(tmp_path.rglob("*.parquet"))).equals(CURATION)
