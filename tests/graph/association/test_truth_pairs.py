"""Every published association of the data's table: scored, spatial only, or not computable and for want of what.

The expected status of each row stands here; a row that is not named, or a name without a row, fails.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asterism.graph.association.associate import judge
from asterism.graph.association.background import Background
from asterism.graph.association.coincidence import find_coincidences
from asterism.graph.association.events import ActiveEvent
from asterism.graph.association.rules import load_rules
from asterism.graph.association.sample import ObjectSample
from asterism.sky.ellipse import EllipseLocalization
from asterism.sky.kinds import localization_from_record
from asterism.sky.localization import Localization
from asterism.sky.mixture import GBM_PRE_2019, GBM_ROBOBA_LONG, Systematic
from asterism.sky.skymap import SkyMapLocalization
from asterism.times import datetime_to_mjd_tai
from asterism.voevent.localize import CONTAINMENT_ASSUMED, Published, region_of

pytestmark = pytest.mark.realdata

RULES = load_rules()
SCORED, SPATIAL, MISSING = "scored", "spatial only", "not computable"
NO_REGION = f"{MISSING}: ra_deg, dec_deg"

EXPECTED = {
    ("GW170817", "AT2017gfo"): SCORED,
    ("GRB170817A", "AT2017gfo"): SCORED,
    ("GW170817", "GRB170817A"): SCORED,
    ("IC170922A", "TXS 0506+056"): SCORED,
    ("IC191001A", "AT2019dsg / ZTF19aapreis"): SCORED,
    ("IC200530A", "AT2019fdr / ZTF19aatubsj"): f"{SPATIAL}: t_first_detection_utc",
    ("IC191119A", "AT2019aalc / ZTF19aaejtoy"): f"{SPATIAL}: t_first_detection_utc",
    ("GRB200524A", "AT2020kym / ZTF20abbiixp"): NO_REGION,
    ("GRB210204A", "AT2021buv / ZTF21aagwbjr"): f"{NO_REGION}, counterpart_ra_deg, counterpart_dec_deg",
    ("GRB210204A-GECAM", "AT2021buv / ZTF21aagwbjr"): f"{MISSING}: counterpart_ra_deg, counterpart_dec_deg",
    ("GRB210212B", "AT2021cwd / ZTF21aakruew"): f"{NO_REGION}, counterpart_ra_deg, counterpart_dec_deg",
    ("GRB210610B", "AT2021qbd / ZTF21abfmpwn"): f"{NO_REGION}, counterpart_ra_deg, counterpart_dec_deg",
    ("GRB200826A", "AT2020scz / ZTF20abwysqy"): NO_REGION,
    ("GRB200826A-XRT", "AT2020scz / ZTF20abwysqy"): f"{SPATIAL}: t0_utc",
    ("GRB230827256", "AT2023qxj / ZTF23abaanxz"): f"{SCORED}, {CONTAINMENT_ASSUMED}",
    ("NOGRB-AT2021lfa", "AT2021lfa / ZTF21aayokph"): NO_REGION,
    ("NOGRB-AT2023avj", "AT2023avj / ZTF23aaarlti"): NO_REGION,
    ("NOGRB-AT2020blt", "AT2020blt / ZTF20aajnksq"): f"{NO_REGION}, counterpart_ra_deg, counterpart_dec_deg",
    ("NOGRB-AT2021any", "AT2021any / ZTF21aaeyldq"): f"{NO_REGION}, counterpart_ra_deg, counterpart_dec_deg",
    ("S250818k", "SN 2025ulz / ZTF25abjmnps"): NO_REGION,
    ("GBM716527670-prelim", "AT2023sva"): f"{MISSING}: error_radius_deg",
    ("GBM716527670-ground", "AT2023sva"): SCORED,
    ("Swift1208389", "Fermi GBM 726773850"): SCORED,
    ("IC200530A", "AT2020idu"): f"{SPATIAL}: t_first_detection_utc",
}
"""A negative without an event has no region: no event may be linked (`test_published_associations` tries)."""

MAPS = {"GW170817"}
"""Events whose region is the published map."""
SYSTEMATICS: dict[str, tuple[str, Systematic]] = {
    "GRB170817A": ("pre-2019", GBM_PRE_2019),
    "GBM716527670-ground": ("roboba", GBM_ROBOBA_LONG),
}
"""What the mission's table adds to positions of GBM."""
OTHER_EVENTS = {"GRB170817A": (11.6, GBM_PRE_2019), "Fermi GBM 726773850": (2.34, GBM_ROBOBA_LONG)}
"""Counterparts that are events themselves: 68 % statistical radius [deg], as the table's last column says, and what
to add."""
KNOWN = {"TXS 0506+056": "blazar"}
"""Counterparts that were there all along: a time of first detection means nothing."""
AUTHORITY = {"gw": "lvk", "grb": "gbm", "neutrino": "icecube", "x-ray": "swift", "none": "none"}
KIND = {"x-ray": "grb"}
"""The X-ray position is that of a burst's afterglow."""
GW_CLASSES = {"BNS": 1.0}
BOX = re.compile(r"RA \+([\d.]+)/-([\d.]+), Dec \+([\d.]+)/-([\d.]+) deg")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth_pairs.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def number(row: dict[str, str], name: str) -> float | None:
    return float(row[name]) if row[name] else None


def moment(text: str) -> float | None:
    return datetime_to_mjd_tai(datetime.fromisoformat(text).replace(tzinfo=UTC)) if text else None


