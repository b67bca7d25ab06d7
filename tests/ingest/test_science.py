"""The classifier begins with the lake as it is, then follows batches; both ways the same objects wait for a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest

from asterism.compaction import compact
from asterism.errors import LakeError
from asterism.graph.association.regions import REGION_MATCHES
from asterism.ingest import science
from asterism.lake import Lake
from asterism.records import DETECTION
from asterism.settings import Settings


class Stream:
    """Batches in a lake, and a classifier that says which objects it would classify."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(home=home)
        self.lake = Lake(self.settings.lake_path)
        self.offset = 0
        self.asked: list[str] = []
        monkeypatch.setattr(science, "_light_curves", lambda _driver, _database, keys: self.asked.extend(keys))
        monkeypatch.setattr(science.RiseFade, "run", lambda _self, curves: curves)
        monkeypatch.setattr(science, "write_classifications", lambda *_arguments, **_named: None)

    def batch(self, objects: list[str], inside: list[str]) -> None:
        """Write an alert of each object; some of them lie in a region."""
        first, self.offset = self.offset, self.offset + len(objects)
        row: dict[str, Any] = dict.fromkeys(DETECTION.names)
        row |= {"survey": "ztf", "topic": "t", "partition": 0, "night": 20261120, "public": True}
        row |= {"mjdTai": 61364.2, "ra": 1.0, "dec": 2.0, "hpx29": 7}
        rows = [
            row | {"alertKey": f"a{first + at}", "sourceId": f"{first + at}", "objectKey": key, "offset": first + at}
            for at, key in enumerate(objects)
        ]
        window = f"t-0-{first}-{self.offset}"
        self.lake.write_detections(pa.Table.from_pylist(rows, schema=DETECTION), window)
        matches = pa.table({"objectKey": pa.array(inside, pa.string()), "regionVersion": [1] * len(inside)})
        self.lake.write_side_table(REGION_MATCHES, window, matches)
        self.lake.write_ledger("alerts", f"{first:06}", {"windows": [window]})

    def classifier(self) -> science.Classifier:
        return science.Classifier(None, self.settings)  # type: ignore[arg-type] # the graph is not asked here

    def round(self, classifier: science.Classifier) -> list[str]:
        self.asked.clear()
        classifier.round()
        return sorted(self.asked)


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stream:
    return Stream(tmp_path, monkeypatch)


def test_an_object_once_seen_in_a_region_is_classified_whenever_it_is_seen(stream: Stream) -> None:
    follower = stream.classifier()
    assert stream.round(follower) == []
    stream.batch(["one", "two"], inside=[])
    assert stream.round(follower) == []
    stream.batch(["one", "three"], inside=["one"])
    assert stream.round(follower) == ["one"]
    stream.batch(["one", "two"], inside=[])
    assert stream.round(follower) == ["one"]
    assert stream.round(follower) == []


def test_one_who_begins_late_classifies_what_one_who_followed_did(stream: Stream) -> None:
    follower = stream.classifier()
    followed: set[str] = set()
    for objects, inside in ((["one", "two"], []), (["one", "three"], ["one"]), (["four", "two"], ["four"])):
        stream.batch(objects, inside)
        followed.update(stream.round(follower))
    late = stream.classifier()
    assert stream.round(late) == sorted(followed) == ["four", "one"]
    stream.batch(["four", "five"], inside=[])
    assert stream.round(late) == stream.round(follower) == ["four"]


def test_a_start_does_not_go_window_by_window(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        stream.batch(["one"], inside=["one"])
    compact(stream.lake)

    def never(*_arguments: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(Lake, "detections_of", never)
    monkeypatch.setattr(Lake, "side_table", never)
    assert stream.round(stream.classifier()) == ["one"]


def test_a_start_that_failed_is_made_again(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.batch(["one"], inside=["one"])
    late = stream.classifier()

    def broken(*_arguments: object, **_named: object) -> NoReturn:
        raise LakeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "side_rows", broken)
        with pytest.raises(LakeError):
            stream.round(late)
    assert stream.round(late) == ["one"]
