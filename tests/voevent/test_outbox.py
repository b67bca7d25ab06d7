"""`asterism.voevent.outbox`: from the notice journal to what is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asterism.errors import JournalError
from asterism.journal import Journal, Position
from asterism.voevent import broadcast
from asterism.voevent.broadcast import Places
from asterism.voevent.compose_json import Signature
from asterism.voevent.document import compose, parse
from asterism.voevent.intake import Intake
from asterism.voevent.outbox import MOST_VARIANTS, Outbox

SIGNATURE = Signature("example.org", lambda sha256: f"http://127.0.0.1:8097/maps/{sha256}.fits")


class Bench:
    """A journal with an intake, and outboxes that follow it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal", segment_bytes=20_000)
        self.intake = Intake(self.journal)

    def outbox(self, name: str = "bridge", *, from_start: bool = True, signature: Signature = SIGNATURE) -> Outbox:
        (self.folder / name).mkdir(exist_ok=True)
        return Outbox(self.folder / name, self.journal, signature, self.folder / "maps", from_start=from_start)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def filled(outbox: Outbox) -> list[bytes]:
    """Fill an outbox as far as it goes and return all it holds."""
    while outbox.fill():
        pass
    sent, place = [], Position(0, 0)
    while (outgoing := outbox.after(place)) is not None:
        sent.append(outgoing.payload)
        place = outgoing.next_position
    return sent


def test_voevents_go_out_byte_for_byte_and_json_as_voevents_in_the_journals_order(bench: Bench, samples: Any) -> None:
    xml = [samples.gbm_xml(trigger=700000000 + n) for n in range(40)]
    for payload in [*xml[:20], samples.alert_json(), *xml[20:]]:
        bench.intake.accept(payload, "vtp")
    sent = filled(bench.outbox())
    assert [*sent[:20], *sent[21:]] == xml
    document = parse(sent[20])
    assert document.param("GraceID") == "S230308a"
    (stored,) = (bench.folder / "maps").iterdir()
    assert stored.stem in (document.param("skymap_fits") or "")
    assert stored.read_bytes() == samples.sky_map()


def test_what_was_sent_is_not_sent_again_by_whatever_door_it_comes_nor_after_a_restart(
    bench: Bench, samples: Any
) -> None:
    for channel in ("vtp", "file", "kafka:x"):
        bench.intake.accept(samples.gbm_xml(), channel)
        bench.intake.accept(samples.alert_json(), channel)
    outbox = bench.outbox()
    first = filled(outbox)
    assert len(first) == 2
    outbox.close()
    bench.intake.accept(samples.gbm_xml(), "vtp:elsewhere")
    bench.intake.accept(first[1], "vtp:elsewhere")
    assert filled(bench.outbox()) == first


def test_a_restart_goes_on_behind_the_last_document(bench: Bench, samples: Any) -> None:
    bench.intake.accept(samples.alert_json(), "file")
    outbox = bench.outbox()
    before = filled(outbox)
    outbox.close()
    bench.intake.accept(samples.alert_json(alert_type="UPDATE"), "file")
    again = bench.outbox()
    after = filled(again)
    assert after[:1] == before
    assert again.counts == {"sent": 1, "composed": 1}
    assert [c.ivorn for c in parse(after[1]).citations] == [parse(before[0]).ivorn]


def test_bridges_that_feed_each_other_come_to_rest_with_one_copy_of_everything(bench: Bench, samples: Any) -> None:
    other = Bench(bench.folder / "other")
    outboxes = [bench.outbox(), other.outbox(signature=Signature("example.net", SIGNATURE.file_url))]
    bench.intake.accept(samples.gbm_xml(), "vtp")
    bench.intake.accept(samples.alert_json(), "kafka:x")
    for _ in range(3):
        for payload in filled(outboxes[0]):
            other.intake.accept(payload, "remote:one")
        for payload in filled(outboxes[1]):
            bench.intake.accept(payload, "remote:other")
    assert filled(outboxes[0]) == filled(outboxes[1])
    assert len(filled(outboxes[0])) == 2
    other.intake.accept(samples.alert_json(), "kafka:x")  # the JSON itself, behind what was composed of it elsewhere
    assert len(filled(outboxes[1])) == 2


def test_a_broker_that_writes_documents_anew_does_not_turn_a_circle_into_a_storm(bench: Bench, samples: Any) -> None:
    outbox = bench.outbox()
    for turn in range(MOST_VARIANTS + 5):
        bench.intake.accept(samples.gbm_xml() + b"\n" * turn, "vtp")
    assert len(filled(outbox)) == MOST_VARIANTS
    assert outbox.counts["unsendable"] == 5
    composed = bench.outbox("second")
    bench.intake.accept(samples.alert_json(), "file")
    document = filled(composed)[-1]
    for turn in range(5):
        bench.intake.accept(document + b"\n" * (turn + 1), "vtp")
    assert filled(composed)[-1] == document


def test_what_a_stock_comet_would_choke_on_is_not_sent(bench: Bench, samples: Any) -> None:
    good = samples.gbm_xml()
    for payload in (
        compose(samples.gbm(trigger=700000002, description="x" * 100_000)),
        samples.gbm_xml(trigger=700000003).replace(b' role="observation"', b""),
        json.dumps({"instrument": "WXT", "trigger_time": "yesterday", "ra": 1.0, "dec": 2.0}).encode(),
        good,
    ):
        bench.intake.accept(payload, "file")
    outbox = bench.outbox()
    assert filled(outbox) == [good]
    assert outbox.counts == {"sent": 1, "unsendable": 3}


def test_a_new_outbox_begins_with_the_next_notice_unless_told_otherwise_and_never_changes_its_mind(
    bench: Bench, samples: Any
) -> None:
    bench.intake.accept(samples.gbm_xml(), "vtp")
    outbox = bench.outbox(from_start=False)
    assert filled(outbox) == []
    outbox.close()
    later = samples.gbm_xml(trigger=700000009)
    bench.intake.accept(later, "vtp")
    assert filled(bench.outbox(from_start=False)) == [later]


def test_two_bridges_on_one_outbox_are_refused(bench: Bench) -> None:
    first = bench.outbox()
    with pytest.raises(JournalError):
        bench.outbox()
    first.close()
    assert filled(bench.outbox()) == []


def test_there_is_an_end_to_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_PLACES", 2)
    places = Places(tmp_path / "subscribers.json")
    for name in ("a", "b", "c"):
        places.put(name, Position(0, 1))
    assert [places.get(name) is None for name in ("a", "b", "c")] == [False, False, True]


def test_places_only_move_forward_and_survive(tmp_path: Path) -> None:
    places = Places(tmp_path / "subscribers.json")
    assert places.get("a") is None
    places.put("a", Position(1, 20))
    places.put("a", Position(0, 50))
    places.save()
    assert Places(tmp_path / "subscribers.json").get("a") == Position(1, 20)
    (tmp_path / "subscribers.json").write_text("[1]")
    with pytest.raises(JournalError):
        Places(tmp_path / "subscribers.json")
