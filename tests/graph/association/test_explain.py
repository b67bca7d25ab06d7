"""An explanation says each factor with its datum, its source and its version, and what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from neo4j import Driver

from asterism.cli import cli
from asterism.graph.association.explain import Case, Host, explain, text
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import known_rules, load_rules
from asterism.graph.association.score import TERMS
from asterism.graph.rows import EventRow, LinkRow, LocalizationRow, ObjectRow
from asterism.settings import Settings
from asterism.times import now_mjd_tai


def row(row_type: Any, /, **values: Any) -> Any:
    """Return a row with nothing known but some values."""
    return row_type(**dict.fromkeys(row_type.__dataclass_fields__) | values)


def case(**link: Any) -> Case:
    values = {"localization": "n1:0", "rule_set": "asterism-1", "open": True, "log_l": 3.0, "log_position": -2.0}
    values |= {"log_time": -1.0, "log_background": 6.0, "level": 0.38, "searched_area_deg2": 3.5, "delay_days": 0.47}
    values |= {"vetting": "pending", "detections": 3, "opened_mjd_tai": 58_000.0}
    judged = {"scored_localization": "n1:0", "rule_set": "asterism-1", "q": 0.5, "log_sum_l": 3.2}
    measured = {"background_rate": 0.002, "background_measured": True, "background_objects": 70}
    event = row(EventRow, key="lvk:S1", state="active", standing="real", **judged, **measured)
    return Case(
        event=event,
        link=row(LinkRow, **values | link),
        target=row(ObjectRow, key="ztf:AT", survey="ztf", ra=197.45, dec=-23.38),
        localization=row(LocalizationRow, key="n1:0", kind="skymap", distance_mpc=40.0),
        mission="lvk",
        notice_key="n1",
        rank=1,
        candidates=7,
        hosts=[Host("glade:2:1", "galaxy", 10.6, 39.5, "catalogues", 1)],
    )


def test_every_term_of_log_l_is_explained_and_they_add_up() -> None:
    said = explain(case())
    assert {factor.name for factor in said.factors} == set(TERMS)
    assert sum(factor.log_value or 0.0 for factor in said.factors) == pytest.approx(said.log_l)
    for factor in said.factors:
        assert factor.words
        assert factor.source
        assert factor.version
        if factor.log_value is not None:
            assert factor.value == pytest.approx(math.exp(factor.log_value))
    assert json.loads(json.dumps(said.as_dict()))["rank"] == 1


def test_numbers_carry_their_units_and_what_is_missing_is_said() -> None:
    shown = text(explain(case()))
    for part in (
        "38.0 %",
        "3.5 deg2",
        "0.47 d after",
        "0.002 per deg2 and day here",
        "70 objects",
        "39.5 Mpc",
        "unknown",
    ):
        assert part in shown
    assert "measured off-source" in shown
    assert "no earlier exposure" in shown


def test_a_closed_link_has_no_probability_and_tells_why_it_ended() -> None:
    said = explain(case(open=False, closed_mjd_tai=58_001.0, closed_because="localization"))
    assert said.posterior is None
    assert "was a candidate" in said.sentence
    assert any("localization" in line for line in said.history)


@pytest.fixture
def judged(night: Any) -> Any:
    rows = [one | {"limitMag": 20.5} for one in night.alerts(31, 150)]
    night.batch(rows)
    night.event(night.FIRST)
    Associator(night.driver, night.settings, load_rules()).round()
    return night


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("ASTERISM_HOME", str(settings.home))
    result = CliRunner().invoke(cli, ["graph", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.services
def test_the_commands_explain_list_and_compare(judged: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = json.loads(run(judged.settings, monkeypatch, "candidates", "gbm:1", "--json").stdout)
    assert len(listed) == 20
    best = listed[0]["object_key"]
    said = json.loads(run(judged.settings, monkeypatch, "explain", best, "gbm:1", "--json").stdout)
    assert (said["rank"], said["candidates"]) == (1, len(judged.links()))
    assert said["posterior"]["value"] == pytest.approx(listed[0]["probability"], rel=0.1)
    for name in ("a.png", "a.svg"):
        run(judged.settings, monkeypatch, "explain", best, "gbm:1", "--plot", str(tmp_path / name))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    compared = json.loads(run(judged.settings, monkeypatch, "compare-rules", "gbm:1", "--json").stdout)
    assert [column["rule_set"] for column in compared["columns"]] == known_rules()
    ours = compared["columns"][known_rules().index("asterism-1")]
    assert ours["candidates"] == len(judged.links())
    assert compared["rows"]
    before = json.loads(
        run(judged.settings, monkeypatch, "candidates", "gbm:1", "--json", "--as-of", str(now_mjd_tai() - 1.0)).stdout
    )
    assert before == []


@pytest.mark.services
def test_links_tell_first_and_last_detection_the_last_non_detection_and_prior_activity(judged: Any) -> None:
    with judged.driver.session() as session:
        query = (
            "MATCH (o:Object)-[c:CANDIDATE_FOR]->() RETURN o.key AS key, o.firstMjdTai AS first, o.hpx29 AS cell, "
            "c.firstDetectionMjdTai AS told, c.lastDetectionMjdTai AS last, c.priorActivity AS before, "
            "c.lastNonDetectionMjdTai AS missed, c.lastNonDetectionLimitMag AS mag"
        )
        links = [dict(record) for record in session.run(query)]
    cell = {one["objectKey"]: one["hpx29"] >> 44 for one in judged.rows}
    for link in links:
        earlier = [
            one["mjdTai"]
            for one in judged.rows
            if cell[one["objectKey"]] == cell[link["key"]] and one["mjdTai"] < link["first"]
        ]
        assert link["told"] == link["first"] == link["last"]
        assert link["before"] is False
        assert (link["missed"], link["mag"]) == ((max(earlier), 20.5) if earlier else (None, None))
    assert any(link["missed"] is not None for link in links)


@pytest.mark.services
def test_alerts_that_left_the_graph_are_read_from_the_lake(
    night: Any, installation: Callable[..., Settings], empty_graph: Driver
) -> None:
    del installation, empty_graph
    night.batch(night.alerts(32, 80))
    later = [one | {"mjdTai": one["mjdTai"] + 60.0} for one in night.alerts(33, 5)]
    night.batch(later)
    night.event(night.FIRST)
    Associator(night.driver, night.settings, load_rules()).round()

    def numbers() -> list[list[Any]]:
        with night.driver.session() as session:
            query = (
                "MATCH (o:Object)-[c:CANDIDATE_FOR]->() WHERE c.open RETURN o.key, c.logL, c.detections ORDER BY o.key"
            )
            return session.run(query).values()

    before = numbers()
    assert before
    with night.driver.session() as session:
        session.run("MATCH (a:Alert) WHERE a.mjdTai < 61050 DETACH DELETE a").consume()
    Associator(night.driver, night.settings, load_rules()).round()
    assert numbers() == before
