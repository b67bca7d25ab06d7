"""What `graph.reader` returns: a frozen dataclass per label, its fields the node's properties in snake case.

Invariants: ids are strings, unknown is None, and no float is NaN or infinite (a store that holds one reads as
unknown). Units and time scales are those of `asterism.records`, whose columns these properties are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Row = TypeVar("Row", bound="_Row")


@dataclass(frozen=True, slots=True)
class _Row:
    """A node read by the list of its properties."""

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the graph's names of the fields, in order."""
        return tuple(_camel(field.name) for field in fields(cls))

    @classmethod
    def projection(cls, variable: str) -> str:
        """Return the Cypher list that `from_values` reads, such as ``[o.key, o.ra]``."""
        return f"[{', '.join(f'{variable}.{name}' for name in cls.columns())}]"

    @classmethod
    def from_values(cls: type[Row], values: Sequence[Any]) -> Row:
        """Build the row from the values of `projection`."""
        return cls(*map(finite, values))


@dataclass(frozen=True, slots=True)
class ObjectRow(_Row):
    """An object of one survey."""

    key: str
    survey: str
    object_id: str
    public: bool
    ra: float
    dec: float
    hpx29: int
    first_mjd_tai: float | None
    provisional: bool | None
    last_mjd_tai: float | None
    last_band: str | None
    last_mag: float | None
    last_flux: float | None
    last_alert_key: str | None
    n_detections: int | None
    brightest_mag: float | None


@dataclass(frozen=True, slots=True)
class AlertRow(_Row):
    """One alert: a detection on a difference image."""

    key: str
    object_key: str | None
    survey: str
    source_id: str
    ss_object_id: str | None
    ss_distance: float | None
    mjd_tai: float
    night: int
    ra: float
    dec: float
    hpx29: int
    band: str | None
    is_positive: bool | None
    flux: float | None
    flux_err: float | None
    mag: float | None
    mag_err: float | None
    snr: float | None
    ap_flux: float | None
    limit_mag: float | None
    reliability: float | None
    rb: float | None
    n_bad: int | None
    program_id: int | None
    public: bool
    schema_version: str | None
    passes_paper2020: bool | None
    passes_fink2026: bool | None


@dataclass(frozen=True, slots=True)
class SourceRow(_Row):
    """A source of the sky: objects of all surveys that are the same."""

    key: str
    ra: float | None
    dec: float | None


@dataclass(frozen=True, slots=True)
class EventRow(_Row):
    """An event: what its notices say together, and what association last made of it."""

    key: str
    kind: str | None
    standing: str | None
    state: str | None
    version: int | None
    t0_mjd_tai: float | None
    far_hz: float | None
    classification: str | None
    properties: str | None
    flags: list[str] | None
    latest_stage: str | None
    first_issued_mjd_tai: float | None
    last_issued_mjd_tai: float | None
    retracted_mjd_tai: float | None
    scored_localization: str | None
    rule_set: str | None
    log_sum_l: float | None
    n_candidates: int | None
    n_overflow: int | None
    q: float | None
    background_rate: float | None
    background_measured: bool | None
    background_objects: int | None
    region_level: float | None
    changed: int | None = None


@dataclass(frozen=True, slots=True)
class NoticeRow(_Row):
    """A notice, as it was announced and as it came."""

    key: str
    ivorn: str | None
    mission: str | None
    kind: str | None
    stage: str | None
    role: str | None
    standing: str | None
    is_retraction: bool | None
    issued_mjd_tai: float | None
    received_mjd_tai: float | None
    t0_mjd_tai: float | None
    far_hz: float | None
    classification: str | None
    map_url: str | None
    channels: list[str] | None
    flags: list[str] | None
    conflict: bool | None


