"""The contract of a science module: Arrow in, Arrow out, nothing else.

A module never writes, never asks the network for anything and never reads settings: what it needs comes in its
constructor, so that the hot lane, a backfill and a test run the same code. Who calls it writes what it returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pyarrow as pa

from asterism.enrich.errors import ModuleInputError, ModuleOutputError


class ScienceModule(ABC):
    """Something that is computed from alerts.

    To write one, derive from this class, set the four class attributes and define `compute`; `RiseFade` is an example.

    - `run` hands `compute` a table with exactly the columns of `inputs`, in that order, of those types, without
      nulls where the schema forbids them. All other nulls mean *unknown*.
    - `compute` returns a table with the columns of `outputs` except ``module`` and ``version``, which `run` adds.
      It must be pure: the same rows give the same result, whatever order they come in and whatever else is in the
      table. It says for every object (or alert) it was given one of three things, in the column ``status``:
      a value; that there is none; or that it could not look (`asterism.records.Status`). A failure of one look-up is
      a row, not an exception; an exception means that the module itself is broken.
    - `validate` raises `ModuleSetupError` if the instance was set up wrongly. `run` calls it first, so that nothing
      is computed with nonsense. It must be cheap and read no file.
    - `version` is raised whenever the same input could give another output.

    Instances are small and picklable: executors get a copy each. Anything large is loaded when first used.
    """

    name: ClassVar[str]
    """Stable name, lower case with hyphens."""
    version: ClassVar[int]
    """Version of the results."""
    inputs: ClassVar[pa.Schema]
    """Columns needed, named and typed as in `asterism.records.DETECTION`."""
    outputs: ClassVar[pa.Schema]
    """Columns returned by `run`."""

    def validate(self) -> None:
        """Raise `ModuleSetupError` if this instance cannot work; by default it can."""
        return

    @abstractmethod
    def compute(self, table: pa.Table) -> pa.Table:
        """Return the results for `table`; see the class for what both look like."""

    def run(self, table: pa.Table) -> pa.Table:
        """Check the input, compute, and check the output.

        Parameters
        ----------
        table : pyarrow.Table
            Has at least the columns of `inputs`.

        Returns
        -------
        pyarrow.Table
            Of schema `outputs`.

        Raises
        ------
        ModuleSetupError
            If the module was set up wrongly.
        ModuleInputError
            If a column is missing, of another type or null where it must be known.
        ModuleOutputError
            If the module breaks its own declaration.
        """
        self.validate()
        given, problem = _conform(table, self.inputs)
        if given is None:
            raise ModuleInputError(f"{self.name}: {problem}")
        result = self.compute(given)
        for column, value in (("module", self.name), ("version", self.version)):
            stamp = pa.repeat(pa.scalar(value, self.outputs.field(column).type), result.num_rows)
            result = result.append_column(column, stamp)
        stamped, problem = _conform(result, self.outputs)
        if stamped is None:
            raise ModuleOutputError(f"{self.name}: {problem}")
        return stamped


def _conform(table: pa.Table, schema: pa.Schema) -> tuple[pa.Table | None, str]:
    """Return the columns of `schema` with its metadata; or None and what is wrong."""
    for field in schema:
        if table.schema.names.count(field.name) != 1:
            return None, f"there are {table.schema.names.count(field.name)} columns {field.name}"
        column = table[field.name]
        if column.type != field.type:
            return None, f"column {field.name} is {column.type}, not {field.type}"
        if not field.nullable and column.null_count:
            return None, f"{column.null_count} rows have no {field.name}"
    return table.select(schema.names).cast(schema), ""
