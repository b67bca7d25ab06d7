"""Nights: same seed same bytes, packets ingest reads, crowds of the promised size, and counterparts in their midst."""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from fastavro.schema import load_schema
from fastavro.validation import validate

from asterism.ingest.decode import Decoder
from asterism.ingest.packets import Position
from asterism.ingest.schemas import SchemaSource
from asterism.simulate.errors import ScenarioError
from asterism.simulate.events import SimulatedEvent, TimedNotice
from asterism.simulate.night import AlertMessage, Night, build_night
from asterism.simulate.packets import write_schemas
from asterism.simulate.truth import Truth
from asterism.sky.cone import separation_deg
from asterism.sky.fits import read_skymap
from asterism.voevent.read import read_payload

WINDOW = {"gw": (0.0, 14.0), "grb": (0.0, 20.0), "neutrino": (-150.0, 15.0)}
"""First detection of a new or active source after the event [d]."""


def columns(night: Night) -> dict[str, np.ndarray[Any, Any]]:
    table = night.objects
    return {name: np.array(table[name].to_pylist(), dtype=object) for name in table.column_names}


def passing(night: Night, event: SimulatedEvent, level: float = 0.99) -> set[int]:
    """Sites that pass every cut inside the last localization and the event's window, the counterpart among them."""
    rows, (start, end) = columns(night), WINDOW[event.kind]
    ra, dec, first = (rows[name].astype(np.float64) for name in ("ra", "dec", "firstMjdTai"))
    inside = event.localizations[-1].credible_level(ra, dec) < level
    timely = (first - event.t0_mjd_tai >= start) & (first - event.t0_mjd_tai <= end)
    body = np.array([value is not None and value < 5.0 for value in rows["ssDistance"]])
    real = (rows["reliability"].astype(np.float64) >= 0.5) & rows["isPositive"].astype(np.bool_)
    unknown = np.array([value is None for value in rows["catalogueClass"]])
    return set(rows["site"][inside & timely & real & unknown & ~body].tolist())


def true_sites(night: Night, event: SimulatedEvent) -> set[int]:
    rows = columns(night)
    return {int(site) for site, events in zip(rows["site"], rows["events"], strict=True) if event.key in events}


@pytest.mark.parametrize("scenario", ["bns", "grb", "neutrino", "quiet", "gw170817"])
def test_a_night_is_the_same_for_the_same_seed_and_another_for_another(scenario: str) -> None:
    def start(seed: int) -> list[bytes]:
        items = build_night(scenario, seed, ztf=200, lsst=100).timeline()
        return [
            item.message.payload if isinstance(item, AlertMessage) else item.payload
            for item in itertools.islice(items, 12)
        ]

    first = start(5)
    assert first == start(5)
    assert not set(first) & set(start(6))


def test_alerts_and_notices_come_in_order_of_availability_and_in_the_promised_numbers(small_night: Night) -> None:
    items = list(small_night.timeline())
    times = [item.available_mjd_tai for item in items]
    assert times == sorted(times)
    notices = [item for item in items if isinstance(item, TimedNotice)]
    assert [n.name for n in notices] == [n.name for event in small_night.events for n in event.notices]
    topics = Counter(item.message.topic for item in items if isinstance(item, AlertMessage))
    assert small_night.counts() == {"ztf": topics["ztf"], "lsst": topics["lsst"], "notices": len(notices)}
    assert topics["ztf"] >= 700
    assert topics["lsst"] >= 400


def test_every_packet_becomes_the_detection_the_truth_says(
    small_night: Night, small_night_alerts: list[AlertMessage], tmp_path: Path
) -> None:
    write_schemas(tmp_path)
    payloads = [alert.message.payload for alert in small_night_alerts]
    positions = [Position(alert.message.topic, 0, i, None) for i, alert in enumerate(small_night_alerts)]
    decoded = Decoder(SchemaSource(tmp_path)).decode(payloads, positions)
    assert decoded.dead_letters.num_rows == 0
    truth = Truth()
    rows = decoded.detections.to_pylist()
    for alert, row in zip(small_night_alerts, rows, strict=True):
        truth.add(alert.message.truth)
        assert row["alertKey"] == alert.message.truth.alert_key
        assert row["objectKey"] == alert.message.truth.object_key
        assert row["public"] is alert.message.truth.public
        assert 0.0 < alert.available_mjd_tai - row["mjdTai"] < 0.02
    assert len({row["alertKey"] for row in rows}) == truth.alerts == len(rows)
    _compare_objects(rows, small_night.objects)


