"""Decoders that know the simulator's schemas, and the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterism.ingest.decode import Decoder
from asterism.ingest.schemas import SchemaSource
from asterism.simulate.packets import write_schemas


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(folder)
    return Decoder(SchemaSource(folder=folder))


@pytest.fixture(scope="session")
def real_decoder(test_data: Path) -> Decoder:
    return Decoder(SchemaSource(folder=test_data / "lsst/schema"))