@dataclass(frozen=True, slots=True)
class LocalizationRow(_Row):
    """Where a notice says its event is, and when that held."""

    key: str
    kind: str | None
    ra: float | None
    dec: float | None
    radius_deg: float | None
    containment: float | None
    systematic_included: bool | None
    systematic: str | None
    area50: float | None
    area90: float | None
    distance_mpc: float | None
    distance_sigma_mpc: float | None
    valid_from_mjd_tai: float | None
    valid_to_mjd_tai: float | None
    current: bool | None


@dataclass(frozen=True, slots=True)
class LinkRow(_Row):
    """A link of an object to an event: log L, its terms and what else was measured. Natural logarithms."""

    localization: str
    rule_set: str
    open: bool
    log_l: float
    log_position: float | None
    log_time: float | None
    log_background: float | None
    log_fade: float | None
    log_persistence: float | None
    log_distance: float | None
    level: float | None
    searched_area_deg2: float | None
    delay_days: float | None
    fade_rate: float | None
    fade_rate_err: float | None
    n_chance: float | None
    n_chance_area: float | None
    detections: int | None
    opened_mjd_tai: float | None
    closed_mjd_tai: float | None
    closed_because: str | None
    vetting: str | None
    log_coincidence: float | None = None
    background_rate: float | None = None
    known_class: str | None = None
    grade: str | None = None
    vetted_by: str | None = None
    vetted_because: str | None = None
    vetted_mjd_tai: float | None = None
    first_detection_mjd_tai: float | None = None
    last_detection_mjd_tai: float | None = None
    last_non_detection_mjd_tai: float | None = None
    last_non_detection_limit_mag: float | None = None
    prior_activity: bool | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogSourceRow(_Row):
    """A source of a catalogue; it never changes."""

    key: str
    catalogue: str
    release: str
    id: str
    class_: str | None
    type: str | None
    ra: float
    dec: float
    distance_mpc: float | None
    redshift: float | None
    mag: float | None


@dataclass(frozen=True, slots=True)
class MatchRow(_Row):
    """How an object and a catalogued source lie to each other."""

    separation_arcsec: float | None
    rank: int | None
    p_chance: float | None
    module: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class ClassificationRow(_Row):
    """What one version of a classifier says of an object, given its alerts up to one."""

    key: str
    object_key: str
    module: str
    version: int
    last_source_id: str
    last_mjd_tai: float
    public: bool
    alerts: int | None
    detections: int | None
    class_: str
    prob: float | None
    fade_rate: float | None
    fade_rate_err: float | None
    current: bool | None


@dataclass(frozen=True, slots=True)
class AnnotationRow(_Row):
    """What somebody said of an object, an event or a candidate."""

    key: str
    kind: str | None
    text: str | None
    author: str | None
    created_mjd_tai: float | None
    withdrawn_mjd_tai: float | None
    state: str | None
    object_key: str | None
    event_key: str | None


@dataclass(frozen=True, slots=True)
class RunRow(_Row):
    """A run of a job that wrote to the graph."""

    key: str
    kind: str | None
    version: str | None
    started_mjd_tai: float | None
    ended_mjd_tai: float | None


@dataclass(frozen=True, slots=True)
class CoincidenceRow(_Row):
    """A link between two events that may be one. Natural logarithms."""

    first_localization: str
    second_localization: str
    rule_set: str
    log_odds: float | None
    overlap: float | None
    offset_seconds: float | None
    window_seconds: float | None
    far_hz: float | None
    far_floored: bool | None
    chain: list[str] | None
    open: bool
    opened_mjd_tai: float | None
    closed_mjd_tai: float | None
    closed_because: str | None


@dataclass(frozen=True, slots=True)
class EntryRow(_Row):
    """What carries a tag or stands on a watchlist: an object, an event or a cone."""

    key: str
    author: str
    created_mjd_tai: float
    object_key: str | None
    event_key: str | None
    ra: float | None
    dec: float | None
    radius_arcsec: float | None


@dataclass(frozen=True, slots=True)
class SurveyCount:
    """How much of one survey is in the graph."""

    survey: str
    objects: int
    alerts: int


def finite(value: Any) -> Any:
    """Return None for NaN and infinities, anything else as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
