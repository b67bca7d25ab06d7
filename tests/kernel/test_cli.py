"""Exit codes and the two output streams, which scripts rely on: 0 done, 1 coded error on stderr, 2 wrong usage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import ModuleType

import click
import pytest

import asterism
from asterism import cli
from asterism.cli import GROUP, json_option, print_json, print_result
from asterism.errors import IdError

Run = Callable[..., tuple[int, str, str]]
"""Runs ``asterism`` with arguments; returns exit code, stdout and stderr."""


@click.command()
@json_option
@click.option("--fail", type=click.Choice(["coded", "usage", "exit", "abort", "interrupt"]))
def probe(as_json: bool, fail: str | None) -> None:
    match fail:
        case "coded":
            raise IdError("id [bold]x[/bold] is bad", hint="use [another]")
        case "usage":
            raise click.UsageError("these do not go together")
        case "exit":
            click.get_current_context().exit(1)
        case "abort":
            raise click.Abort
        case "interrupt":
            raise KeyboardInterrupt
    print_result({"done": True}, as_json, lambda: "done")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``asterism`` in this process with one more command, ``probe``."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("asterism_probe")
    module.probe = probe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "asterism_probe", module)
    point = EntryPoint("probe", "asterism_probe:probe", GROUP)
    monkeypatch.setattr(cli, "entry_points", EntryPoints([point]).select)

    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["asterism", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return invoke


def test_a_command_that_is_done_exits_0_and_prints_its_result_on_stdout(run: Run) -> None:
    assert run("probe") == (0, "done\n", "")
    code, out, err = run("probe", "--json")
    assert (code, json.loads(out), err) == (0, {"done": True}, "")


def test_a_coded_error_exits_1_and_says_code_message_and_advice_on_stderr(run: Run) -> None:
    code, out, err = run("probe", "--fail", "coded")
    assert (code, out) == (1, "")
    assert "id.malformed id [bold]x[/bold] is bad" in " ".join(err.split())
    assert "use [another]" in err


def test_with_json_a_coded_error_is_one_json_line_on_stderr(run: Run) -> None:
    code, out, err = run("probe", "--json", "--fail", "coded")
    assert (code, out) == (1, "")
    assert json.loads(err) == {
        "error": {"code": "id.malformed", "message": "id [bold]x[/bold] is bad", "hint": "use [another]"}
    }


@pytest.mark.parametrize("arguments", [["nonsense"], ["probe", "--nonsense"], ["probe", "--fail", "usage"]])
def test_wrong_usage_exits_2(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error:" in err


def test_a_command_may_choose_its_exit_code(run: Run) -> None:
    assert run("probe", "--fail", "exit")[0] == 1


@pytest.mark.parametrize("how", ["abort", "interrupt"])
def test_an_interrupt_exits_130_without_a_traceback(run: Run, how: str) -> None:
    code, out, err = run("probe", "--fail", how)
    assert (code, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["probe", "--help"]])
def test_help_and_version_exit_0(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert out


def test_a_wrong_setting_is_a_coded_error_for_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_API_PORT", "many")
    code, out, err = run("probe", "--json")
    assert (code, out) == (1, "")
    assert json.loads(err)["error"]["code"] == "settings.invalid"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_what_is_not_json_is_not_printed_as_json(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        print_json(value)


def test_the_installed_command_and_the_module_are_the_same_program() -> None:
    for program in ([sys.executable, "-m", "asterism"], [str(Path(sys.executable).with_name("asterism"))]):
        done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
        assert asterism.__version__ in done.stdout


def test_listing_the_commands_imports_no_part() -> None:
    parts = ("deploy", "enrich", "gql", "graph", "ingest", "simulate", "voevent")
    script = (
        "import sys\nfrom asterism.cli import cli\nfrom click.testing import CliRunner\n"
        "names = cli.list_commands(None)\n"
        f"print(names, [m for m in sys.modules if m.startswith(tuple('asterism.' + p for p in {parts}))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    assert "'config'" in done.stdout


def test_the_kernel_s_own_command_is_registered() -> None:
    assert "config" in entry_points(group=GROUP).names


def test_a_closed_pipe_is_not_a_traceback(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "asterism", "config", "show"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert b"Traceback" not in shown.stderr.read()


def test_ctrl_c_ends_a_running_command_with_130(tmp_path: Path) -> None:
    script = (
        "import click, sys, time\nfrom asterism import cli\n"
        "@click.command()\ndef wait():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "cli.cli.get_command = lambda ctx, name: wait\n"
        "sys.argv = ['asterism', 'wait']\ncli.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stderr is not None
        assert waiting.stdout.readline() == b"ready\n"
        os.kill(waiting.pid, signal.SIGINT)
        said = waiting.stderr.read()
        assert waiting.wait(30) == 130
    assert b"interrupted" in said
    assert b"Traceback" not in said