def _compare_objects(rows: list[dict[str, Any]], objects: pa.Table) -> None:
    of: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["mjdTai"]):
        if row["objectKey"] is not None:
            of.setdefault(row["objectKey"], []).append(row)
    expected = {row["objectKey"]: row for row in objects.to_pylist()}
    assert of.keys() == expected.keys()
    for key, seen in of.items():
        truth, newest = expected[key], seen[-1]
        assert len(seen) == truth["nAlerts"]
        assert seen[0]["mjdTai"] == pytest.approx(truth["firstAlertMjdTai"], abs=1e-8)
        assert newest["reliability"] == pytest.approx(truth["reliability"], abs=1e-6)
        assert newest["isPositive"] is truth["isPositive"]
        if truth["survey"] == "ztf":
            assert newest["firstMjdTai"] == pytest.approx(truth["firstMjdTai"], abs=1e-8)
        assert newest["ssDistance"] == (None if truth["ssDistance"] is None else pytest.approx(truth["ssDistance"]))
        assert float(separation_deg(newest["ra"], newest["dec"], truth["ra"], truth["dec"])) < 0.5 / 3600.0


def test_histories_and_counters_agree_and_have_the_lengths_of_real_packets(
    small_night_alerts: list[AlertMessage], tmp_path: Path
) -> None:
    write_schemas(tmp_path)
    decoder = Decoder(SchemaSource(tmp_path))
    lengths, sizes, beyond = [], {"ztf": [], "lsst": []}, 0
    for alert in small_night_alerts[::4]:
        sizes[alert.message.topic].append(len(alert.message.payload))
        record = decoder.decode_full(alert.message.payload)
        if alert.message.topic == "ztf":
            lengths.append(len(record["prv_candidates"] or []))
            beyond += _check_ztf(record)
        else:
            _check_lsst(record)
    assert beyond > 10  # some objects are older than the thirty days of the history
    assert 16 <= np.median(lengths) <= 43
    assert max(lengths) <= 91
    assert 55_000 < np.median(sizes["ztf"]) < 75_000
    assert min(sizes["lsst"]) > 139_000
    assert max(sizes["lsst"]) < 191_000


@pytest.mark.realdata
def test_packets_are_valid_under_the_surveys_own_schemas(
    small_night_alerts: list[AlertMessage], test_data: Path
) -> None:
    with (test_data / "ztf/single/2695378462115010012.avro").open("rb") as stream:
        ztf = fastavro.parse_schema(json.loads(fastavro.reader(stream).metadata["avro.schema"]))
    lsst = load_schema(str(test_data / "lsst/schema/11/0/lsst.v11_0.alert.avsc"))
    checked = Counter()
    for alert in small_night_alerts[::9]:
        payload, topic = alert.message.payload, alert.message.topic
        if topic == "ztf":
            (record,) = fastavro.reader(io.BytesIO(payload), reader_schema=ztf)
        else:
            stream = io.BytesIO(payload[5:])
            record = fastavro.schemaless_reader(stream, lsst)
            assert not stream.read()
        assert validate(record, ztf if topic == "ztf" else lsst)
        checked[topic] += 1
    assert min(checked.values()) > 20


