"""Quality cuts as flags: which published rule sets an alert passes. The sets stand in ``quality.toml``.

Three-valued (Kleene): a cut that fails decides, a missing value otherwise leaves the answer open.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.resources import files

import pyarrow as pa
import pyarrow.compute as pc

_MAG_DIFFERENCE = "apMinusPsfMag"


@dataclass(frozen=True)
class Cut:
    """One condition on the alerts of one survey.

    Attributes
    ----------
    survey : str
        Whose alerts it concerns.
    value : str
        A column of `asterism.records.DETECTION`, or ``apMinusPsfMag``.
    holds : str
        ``>``, ``>=``, ``==``, ``!=``, or ``within``: the size of the value is less than the bound.
    bound : float or str
        What the value is compared with, in its unit.
    """

    survey: str
    value: str
    holds: str
    bound: float | str

    def of(self, alerts: pa.Table) -> pa.ChunkedArray:
        """Return whether it holds, null where the value is."""
        value = _mag_difference(alerts) if self.value == _MAG_DIFFERENCE else alerts[self.value]
        match self.holds:
            case ">":
                return pc.greater(value, self.bound)
            case ">=":
                return pc.greater_equal(value, self.bound)
            case "==":
                return pc.equal(value, self.bound)
            case "!=":
                return pc.not_equal(value, self.bound)
            case "within":
                return pc.less(pc.abs(value), self.bound)
            case _:
                raise ValueError(f"quality.toml: {self.holds!r} is no comparison")


@dataclass(frozen=True)
class QualityRules:
    """A published set of cuts.

    Attributes
    ----------
    name : str
        As users know it.
    column : str
        The column of `asterism.records.DETECTION` that tells who passes.
    source : str
        Where it was published.
    cuts : tuple of Cut
        All must hold.
    """

    name: str
    column: str
    source: str
    cuts: tuple[Cut, ...]

    def flags(self, survey: str, alerts: pa.Table) -> pa.ChunkedArray | pa.Array:
        """Return who passes among the alerts of one survey; null where that cannot be told."""
        held = [cut.of(alerts) for cut in self.cuts if cut.survey == survey]
        return reduce(pc.and_kleene, held) if held else pa.nulls(alerts.num_rows, pa.bool_())


@lru_cache(maxsize=1)
def quality_rules() -> tuple[QualityRules, ...]:
    """Return the rule sets of this version."""
    text = files("asterism.ingest").joinpath("quality.toml").read_text(encoding="utf-8")
    return tuple(
        QualityRules(entry["name"], entry["column"], entry["source"], tuple(Cut(**cut) for cut in entry["cuts"]))
        for entry in tomllib.loads(text)["rule_set"]
    )


def with_flags(survey: str, alerts: pa.Table) -> pa.Table:
    """Return alerts of one survey (schema `DETECTION`) with the flag of every rule set filled in."""
    for rules in quality_rules():
        at = alerts.schema.get_field_index(rules.column)
        alerts = alerts.set_column(at, alerts.schema.field(at), rules.flags(survey, alerts))
    return alerts


def _mag_difference(alerts: pa.Table) -> pa.ChunkedArray:
    """Return aperture less PSF magnitude [mag]: both fluxes have the sign of the difference image."""
    ratio = pc.divide(alerts["apFlux"], alerts["flux"])
    return pc.multiply(pc.log10(pc.if_else(pc.greater(ratio, 0.0), ratio, None)), -2.5)
