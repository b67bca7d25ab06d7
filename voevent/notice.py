"""`Notice`: what one delivered document says, in our terms. Immutable; its key is the SHA-256 of the
delivered bytes.

Everything an event's state depends on stands in the `Notice` itself, so that `asterism.voevent.lifecycle`
needs no other source, and `as_record` / `from_record` carry it through the graph without loss. `raw` holds
the document's own values, for people; it is not part of the record.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from asterism.sky.localization import Localization
from asterism.times import mjd_tai_to_iso
from asterism.voevent.clock import utc_text
from asterism.voevent.document import Citation
from asterism.voevent.missions.table import Standing


@dataclass(frozen=True)
class Region:
    """Where a notice says the event is.

    Angles are ICRS degrees. A notice that names FK5 is taken as ICRS: the two differ by less than 0.03
    arcsec.
    """

    type: Literal["circle", "mixture", "ellipse", "skymap", "point"]
    """Shape of the localization; ``point`` is a position whose error is not known, so it has no region."""
    ra_deg: float
    """Right ascension of the centre, or of the densest pixel of a map."""
    dec_deg: float
    """Declination of the same."""
    radius_deg: float | None = None
    """The error radius as published, of an ellipse its semi-major axis; None if none, or if 0 or negative, which
means unknown."""
    containment: float | None = None
    """Probability inside `radius_deg`; None if undocumented."""
    systematic_included: bool | None = None
    """Whether `radius_deg` covers systematic errors; None if undocumented."""
    radius_50_deg: float | None = None
    """A published 50 % radius."""
    systematic: str | None = None
    """Name of the systematic error added to the published radius."""
    area_50_deg2: float | None = None
    area_90_deg2: float | None = None
    distance_mpc: float | None = None
    """Mean distance over the whole map [Mpc]."""
    distance_sigma_mpc: float | None = None
    """Its standard deviation [Mpc]."""
    box_area_deg2: float | None = None
    """Area of a published error box, which is 4 / pi of that of the contour inscribed in it."""
    map_sha256: str | None = None
    """Name of the map in the lake's folder of maps."""
    record: Mapping[str, Any] | None = field(default=None, compare=True)
    """The localization as `asterism.sky` reads it back; None for a point and for a map, which stands in the
lake."""


@dataclass(frozen=True)
class Notice:
    """One notice, normalised."""

    key: str
    """SHA-256 of the delivered bytes, hexadecimal."""
    event_key: str
    """``authority:name`` of the event it is about."""
    mission: str
    """Authority of the mission's table."""
    kind: str
    """gw, grb, neutrino or unknown."""
    stage: str
    """Type of notice within the mission: flight, final, preliminary, ..."""
    role: str
    """The document's own role."""
    standing: Standing
    """``real``, or why it is kept apart."""
    ivorn: str | None = None
    is_retraction: bool = False
    rank: int = 0
    """Of two localizations of an event the higher rank holds."""
    revision: int = 0
    """The mission's own count of revisions, 0 if it keeps none."""
    issued_mjd_tai: float | None = None
    """When the notice was written, MJD TAI."""
    t0_mjd_tai: float | None = None
    """When the event happened, MJD TAI; None if the notice gives another time or none."""
    t0_rank: int = 0
    """Of two trigger times of an event the higher rank holds."""
    observation_time_raw: str | None = None
    """The document's time as written."""
    time_scale: str = "UTC"
    """Its scale."""
    region: Region | None = None
    far_hz: float | None = None
    """False-alarm rate [Hz]."""
    classification: Mapping[str, float] = field(default_factory=dict)
    """Probability of each class the notice names."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """What else the mission says of the source, such as HasRemnant; never needed to identify anything."""
    citations: tuple[Citation, ...] = ()
    cited_events: tuple[str, ...] = ()
    """Event key each citation resolves to by its IVORN, in the same order."""
    map_url: str | None = None
    flags: tuple[str, ...] = ()
    """What is odd about it, sorted: no_namespace, radius_unknown, not_a_grb, ..."""
    verified_against_sample: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def as_record(self) -> dict[str, Any]:
        """Return everything but `raw` as JSON-ready values."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "raw"}
        record["region"] = None if self.region is None else dict(_shallow(self.region))
        record["citations"] = [[citation.ivorn, citation.cite] for citation in self.citations]
        record |= {name: dict(record[name]) for name in ("classification", "properties")}
        record |= {name: list(record[name]) for name in ("flags", "cited_events")}
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Notice:
        """Build from what `as_record` returned."""
        values = dict(record)
        region = values.pop("region")
        citations = tuple(Citation(ivorn, cite) for ivorn, cite in values.pop("citations"))
        flags, cited = tuple(values.pop("flags")), tuple(values.pop("cited_events"))
        place = None if region is None else Region(**region)
        return cls(**values, region=place, citations=citations, flags=flags, cited_events=cited)

    def as_cli(self) -> dict[str, Any]:
        """Return what ``asterism voevent parse --json`` prints; its names are a promise."""
        return {
            "event_key": self.event_key,
            "notice_key": self.key,
            "mission": self.mission,
            "kind": self.kind,
            "role": self.role,
            "standing": self.standing,
            "stage": self.stage,
            "is_retraction": self.is_retraction,
            "ivorn": self.ivorn,
            "t0_utc": self._t0_utc(),
            "issued_utc": None if self.issued_mjd_tai is None else mjd_tai_to_iso(self.issued_mjd_tai),
            "observation_time_raw": self.observation_time_raw,
            "time_scale": self.time_scale,
            "localization": None if self.region is None else _shallow(self.region),
            "far_hz": self.far_hz,
            "classification": dict(self.classification) or None,
            "properties": dict(self.properties) or None,
            "citations": [{"ivorn": c.ivorn, "cite": c.cite} for c in self.citations],
            "map_url": self.map_url,
            "flags": list(self.flags),
            "verified_against_sample": self.verified_against_sample,
            "raw": dict(self.raw),
        }

    def _t0_utc(self) -> str | None:
        if self.t0_mjd_tai is None or self.observation_time_raw is None:
            return None
        return utc_text(self.observation_time_raw, self.time_scale)


@dataclass(frozen=True, eq=False)
class Reading:
    """What reading delivered bytes gives."""

    notice: Notice
    localization: Localization | None = None
    """What `Notice.region` describes, ready to compute with; None for a point or nothing."""
    sky_map: bytes | None = None
    """The FITS file inside the notice, as it was."""


def notice_key(payload: bytes) -> str:
    """Return the key of a notice: the SHA-256 of its bytes, hexadecimal."""
    return hashlib.sha256(payload).hexdigest()


def _shallow(region: Region) -> dict[str, Any]:
    values = {f.name: getattr(region, f.name) for f in dataclasses.fields(region)}
    values["record"] = None if region.record is None else dict(region.record)
    return values
