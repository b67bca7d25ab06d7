"""``asterism simulate`` writes what it says and refuses what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from asterism.simulate.commands import simulate
from asterism.simulate.errors import OutputExistsError
from asterism.simulate.stream import generate_stream

FEW = ["packets", "--ztf", "4", "--lsst", "5", "--seed", "7"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, list(arguments))


def test_a_folder_gets_the_packets_the_schema_and_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "packets"
    result = run(*FEW, "--duplicates", "0.5", "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    truth = json.loads(result.stdout)
    assert truth == json.loads((out / "truth.json").read_text(encoding="utf-8"))
    assert (truth["alerts"], truth["dead_letters"]) == (9, 0)
    files = sorted(out.glob("*/*.avro"), key=lambda path: path.name)
    expected = [m.payload for m in generate_stream(7, 4, 5, duplicates=0.5)]
    assert [path.read_bytes() for path in files] == expected
    assert len(files) == truth["packets"] == 9 + truth["duplicates"]
    assert [path.name for path in (out / "schemas").iterdir()] == ["1100.avsc"]


def test_text_output_names_every_count(tmp_path: Path) -> None:
    result = run(*FEW, "--out", str(tmp_path / "packets"))
    assert result.exit_code == 0
    for name in ("packets", "alerts", "duplicates", "dead letters", "objects", "edges", "pairs"):
        assert name in result.stdout


def test_packets_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "old.avro").write_bytes(b"")
    result = run(*FEW, "--out", str(tmp_path))
    assert isinstance(result.exception, OutputExistsError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.avro"]


@pytest.mark.parametrize("choice", [[], ["--publish", "--out", "somewhere"]])
def test_one_destination_must_be_given(choice: list[str]) -> None:
    assert run(*FEW, *choice).exit_code == 2


@pytest.mark.parametrize("wrong", [["--ztf", "-1"], ["--corrupt", "1.5"], ["--rate", "0"], ["--seed", "-2"]])
def test_values_out_of_range_are_wrong_usage(wrong: list[str]) -> None:
    assert run("packets", *wrong, "--publish").exit_code == 2


def test_schemas_are_written_where_asked(tmp_path: Path) -> None:
    result = run("schemas", str(tmp_path / "s"), "--json")
    assert json.loads(result.stdout)["files"] == [str(tmp_path / "s" / "1100.avsc")]