def located(
    row: dict[str, str], table: list[dict[str, str]], sky_map: Localization
) -> tuple[Localization | None, tuple[str, ...], list[str]]:
    """Return the region of a row's event, flags, and the fields that are missing for it."""
    if row["event_id"] in MAPS:
        return sky_map, (), []
    missing = [name for name in ("ra_deg", "dec_deg") if not row[name]]
    if missing:
        return None, (), missing
    ra, dec = float(row["ra_deg"]), float(row["dec_deg"])
    told_of = [row, *(other for other in table if other["event_id"] == row["event_id"])]
    box = next((found for one in told_of if (found := BOX.search(one["source_reference"]))), None)
    if not row["error_radius_deg"] and box is not None:
        errors = [float(value) for value in box.groups()]
        sides = (errors[0], errors[1]), (errors[2], errors[3])
        return EllipseLocalization.from_box(ra, dec, *sides, 0.9), (), []
    if not row["error_radius_deg"]:
        return None, (), ["error_radius_deg"]
    told = Published(
        ra,
        dec,
        number(row, "error_radius_deg"),
        number(row, "containment"),
        systematic_included=False,
        systematic=SYSTEMATICS.get(row["event_id"]),
    )
    region, flags = region_of(told)
    assert region.record is not None
    return localization_from_record(region.record), flags, []


class Pair:
    """One row, through the code that judges events."""

    def __init__(
        self,
        row: dict[str, str],
        table: list[dict[str, str]],
        sky_map: Localization,
        make: dict[str, Callable[..., Any]],
    ) -> None:
        self.row, self.make = row, make
        self.t0, self.first = moment(row["t0_utc"]), moment(row["t_first_detection_utc"])
        self.localization, self.flags, self.missing = located(row, table, sky_map)
        places = ("counterpart_ra_deg", "counterpart_dec_deg")
        self.missing += [name for name in places if not row[name]]
        self.values: dict[str, float] = {}

    def status(self) -> str:
        """Compute what can be; say what that was."""
        if self.localization is None or self.missing:
            return f"{MISSING}: {', '.join(self.missing)}"
        ra, dec = float(self.row["counterpart_ra_deg"]), float(self.row["counterpart_dec_deg"])
        level = float(self.localization.credible_level(ra, dec))
        self.values = {"level": level, "searched_deg2": float(self.localization.searched_area(ra, dec))}
        name = self.row["counterpart_name"]
        late = [field for field, value in (("t0_utc", self.t0), ("t_first_detection_utc", self.first)) if value is None]
        if name in KNOWN and self.t0 is not None:
            late = []
        if late:
            self.values["ln_4pi_p"] = float(np.log(self.localization.density(ra, dec) * 41252.96))
            return f"{SPATIAL}: {', '.join(late)}"
        assert self.t0 is not None
        event = self.event(self.row["event_id"], self.row["event_kind"], self.t0, self.localization)
        if name in OTHER_EVENTS:
            self.score_events(event, name, ra, dec)
        else:
            self.score_object(event, name, ra, dec)
        return ", ".join([SCORED, *self.flags])

    def event(self, name: str, kind: str, t0: float, localization: Localization) -> ActiveEvent:
        authority = "swift" if name.startswith("Swift") else AUTHORITY[kind]
        classes = GW_CLASSES if kind == "gw" else {}
        made: ActiveEvent = self.make["event"](
            f"{authority}:{name}", KIND.get(kind, kind), t0, localization, classes=classes
        )
        return made

    def score_object(self, event: ActiveEvent, name: str, ra: float, dec: float) -> None:
        first = event.t0 if self.first is None else self.first
        sample: ObjectSample = self.make["objects"](ra, dec, first, known=np.array([KNOWN.get(name, "")]))
        background: Background = self.make["constant"](RULES.background.fallback)
        verdict = judge(event, event.region(RULES), sample, background, RULES)
        assert verdict.background.measured is False
        self.values["log_l"] = float(verdict.scores.log_l[0]) if len(verdict.objects) else -np.inf
        self.values["n_candidates"] = len(verdict.objects)

    def score_events(self, event: ActiveEvent, name: str, ra: float, dec: float) -> None:
        assert self.first is not None
        radius, systematic = OTHER_EVENTS[name]
        told = Published(ra, dec, radius, 0.68, systematic_included=False, systematic=("", systematic))
        record = region_of(told)[0].record
        assert record is not None
        burst = self.event(name, "grb", self.first, localization_from_record(record))
        assert RULES.coincidence is not None
        (pair,) = find_coincidences([event, burst], RULES.coincidence)
        self.values |= {"odds": pair.odds, "overlap": pair.overlap}


@pytest.fixture
def pairs(
    test_data: Path,
    gw170817: SkyMapLocalization,
    objects: Callable[..., Any],
    event: Callable[..., Any],
    constant: Callable[..., Any],
) -> list[Pair]:
    make = {"objects": objects, "event": event, "constant": constant}
    table = rows(test_data)
    return [Pair(row, table, gw170817, make) for row in table]


def test_every_row_of_the_table_has_the_status_written_here(
    pairs: list[Pair], capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for pair in pairs:
        name = (pair.row["event_id"], pair.row["counterpart_name"])
        found[name] = pair.status()
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in pair.values.items())
        with capsys.disabled():
            print(f"\n  {name[0]:20} {name[1]:26} {pair.row['verdict']:11} {found[name]}  {numbers}", end="")
    assert found == EXPECTED
    assert len(found) == len(pairs) == 24
    assert sum(not status.startswith(MISSING) for status in found.values()) >= 12


def test_what_was_scored_agrees_with_what_was_published(pairs: list[Pair]) -> None:
    """Every counterpart that is scored is linked; of the disputed one nothing is asked."""
    for pair in pairs:
        if pair.status().startswith(SCORED) and pair.row["verdict"] == "counterpart":
            assert pair.values.get("odds", 10.0) > 1.0
            assert pair.values.get("n_candidates", 1) == 1
