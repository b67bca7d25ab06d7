"""No pair is missed while notices arrive in the middle of the stream: links equal a join of lake and journal.

The application's own queries and rounds run on real Kafka, Spark and Neo4j. Notices come at random moments; every event
is aimed at an alert that is just on its way in, and every batch is held, once it has taken its region set, until one
round of judging has passed: a batch then writes alerts after a judgement that it knew nothing of. A second associator
judges the same stream without waiting for such batches, under a rule set of another name, so that its links stand
beside the true ones: if it did not miss pairs, the test would prove nothing. The lake is compacted all the while.

The join knows neither graph nor `asterism.sky`: it reads positions and cuts from the lake and localizations from the
journal, tests great-circle distances against von Mises-Fisher distributions and HEALPix pixels against sorted sums.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import angular_separation
from astropy.table import Table
from astropy_healpix import HEALPix
from neo4j import Driver
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.optimize import brentq

from asterism.compaction import Compacted, compact
from asterism.deploy.demo.night import streaming
from asterism.deploy.follower import following
from asterism.graph.association.follow import Associator
from asterism.graph.association.regions import latest_version
from asterism.graph.association.rules import RuleSet, load_rules
from asterism.ids import make_key
from asterism.ingest.reconcile import packets_received
from asterism.ingest.science import Classifier
from asterism.journal import Journal
from asterism.lake import Lake
from asterism.settings import Settings
from asterism.simulate.events import gamma_ray_burst, neutrino, retracted_superevent, superevent, swift_burst
from asterism.simulate.identifiers import Identifiers
from asterism.simulate.measurement import History, Older, SimulatedDetection
from asterism.simulate.packets_lsst import lsst_packet
from asterism.simulate.packets_ztf import ztf_packet
from asterism.simulate.publish import publish
from asterism.simulate.stamps import Stamps
from asterism.simulate.stream import TOPICS, Message
from asterism.simulate.truth import MessageTruth, Outcome
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.notice import Reading
from asterism.voevent.read import read_payload

pytestmark = [pytest.mark.services, pytest.mark.spark]

RATE = 1000
"""Alerts a second."""
WARM_UP = 500
"""Alerts that Spark gets before the clock starts."""
FIRST, DAYS = 61000.0, 40.0
"""MJD TAI of the first alert, and days the stream covers: windows of 14 to 20 d open and close while it runs."""
KINDS = (("swift", 12, 1), ("gbm", 1, 3), ("gw", 1, 2), ("retracted", 1, 2), ("neutrino", 3, 2))
"""Events of each kind among 25 notices, and notices of one."""
BATCH = 3 * RATE
"""Most alerts in a batch."""
LONGEST_HOLD = 60.0
"""A batch goes on after this even if no round has passed [s]."""
EDGE = 1e-6
"""Objects nearer to the credible level than this are on neither side."""

RULES = load_rules()
HASTY = replace(RULES, name=f"{RULES.name}-without-wait")
Pairs = set[tuple[str, str]]
Floats = NDArray[np.float64]


def detections(rng: np.random.Generator, n: int) -> Iterator[tuple[str, SimulatedDetection, float]]:
    """Yield survey, detection and the object's first time, evenly over the days; three objects in four come once."""
    site = np.concatenate([np.arange(n * 3 // 4), rng.integers(0, n // 4, n - n * 3 // 4)])
    rng.shuffle(site)
    ra, dec = rng.uniform(120, 180, n), np.degrees(np.arcsin(rng.uniform(-0.34, 0.34, n)))
    names = Identifiers(21, site)
    first: dict[int, float] = {}
    for i, s in enumerate(site.tolist()):
        survey = TOPICS[s % 2]
        mjd = FIRST + DAYS * i / n
        detection = SimulatedDetection(
            object_id=names.ztf_object(s) if survey == "ztf" else names.lsst_object(s),
            source_id=names.candid(i, mjd) if survey == "ztf" else names.dia_source(i),
            ra=float(ra[s] + rng.normal(0, 1e-5)),
            dec=float(dec[s] + rng.normal(0, 1e-5)),
            mjd_tai=mjd,
            band="gr"[int(rng.integers(2))],
            flux=float((-1 if rng.random() < 0.1 else 1) * 10.0 ** rng.uniform(4, 5)),
            flux_err=300.0,
            program_id=2 if survey == "ztf" and rng.random() < 0.1 else 1,
            reliability=float(rng.uniform(0.2, 1.0)),
        )
        yield survey, detection, first.setdefault(s, mjd)


def message(survey: str, detection: SimulatedDetection, first: float) -> Message:
    key = make_key(survey, str(detection.object_id))
    packet = lsst_packet if survey == "lsst" else ztf_packet
    payload = packet(detection, History(older=Older(first, 1) if first < detection.mjd_tai else Older()))
    truth = MessageTruth(Outcome.ALERT, make_key(survey, detection.source_id), key, None, detection.program_id == 1)
    return Message(survey, key.encode(), payload, truth)


class Injector:
    """Writes notices into the journal at random moments, each event aimed at an alert that is about to be ingested.

    Parameters
    ----------
    settings : Settings
        Where lake and journal are.
    sky : list of SimulatedDetection
        The alerts in the order in which they are published.
    notices : int
        How many; a multiple of 25. Each comes when a random number of alerts has been ingested.
    """

    def __init__(self, settings: Settings, sky: list[SimulatedDetection], notices: int) -> None:
        self._rng = np.random.default_rng(8)
        self._lake, self._intake = Lake(settings.lake_path), Intake(Journal(settings.journal_path))
        self._sky, self._waiting, self._tenths = sky, dict[int, list[bytes]](), set[int]()
        kinds = [(kind, n) for kind, events, n in KINDS for _ in range(events * notices // 25)]
        turns = np.repeat(np.arange(len(kinds)), [n for _, n in kinds])
        self._kinds, self._turns = [kind for kind, _ in kinds], self._rng.permutation(turns).tolist()
        self._moments = np.sort(self._rng.integers(WARM_UP, 0.8 * len(sky), len(turns))).tolist()
        self.largest_lag = 0
        """Alerts published but not ingested, at the worst moment of any notice."""

    def run(self, start: float) -> None:
        """Inject all, the clock having started at `start` (monotonic [s])."""
        for moment, number in zip(self._moments, self._turns, strict=True):
            while (ingested := packets_received(self._lake)) < moment:
                time.sleep(0.1)
            published = min(round((time.monotonic() - start) * RATE) + WARM_UP, len(self._sky))
            self.largest_lag = max(self.largest_lag, published - ingested)
            if number not in self._waiting:
                self._waiting[number] = self._draw(number, ingested)
            self._intake.accept(self._waiting[number].pop(0), FILE)

    def _draw(self, number: int, ingested: int) -> list[bytes]:
        """Return the notices of an event whose counterpart is in the batch that runs, or in one of the next."""
        ahead = min(ingested + int(self._rng.integers(0, BATCH)), len(self._sky) - RATE)
        target = next(s for s in self._sky[ahead:] if s.flux > 0 and s.reliability > RULES.cuts.min_reliability)
        tenth = int(target.mjd_tai * 10)
        while (tenth := tenth - 1) in self._tenths:  # of a day: by these Swift's triggers are numbered
            pass
        self._tenths.add(tenth)
        t0 = tenth / 10 + 0.001

        def place() -> tuple[float, float]:
            return target.ra, target.dec

        rng, kind = self._rng, self._kinds[number]
        if kind == "gw":
            event = superevent(rng, place, t0, number, lambda *_: True)
        elif kind == "retracted":
            event = retracted_superevent(rng, place, t0, number)
        else:
            draw = {"swift": swift_burst, "gbm": gamma_ray_burst, "neutrino": neutrino}[kind]
            event = draw(rng, place, t0, lambda *_: True)
        return [notice.payload for notice in event.notices]


def last_localizations(settings: Settings) -> list[Reading]:
    """Return, for each event that was not retracted, the notice that was issued last."""
    events: dict[str, list[Reading]] = {}
    for entry in Journal(settings.journal_path).read():
        reading = read_payload(entry.payload)
        events.setdefault(reading.notice.event_key, []).append(reading)
    kept = [found for found in events.values() if not any(r.notice.is_retraction for r in found)]
    return [max(found, key=lambda r: r.notice.issued_mjd_tai or 0.0) for found in kept]


def level_in_map(content: bytes, ra: Floats, dec: Floats) -> Floats:
    """Return the probability of all pixels denser than that of each position."""
    rows = Table.read(io.BytesIO(content), format="fits")
    uniq, density = np.asarray(rows["UNIQ"], np.int64), np.asarray(rows["PROBDENSITY"], np.float64)
    order = (np.log2(uniq / 4) // 2).astype(int)
    ipix = uniq - 4 ** (order + 1)
    probability = density * 4 * np.pi / (12.0 * 4.0**order)
    probability /= probability.sum()
    level = np.full(ra.size, np.nan)
    for level_order in np.unique(order):
        pixels = HEALPix(2 ** int(level_order), order="nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
        place = {int(ipix[row]): row for row in np.flatnonzero(order == level_order)}
        for i, pixel in enumerate(pixels.tolist()):
            if pixel in place:
                level[i] = probability[density > density[place[pixel]]].sum()
    return level


def level_in_circles(record: dict[str, Any], ra: Floats, dec: Floats) -> Floats:
    """Return the probability within the distance of each position, of a circle or of a mixture of circles."""
    parts = record.get("components", [record | {"weight": 1.0}])
    there = angular_separation(*np.radians([record["ra"], record["dec"]]), np.radians(ra), np.radians(dec))

    def inside(kappa: float, distance: Any) -> Any:
        return -np.expm1(-kappa * 2 * np.sin(distance / 2) ** 2) / -np.expm1(-2 * kappa)

    level = np.zeros(ra.size)
    for part in parts:
        radius = np.radians(part["radius_deg"])
        log_kappa = brentq(lambda x, part=part, radius=radius: inside(10.0**x, radius) - part["containment"], -2, 12)
        level += part["weight"] * inside(10.0**log_kappa, there)
    return level


def brute_force(settings: Settings, rules: RuleSet) -> tuple[Pairs, Pairs]:
    """Return the pairs that lake and journal imply, and those too near to the edge to tell."""
    columns = ["objectKey", "ra", "dec", "mjdTai", "firstMjdTai", "public", "isPositive", "reliability", "ssDistance"]
    rows: pd.DataFrame = Lake(settings.lake_path).detections(columns).to_pandas()
    rows = rows[rows["public"] & rows["objectKey"].notna()].sort_values("mjdTai")
    rows["first"] = rows[["mjdTai", "firstMjdTai"]].min(axis=1).groupby(rows["objectKey"]).transform("min")
    pairs, edge = Pairs(), Pairs()
    for reading in last_localizations(settings):
        notice = reading.notice
        assert notice.t0_mjd_tai is not None
        assert notice.region is not None
        start, end = (notice.t0_mjd_tai + days for days in rules.kinds[notice.kind].window)
        known = rows[(rows["mjdTai"] <= end) & rows["first"].between(start, end)]
        objects = known.drop_duplicates("objectKey", keep="first").set_index("objectKey")
        newest = known.drop_duplicates("objectKey", keep="last").set_index("objectKey").loc[objects.index]
        passes = (
            (newest["isPositive"] != False)  # noqa: E712 - unknown passes
            & ~(newest["reliability"] < rules.cuts.min_reliability)
            & ~(newest["ssDistance"] < rules.cuts.solar_system_arcsec)
        )
        objects = objects[passes]
        ra, dec = objects["ra"].to_numpy(), objects["dec"].to_numpy()
        if reading.sky_map is not None:
            level = level_in_map(reading.sky_map, ra, dec)
        else:
            level = level_in_circles(dict(notice.region.record or {}), ra, dec)
        unsure = np.abs(level - rules.level) < EDGE
        pairs |= {(notice.event_key, key) for key in objects.index[(level < rules.level) & ~unsure]}
        edge |= {(notice.event_key, key) for key in objects.index[unsure]}
    return pairs, edge


def open_links(driver: Driver, rules: RuleSet) -> Pairs:
    query = "MATCH (o:Object)-[c:CANDIDATE_FOR {ruleSet: $name}]->(e:Event) WHERE c.open RETURN e.key, o.key"
    with driver.session() as session:
        return {(event, name) for event, name in session.run(query, name=rules.name).values()}


def all_is_in(settings: Settings, driver: Driver, alerts: int, notices: int) -> bool:
    if packets_received(Lake(settings.lake_path)) < alerts:
        return False
    with driver.session() as session:
        return bool(session.run("MATCH (n:Notice) RETURN count(n) AS n").single(strict=True)["n"] == notices)


def wait_until(condition: Callable[[], bool]) -> float:
    """Wait for a condition, as long as the test's own time limit lets it; return how long it took [s]."""
    start = time.monotonic()
    while not condition():
        time.sleep(0.2)
    return time.monotonic() - start


@dataclass(frozen=True)
class Size:
    """Seconds of stream and number of notices."""

    seconds: int
    notices: int


class Rounds:
    """Rounds of judging, and batches that are held until one has passed.

    Parameters
    ----------
    followers : list of Associator
        Who judges, one after the other.
    """

    def __init__(self, followers: list[Associator]) -> None:
        self._followers = followers
        self._passed = threading.Condition()
        self._begun = self._ended = 0

    def judge(self) -> int:
        """Do one round; return how many verdicts it wrote."""
        with self._passed:
            self._begun += 1
        verdicts = sum(len(follower.round()) for follower in self._followers)
        with self._passed:
            self._ended = self._begun
            self._passed.notify_all()
        return verdicts

    def held_version(self, lake: Lake) -> int:
        """Take the newest region version as a batch does, and return when a round that began later has ended."""
        version = latest_version(lake)
        with self._passed:
            running = self._begun
            self._passed.wait_for(lambda: self._ended > running, timeout=LONGEST_HOLD)
        return version


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(15, 25), id="short"),
        pytest.param(Size(60, 100), id="full", marks=[pytest.mark.long, pytest.mark.faults]),
    ],
)
def test_notices_in_the_middle_of_the_stream_miss_no_pair_and_would_without_the_wait(
    size: Size,
    spark: SparkSession,
    installation: Callable[..., Settings],
    empty_graph: Driver,
    kafka_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    small = (Stamps(b"", b"", b""),)
    monkeypatch.setattr("asterism.simulate.packets_ztf.ztf_stamps", lambda: small)
    monkeypatch.setattr("asterism.simulate.packets_lsst.lsst_stamps", lambda: small)
    alerts = WARM_UP + size.seconds * RATE
    stream = list(detections(np.random.default_rng(7), alerts))
    messages = [message(*alert) for alert in stream]
    prefix = kafka_topic("pairs") + "-"
    settings = installation(kafka_topics=tuple(prefix + topic for topic in TOPICS), max_packets_per_batch=BATCH)
    injector = Injector(settings, [detection for _, detection, _ in stream], size.notices)
    patient = Associator(empty_graph, settings, RULES)
    hasty = Associator(empty_graph, settings, HASTY, wait_for_batches=False)
    rounds = Rounds([hasty, patient])
    monkeypatch.setattr("asterism.ingest.hot.latest_version", rounds.held_version)

    def send(part: list[Message], rate: float | None) -> None:
        publish(part, settings.kafka_bootstrap, topics=TOPICS, prefix=prefix, partitions=2, rate=rate)

    compactions: list[Compacted] = []

    with (
        streaming(spark, settings) as done,
        following((Classifier(empty_graph, settings).round, rounds.judge), done),
        following((lambda: compactions.append(compact(Lake(settings.lake_path))),), done),
        ThreadPoolExecutor(1) as publisher,
    ):
        send(messages[:WARM_UP], None)
        wait_until(lambda: all_is_in(settings, empty_graph, WARM_UP, 0))
        start = time.monotonic()
        sent = publisher.submit(lambda: (send(messages[WARM_UP:], RATE), time.monotonic()))
        injector.run(start)
        published_s = sent.result()[1] - start
        behind_s = wait_until(lambda: all_is_in(settings, empty_graph, alerts, size.notices))
    while rounds.judge():
        pass
    assert patient.settled

    expected, edge = brute_force(settings, RULES)
    found, missed = open_links(empty_graph, RULES) - edge, expected - open_links(empty_graph, HASTY)
    batches = [entry["packets"] for entry in Lake(settings.lake_path).ledger()]
    record_property("publishedPerSecond", round((alerts - WARM_UP) / published_s))
    record_property("ingestedPerSecond", round((alerts - WARM_UP) / (published_s + behind_s)))
    record_property("largestLagAlerts", injector.largest_lag)
    record_property("secondsToDrain", round(behind_s, 1))
    record_property("batches", f"{len(batches)}, largest {max(batches)}")
    record_property(
        "pairs", f"{len(expected)} of {len({event for event, _ in expected})} events, {len(edge)} at an edge"
    )
    record_property("compactions", len(compactions))
    record_property("missedWithoutWait", f"{len(missed)} pairs of {len({event for event, _ in missed})} events")
    assert (sorted(expected - found), sorted(found - expected)) == ([], [])
    assert sum(one.files_after < one.files_before for one in compactions) > 2
    assert missed, "without the wait nothing was missed either: this run proved nothing"