def _check_ztf(record: dict[str, Any]) -> bool:
    now, past = record["candidate"], record["prv_candidates"] or []
    detections = [entry for entry in past if entry["candid"] is not None]
    times = [entry["jd"] for entry in past]
    assert times == sorted(times)
    assert all(now["jd"] - 30.0 <= jd < now["jd"] for jd in times)
    assert now["ndethist"] >= 1 + len(detections)
    assert now["ncovhist"] >= now["ndethist"] + len(past) - len(detections)
    first = min([now["jd"], *(entry["jd"] for entry in detections)])
    older = now["ndethist"] > 1 + len(detections)
    assert now["jdstarthist"] < now["jd"] - 30.0 if older else now["jdstarthist"] == first
    assert all(entry["jd"] < now["jd"] for entry in record["fp_hists"] or [])
    return older


def _check_lsst(record: dict[str, Any]) -> None:
    source, past = record["diaSource"], record["prvDiaSources"] or []
    times = [entry["midpointMjdTai"] for entry in past]
    assert times == sorted(times)
    assert all(source["midpointMjdTai"] - 365.0 <= mjd < source["midpointMjdTai"] for mjd in times)
    if record["diaObject"] is not None:
        assert record["diaObject"]["nDiaSources"] == 1 + len(past)
        assert record["diaObject"]["firstDiaSourceMjdTai"] == min([source["midpointMjdTai"], *times])
        assert {entry["diaObjectId"] for entry in past} <= {source["diaObjectId"]}
    else:
        assert source["ssObjectId"] > 0


@pytest.fixture(scope="module", params=range(1, 6))
def full_night(request: pytest.FixtureRequest) -> Night:
    return build_night("full", request.param)


def test_each_event_has_its_crowd_and_its_counterpart_in_it(full_night: Night) -> None:
    least = {"lvk": 60, "gbm": 30, "icecube": 8}
    for event in full_night.events:
        crowd, truth = passing(full_night, event), true_sites(full_night, event)
        if event.retracted:
            assert not truth
            assert crowd
            continue
        assert truth
        assert truth <= crowd
        assert len(crowd - truth) >= least[event.key.partition(":")[0]]
    counts = full_night.counts()
    assert counts["ztf"] >= 12_000
    assert counts["lsst"] >= 6_000


def test_the_counterpart_lies_where_and_when_its_notices_allow(full_night: Night) -> None:
    surveys = set()
    for event, summary in zip(full_night.events, full_night.truth["events"], strict=True):
        truth = event.counterpart
        if truth is None:
            assert summary["true_objects"] == []
            continue
        assert all(float(where.credible_level(truth.ra, truth.dec)) < 0.99 for where in event.localizations)
        rows = [row for row in full_night.objects.to_pylist() if event.key in row["events"]]
        assert sorted(row["objectKey"] for row in rows) == summary["true_objects"]
        assert max(row["nAlerts"] for row in rows) >= 2
        start, end = WINDOW[event.kind]
        assert all(start <= row["firstMjdTai"] - event.t0_mjd_tai <= end for row in rows)
        surveys |= {row["survey"] for row in rows}
    assert surveys == {"ztf", "lsst"}


def test_notices_read_as_what_they_were_made_from(full_night: Night) -> None:
    for event in full_night.events:
        for notice in event.notices:
            read = read_payload(notice.payload)
            assert read.notice.event_key == event.key
            assert read.notice.kind == event.kind
            assert read.notice.standing == "real"
            assert read.notice.is_retraction is (notice.localization is None)
            assert notice.available_mjd_tai > event.t0_mjd_tai
            if notice.localization is None:
                continue
            assert read.notice.t0_mjd_tai == pytest.approx(event.t0_mjd_tai, abs=0.02 / 86400.0)
            assert read.localization is not None
            assert read.localization.area(0.9) == pytest.approx(notice.localization.area(0.9), rel=1e-6)
            points = notice.localization.nodes()
            there = read.localization.density(points.ra, points.dec)
            assert there == pytest.approx(notice.localization.density(points.ra, points.dec), rel=1e-3, abs=1e-12)


