"""``asterism voevent`` as a script sees it; ``test_vtp.py`` runs its long-lived commands as processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asterism.journal import Journal
from asterism.voevent.commands import voevent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_parse_prints_one_document_a_line_and_fails_if_one_is_refused(tmp_path: Path, samples: Any) -> None:
    (tmp_path / "a.xml").write_bytes(samples.gbm_xml())
    (tmp_path / "b.json").write_bytes(samples.alert_json())
    (tmp_path / "c.xml").write_bytes(b"<broken")
    (tmp_path / "ignored.txt").write_bytes(b"x")
    done = CliRunner().invoke(voevent, ["parse", str(tmp_path), "--json"])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert [Path(line["file"]).name for line in lines] == ["a.xml", "b.json", "c.xml"]
    assert [line.get("event_key") for line in lines] == ["gbm:700000001", "lvk:S230308a", None]
    assert lines[2]["error"]["code"] == "voevent.not_well_formed"


def test_parse_reads_stdin_and_prints_text_for_people(samples: Any) -> None:
    done = CliRunner().invoke(voevent, ["parse", "-"], input=samples.gbm_xml())
    assert done.exit_code == 0
    assert "gbm:700000001  flight  real" in done.stdout
    assert "5.0 deg (0.68)" in done.stdout


def test_notices_can_be_put_into_the_journal_and_verified(home: Path, tmp_path: Path, samples: Any) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(samples.alert_json())
    done = CliRunner().invoke(voevent, ["send", "--journal", str(path), "--json"])
    assert json.loads(done.stdout) == {"sent": 1}
    assert [entry.payload for entry in Journal(home / "journal").read()] == [samples.alert_json()]
    verified = CliRunner().invoke(voevent, ["journal", "verify", "--json"])
    assert (verified.exit_code, json.loads(verified.stdout)["records"]) == (0, 1)


def test_damage_of_the_journal_is_reported_and_fails(home: Path, tmp_path: Path, samples: Any) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(samples.alert_json())
    CliRunner().invoke(voevent, ["send", "--journal", str(path)])
    (segment,) = (home / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[-100] ^= 1
    segment.write_bytes(content)
    verified = CliRunner().invoke(voevent, ["journal", "verify", "--json"])
    assert verified.exit_code == 1
    assert len(json.loads(verified.stdout)["damage"]) == 1
