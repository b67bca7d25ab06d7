"""`asterism.logs`: a log tells of the work and never stops it."""

from __future__ import annotations

import sys

import pytest

from asterism.logs import configure_logs, get_logger


def test_a_line_goes_to_the_stderr_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("INFO", as_json=True)
    get_logger("test").info("said", code="a.b")
    captured = capsys.readouterr()
    assert '"code": "a.b"' in captured.err
    assert captured.out == ""


def test_a_log_that_cannot_be_written_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs("INFO", as_json=False)
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(OSError, match="No space left"):
            print("x", file=sys.stderr, flush=True)
        get_logger("test").error("not said")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()
