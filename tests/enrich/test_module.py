"""The contract holds modules and callers to what is declared."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typing_extensions import override

from asterism.enrich.commands import MODULES
from asterism.enrich.errors import ModuleInputError, ModuleOutputError, ModuleSetupError
from asterism.enrich.match import CatalogueMatch
from asterism.enrich.module import ScienceModule
from asterism.enrich.risefade import RiseFade
from asterism.records import DETECTION


class Doubling(ScienceModule):
    """Doubles x."""

    name: ClassVar[str] = "doubling"
    version: ClassVar[int] = 3
    inputs: ClassVar[pa.Schema] = pa.schema([pa.field("x", pa.int64(), nullable=False), ("y", pa.int64())])
    outputs: ClassVar[pa.Schema] = pa.schema(
        [("twice", pa.int64()), pa.field("module", pa.string(), nullable=False), ("version", pa.int32())]
    )
    seen: pa.Table | None = None

    @override
    def compute(self, table: pa.Table) -> pa.Table:
        self.seen = table
        return pa.table({"twice": pc.add(table["x"], table["x"])})


class Lying(Doubling):
    """Declares what it does not return."""

    @override
    def compute(self, table: pa.Table) -> pa.Table:
        return pa.table({"thrice": table["x"]})


class Broken(Doubling):
    """Was set up wrongly."""

    @override
    def validate(self) -> None:
        raise ModuleSetupError("no")


GIVEN = pa.table({"z": ["a", "b"], "y": pa.array([None, 1], pa.int64()), "x": [1, 2]})


def test_a_module_sees_the_declared_columns_only_and_its_results_carry_name_and_version() -> None:
    module = Doubling()
    result = module.run(GIVEN)
    assert module.seen is not None
    assert module.seen.column_names == ["x", "y"]
    assert result.schema == Doubling.outputs
    assert result.to_pylist() == [
        {"twice": 2, "module": "doubling", "version": 3},
        {"twice": 4, "module": "doubling", "version": 3},
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (GIVEN.drop_columns(["y"]), "0 columns y"),
        (GIVEN.set_column(2, "x", pa.array([1.5, 2.5])), "x is double, not int64"),
        (GIVEN.set_column(2, "x", pa.array([1, None])), "1 rows have no x"),
        (GIVEN.append_column("x", GIVEN["x"]), "2 columns x"),
    ],
)
def test_rows_that_lack_what_a_module_needs_are_refused_by_name(table: pa.Table, message: str) -> None:
    with pytest.raises(ModuleInputError, match=message) as caught:
        Doubling().run(table)
    assert caught.value.code == "enrich.bad_input"


def test_a_module_that_breaks_its_declaration_is_found_out() -> None:
    with pytest.raises(ModuleOutputError, match="0 columns twice"):
        Lying().run(GIVEN)


def test_nothing_is_computed_by_a_module_that_was_set_up_wrongly() -> None:
    module = Broken()
    with pytest.raises(ModuleSetupError):
        module.run(GIVEN)
    assert module.seen is None


@pytest.mark.parametrize("module", [CatalogueMatch((Path("x.parquet"),)), RiseFade()])
def test_shipped_modules_take_columns_of_detections_and_can_be_sent_to_executors(module: ScienceModule) -> None:
    assert type(module) in MODULES
    for field in module.inputs:
        assert field.type == DETECTION.field(field.name).type
    assert {"status", "detail", "module", "version"} < set(module.outputs.names)
    assert len(pickle.dumps(module)) < 10_000
