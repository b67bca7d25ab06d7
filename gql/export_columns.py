"""What the columns of exported tables are: name, type, unit, UCD, meaning, and where each value comes from.

Names, units and time scales are those of the graph (`asterism.records`). Units are VOUnits, UCDs of the UCD1+
vocabulary. Times are MJD, TAI, at the telescope; positions ICRS. Identifiers are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from asterism.graph.posterior import Posterior
from asterism.graph.rows import EventRow, LinkRow, ObjectRow
from asterism.records import SCIENCE

Kind = Literal["text", "float", "long", "int", "flag"]

_MEANINGS = {field.name: field.metadata[b"meaning"].decode() for field in SCIENCE}


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        Name.
    kind : str
        Type of the values; each may be None.
    meaning : str
        What a value says.
    ucd : str
        Its Unified Content Descriptor.
    read : callable
        Takes the value out of a record.
    unit : str, optional
        Its VOUnit.
    frame : str, optional
        ``icrs`` of positions, ``tai`` of times.
    """

    name: str
    kind: Kind
    meaning: str
    ucd: str
    read: Callable[[Any], Any]
    unit: str | None = None
    frame: Literal["icrs", "tai"] | None = None


@dataclass(frozen=True)
class Table:
    """A table that can be exported.

    Parameters
    ----------
    name, meaning : str
        Name, and what a row is.
    columns : tuple of Column
        Its columns.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]

    def values(self, records: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of some records."""
        return [tuple(column.read(record) for column in self.columns) for record in records]


class Candidate(NamedTuple):
    """A record of the table of candidates."""

    event: EventRow
    link: LinkRow
    object: ObjectRow
    belief: Posterior | None


class Found(NamedTuple):
    """A record of a cone search."""

    object: ObjectRow
    separation: float


def _text(name: str, meaning: str, ucd: str, path: str) -> Column:
    return Column(name, "text", meaning, ucd, attrgetter(path))


def _number(name: str, meaning: str, ucd: str, path: str, unit: str | None = None) -> Column:
    return Column(name, "float", meaning, ucd, attrgetter(path), unit)


def _time(name: str, meaning: str, ucd: str, path: str) -> Column:
    return Column(name, "float", meaning, ucd, attrgetter(path), "d", "tai")


def _position(name: str, meaning: str, ucd: str, path: str) -> Column:
    return Column(name, "float", meaning, ucd, attrgetter(path), "deg", "icrs")


def _object_columns(path: str) -> tuple[Column, ...]:
    """Return the columns of an object that stands at `path` of a record, ``""`` or one that ends with a dot."""
    return (
        _text("objectKey", "survey:objectId", "meta.id;meta.main", f"{path}key"),
        _text("survey", "ztf or lsst", "meta.id;obs", f"{path}survey"),
        _text("objectId", "objectId or diaObjectId", "meta.id", f"{path}object_id"),
        Column("public", "flag", "it may be shown to everybody", "meta.code", attrgetter(f"{path}public")),
        _position("ra", "right ascension of its earliest alert, ICRS", "pos.eq.ra;meta.main", f"{path}ra"),
        _position("dec", "declination of its earliest alert, ICRS", "pos.eq.dec;meta.main", f"{path}dec"),
        Column("hpx29", "long", _MEANINGS["hpx29"], "pos.healpix", attrgetter(f"{path}hpx29")),
        _time("firstMjdTai", "first detection, MJD TAI", "time.start;obs", f"{path}first_mjd_tai"),
        _time("lastMjdTai", "latest alert, MJD TAI", "time.end;obs", f"{path}last_mjd_tai"),
        _text("lastBand", "band of the latest alert", "meta.code;instr.bandpass", f"{path}last_band"),
        _number("lastMag", "AB magnitude of |flux| of the latest alert", "phot.mag", f"{path}last_mag", "mag"),
        _number(
            "lastFlux", "signed PSF difference flux of the latest alert", "phot.flux.density", f"{path}last_flux", "nJy"
        ),
        Column("nDetections", "int", "the survey's own count", "meta.number;obs", attrgetter(f"{path}n_detections")),
        _number(
            "brightestMag", "brightest AB magnitude of a positive detection", "phot.mag;stat.min",
            f"{path}brightest_mag", "mag",
        ),
    )  # fmt: skip


OBJECTS = Table("objects", "Objects: the detections a survey holds to be the same.", _object_columns(""))

CONE = Table(
    "objects",
    "The objects in a cone, nearest first.",
    (
        _number("separationArcsec", "distance from the centre of the cone", "pos.angDistance", "separation", "arcsec"),
        *_object_columns("object."),
    ),
)