def test_variables_stand_in_the_catalogue_and_counterparts_do_not(full_night: Night) -> None:
    catalogue = full_night.catalogue.to_pydict()
    ra, dec, kind = (np.array(catalogue[name]) for name in ("ra", "dec", "class"))
    known = kind != "galaxy"
    rows = full_night.objects.to_pylist()
    for row in [row for row in rows if row["catalogueClass"]][::50]:
        near = separation_deg(row["ra"], row["dec"], ra, dec) < 1.0 / 3600.0
        assert set(kind[near].tolist()) >= {row["catalogueClass"]}
    for row in [row for row in rows if row["events"]]:
        assert float(separation_deg(row["ra"], row["dec"], ra[known], dec[known]).min()) > 5.0 / 3600.0
    assert all((d is not None) is (c == "galaxy") for d, c in zip(catalogue["distanceMpc"], kind, strict=True))


def test_objects_of_one_source_lie_together_in_both_surveys(full_night: Night) -> None:
    rows = columns(full_night)
    ztf = {int(site): i for i, site in enumerate(rows["site"]) if rows["survey"][i] == "ztf"}
    pairs = [(ztf[int(site)], i) for i, site in enumerate(rows["site"]) if rows["survey"][i] == "lsst" and site in ztf]
    assert len(pairs) > 100
    one, two = (np.array(side) for side in zip(*pairs, strict=True))
    ra, dec = rows["ra"].astype(np.float64), rows["dec"].astype(np.float64)
    assert float(separation_deg(ra[one], dec[one], ra[two], dec[two]).max()) < 0.3 / 3600.0


def test_messages_name_the_twin_in_the_other_survey(small_night_alerts: list[AlertMessage], small_night: Night) -> None:
    key_of = {(row["survey"], row["site"]): row["objectKey"] for row in small_night.objects.to_pylist()}
    sites = {site for _, site in key_of}
    truth = Truth()
    for alert in small_night_alerts:
        truth.add(alert.message.truth)
    shared = [site for site in sites if ("ztf", site) in key_of and ("lsst", site) in key_of]
    assert len(shared) > 5
    assert truth.pairs == {(key_of["ztf", site], key_of["lsst", site]) for site in shared}


def test_a_quiet_night_has_alerts_and_no_events() -> None:
    night = build_night("quiet", 1, ztf=100, lsst=100)
    assert night.events == ()
    assert night.counts()["notices"] == 0
    assert night.objects.num_rows > 100


def test_gw170817_is_found_among_fifty_in_the_published_region() -> None:
    night = build_night("gw170817", 1, ztf=0, lsst=0)
    merger, burst = night.events
    truth = true_sites(night, merger)
    assert truth == true_sites(night, burst)
    assert len(truth) == 1
    assert len(passing(night, merger, 0.9) - truth) >= 50
    assert truth <= passing(night, merger, 0.9)
    assert merger.localizations[-1].area(0.9) == pytest.approx(16.2, abs=1.0)


@pytest.mark.realdata
def test_gw170817_takes_the_published_map(test_data: Path) -> None:
    path = test_data / "skymaps" / "GW170817_skymap.fits.gz"
    night = build_night("gw170817", 1, ztf=0, lsst=0, sky_map=path)
    merger = night.events[0]
    published, ours = read_skymap(path), build_night("gw170817", 1, ztf=0, lsst=0).events[0].localizations[-1]
    read = read_payload(merger.notices[-1].payload).localization
    assert read is not None
    assert read.area(0.9) == pytest.approx(published.area(0.9), rel=1e-6)
    assert len(passing(night, merger, 0.9) - true_sites(night, merger)) >= 50
    assert float(separation_deg(*ours.mode(), *published.mode())) < 1.0
    assert ours.area(0.9) == pytest.approx(published.area(0.9), rel=0.1)
    truth = merger.counterpart
    assert truth is not None
    assert float(ours.credible_level(truth.ra, truth.dec)) == pytest.approx(0.38, abs=0.1)


def test_unknown_scenarios_and_misplaced_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenario 'sunny'"):
        build_night("sunny", 1)
    with pytest.raises(ScenarioError, match="draws its own"):
        build_night("bns", 1, sky_map=tmp_path / "map.fits")
