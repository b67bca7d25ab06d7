"""`asterism.voevent.intake`."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from asterism.errors import JournalError
from asterism.journal import Journal
from asterism.voevent.errors import NoticeHostileError, NoticeMarkupError
from asterism.voevent.intake import CHANNEL, CONTENT_TYPE, FILE, PEER, RECEIVED, VTP, Intake
from asterism.voevent.notice import notice_key


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal") as opened:
        yield opened


def test_an_accepted_notice_is_in_the_journal_as_delivered(journal: Journal, samples: Any) -> None:
    payload = samples.gbm_xml() + b"  \n"
    receipt = Intake(journal).accept(payload, VTP, peer="somebody")
    (entry,) = journal.read()
    assert entry.payload == payload
    assert receipt.notice_key == notice_key(payload)
    assert entry.headers.keys() == {CHANNEL, CONTENT_TYPE, RECEIVED, PEER}
    assert (entry.headers[CHANNEL], entry.headers[CONTENT_TYPE]) == (VTP, "application/xml")


def test_one_channel_delivers_the_same_bytes_once(journal: Journal, samples: Any) -> None:
    intake = Intake(journal)
    payload = samples.alert_json()
    outcomes = [intake.accept(payload, channel).duplicate for channel in (VTP, VTP, FILE, FILE)]
    assert outcomes == [False, True, False, True]
    assert len(list(journal.read())) == 2
    assert intake.counts == {"received": 4, "journalled": 2, "duplicate": 2}


def test_what_was_journalled_before_a_restart_is_remembered(journal: Journal, samples: Any) -> None:
    Intake(journal).accept(samples.gbm_xml(), VTP)
    assert Intake(journal).accept(samples.gbm_xml(), VTP).duplicate
    assert not Intake(journal).accept(samples.gbm_xml() + b"\n", VTP).duplicate


def test_bytes_nobody_can_read_are_refused_and_counted(journal: Journal) -> None:
    intake = Intake(journal)
    for payload, error in (
        (b"", NoticeMarkupError),
        (b"<a", NoticeMarkupError),
        (b"<!DOCTYPE a><a/>", NoticeHostileError),
    ):
        with pytest.raises(error):
            intake.accept(payload, VTP)
    assert list(journal.read()) == []
    assert intake.counts["refused"] == 3


def test_a_position_off_the_sky_is_journalled_all_the_same(journal: Journal, samples: Any) -> None:
    Intake(journal).accept(samples.gbm_xml().replace(b"<C1>120.0000<", b"<C1>725.0<"), VTP)
    assert len(list(journal.read())) == 1


def test_threads_journal_each_notice_once(journal: Journal, samples: Any) -> None:
    intake = Intake(journal)
    payloads = [samples.gbm_xml(trigger=700000000 + n) for n in range(10)] * 5
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda payload: intake.accept(payload, VTP), payloads))
    assert len(list(journal.read())) == 10


def test_a_notice_the_disk_does_not_take_is_not_taken_for_a_duplicate_later(journal: Journal, samples: Any) -> None:
    intake = Intake(journal)
    intake.accept(samples.gbm_xml(), VTP)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(JournalError):
            intake.accept(samples.gbm_xml(trigger=700000002), VTP)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not intake.accept(samples.gbm_xml(trigger=700000002), VTP).duplicate
    assert len(list(journal.read())) == 2