CANDIDATES = Table(
    "candidates",
    "The candidates of an event, the largest log L first.",
    (
        _text("eventKey", "event, authority:name", "meta.id.assoc", "event.key"),
        Column(
            "probability", "float", "that it is the counterpart; empty where it is not known", "stat.probability",
            lambda row: None if row.belief is None else row.belief.value,
        ),
        Column(
            "probabilityLow", "float", "the same for a third of the prior", "stat.probability;stat.min",
            lambda row: None if row.belief is None else row.belief.low,
        ),
        Column(
            "probabilityHigh", "float", "the same for three times the prior", "stat.probability;stat.max",
            lambda row: None if row.belief is None else row.belief.high,
        ),
        _number("logL", "ln of the likelihood ratio, counterpart to unrelated object", "stat.likelihood", "link.log_l"),
        *(
            _number(f"log{name.capitalize()}", f"term of logL: {meaning}", "stat.likelihood", f"link.log_{name}")
            for name, meaning in (
                ("position", "density of the sky map, per deg2"),
                ("time", "density of the delay, per day"),
                ("background", "one over the rate of unrelated objects, deg2 day"),
                ("fade", "fade rate"),
                ("persistence", "seen again or not"),
                ("distance", "distance of the host"),
            )
        ),
        _number("level", "smallest credible level that holds the object", "stat.probability", "link.level"),
        _number(
            "searchedAreaDeg2", "area of everything at least as dense", "phys.angArea",
            "link.searched_area_deg2", "deg2",
        ),
        _number("delayDays", "first detection minus time of the event", "time.duration", "link.delay_days", "d"),
        _number("fadeRate", "fade rate, positive fades", "arith.rate;phot.mag", "link.fade_rate", "mag/d"),
        _number("fadeRateErr", "1 sigma of fadeRate", "stat.error;phot.mag", "link.fade_rate_err", "mag/d"),
        _number("nChance", "unrelated objects expected to score as well", "meta.number;stat.mean", "link.n_chance"),
        _number(
            "nChanceArea", "unrelated objects expected in searchedAreaDeg2", "meta.number;stat.mean",
            "link.n_chance_area",
        ),
        Column("detections", "int", "detections it was scored with", "meta.number;obs", attrgetter("link.detections")),
        Column("open", "flag", "it is believed now", "meta.code.status", attrgetter("link.open")),
        _time("openedMjdTai", "since when it is, or was, believed, MJD TAI", "time.start", "link.opened_mjd_tai"),
        _time("closedMjdTai", "when it ceased to be, MJD TAI", "time.end", "link.closed_mjd_tai"),
        _text("closedBecause", "what changed: localization, object or event", "meta.note", "link.closed_because"),
        _text("vetting", "pending, confirmed, ambiguous or rejected", "meta.code.status", "link.vetting"),
        _text("localizationKey", "localization it was scored with", "meta.ref", "link.localization"),
        _text("ruleSet", "rule set it was scored with", "meta.ref", "link.rule_set"),
        *_object_columns("object."),
    ),
)  # fmt: skip

ALERTS = Table(
    "alerts",
    "The alerts of an object, newest first. Fluxes are differences, in nJy; magnitudes AB.",
    (
        _text("alertKey", _MEANINGS["alertKey"], "meta.id;meta.main", "key"),
        _text("objectKey", _MEANINGS["objectKey"], "meta.id.parent", "object_key"),
        _text("survey", _MEANINGS["survey"], "meta.id;obs", "survey"),
        _text("sourceId", _MEANINGS["sourceId"], "meta.id", "source_id"),
        _text("ssObjectId", _MEANINGS["ssObjectId"], "meta.id.assoc", "ss_object_id"),
        _number("ssDistance", _MEANINGS["ssDistance"], "pos.angDistance", "ss_distance", "arcsec"),
        _time("mjdTai", _MEANINGS["mjdTai"], "time.epoch;obs.exposure", "mjd_tai"),
        Column("night", "int", _MEANINGS["night"], "time.epoch", attrgetter("night")),
        _position("ra", _MEANINGS["ra"], "pos.eq.ra;meta.main", "ra"),
        _position("dec", _MEANINGS["dec"], "pos.eq.dec;meta.main", "dec"),
        Column("hpx29", "long", _MEANINGS["hpx29"], "pos.healpix", attrgetter("hpx29")),
        _text("band", _MEANINGS["band"], "meta.code;instr.bandpass", "band"),
        Column("isPositive", "flag", _MEANINGS["isPositive"], "meta.code", attrgetter("is_positive")),
        _number("flux", _MEANINGS["flux"], "phot.flux.density", "flux", "nJy"),
        _number("fluxErr", _MEANINGS["fluxErr"], "stat.error;phot.flux.density", "flux_err", "nJy"),
        _number("mag", _MEANINGS["mag"], "phot.mag", "mag", "mag"),
        _number("magErr", _MEANINGS["magErr"], "stat.error;phot.mag", "mag_err", "mag"),
        _number("snr", _MEANINGS["snr"], "stat.snr", "snr"),
        _number("apFlux", _MEANINGS["apFlux"], "phot.flux.density", "ap_flux", "nJy"),
        _number("limitMag", _MEANINGS["limitMag"], "phot.mag;stat.max", "limit_mag", "mag"),
        _number("reliability", _MEANINGS["reliability"], "stat.probability", "reliability"),
        _number("rb", _MEANINGS["rb"], "stat.probability", "rb"),
        Column("nBad", "int", _MEANINGS["nBad"], "meta.number;instr.pixel", attrgetter("n_bad")),
        Column("programId", "int", _MEANINGS["programId"], "meta.id", attrgetter("program_id")),
        Column("public", "flag", _MEANINGS["public"], "meta.code", attrgetter("public")),
        _text("schemaVersion", _MEANINGS["schemaVersion"], "meta.version", "schema_version"),
    ),
)
