"""Fixtures every folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real packets, notices, maps and catalogues; a test that asks for them is skipped where they are not."""
    folder = Path(os.environ.get("ASTERISM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "SHA256SUMS").is_file():
        pytest.skip(f"real data not found at {folder} (set ASTERISM_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test."""
    for name in list(os.environ):
        if name.startswith("ASTERISM_") and name not in {"ASTERISM_TEST_DATA", "ASTERISM_GRAPHFRAMES_JAR"}:
            monkeypatch.delenv(name)
