"""Events over GraphQL, their notices and localizations, and what a page of them costs."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import httpx
import pytest
from neo4j import AsyncDriver

from asterism.gql.loaders import RequestContext
from asterism.gql.readers import Readers
from asterism.gql.schema import make_schema
from asterism.gql.types.events import EventState
from asterism.gql.types.notices import EventKind, Standing
from asterism.graph.association.rules import load_rules
from asterism.graph.reader import open_driver
from asterism.voevent import lifecycle
from asterism.voevent.missions.table import GENERIC, missions
from asterism.voevent.missions.table import Standing as KnownStanding
from tests.gql.asking import ask, code_of

T0 = 60000.0
SUPEREVENT, BURST, RETRACTED, MOCK, TIMELESS = "lvk:S1", "gbm:bn1", "lvk:S2", "lvk:MS1", "swift:1"


def test_the_names_of_other_parts_are_all_known() -> None:
    """Kinds of the missions, standings and states each stand in one place; here they are enumerated."""
    assert {state.value for state in EventState} == {
        lifecycle.ACTIVE,
        lifecycle.RETRACTED,
        lifecycle.UNLOCALIZED,
    }
    assert {standing.value for standing in Standing} == set(get_args(KnownStanding))
    assert {mission.kind for mission in [*missions(), GENERIC]} <= {kind.value for kind in EventKind}


EVENTS = """
query ($first: Int! = 100, $after: String, $kind: EventKind, $state: EventState, $standing: Standing! = REAL,
       $from: Float, $to: Float) {
  events(first: $first, after: $after, kind: $kind, state: $state, standing: $standing, mjdFrom: $from, mjdTo: $to) {
    edges { node { key kind state standing t0 { mjdTai } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@pytest.mark.services
class TestEvents:
    ORDER = (RETRACTED, SUPEREVENT, BURST, *[f"icecube:{number}_1" for number in (5, 4, 3, 2, 1)])

    def events(self, client: httpx.Client, **variables: Any) -> list[str]:
        page = ask(client, EVENTS, **variables)["events"]
        assert not page["pageInfo"]["hasNextPage"]
        return [edge["node"]["key"] for edge in page["edges"]]

    @pytest.mark.parametrize("first", [1, 3, 8])
    def test_pages_put_together_are_every_real_event_once_newest_first_even_at_one_time(
        self, night_api: httpx.Client, first: int
    ) -> None:
        keys: list[str] = []
        after = None
        for _ in range(20):
            page = ask(night_api, EVENTS, first=first, after=after)["events"]
            keys += [edge["node"]["key"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert tuple(keys) == self.ORDER

    def test_kind_state_and_time_choose_events(self, night_api: httpx.Client) -> None:
        assert self.events(night_api, kind="GW") == [RETRACTED, SUPEREVENT]
        assert self.events(night_api, kind="GW", state="ACTIVE") == [SUPEREVENT]
        assert self.events(night_api, state="RETRACTED") == [RETRACTED]
        assert self.events(night_api, **{"from": T0 - 1, "to": T0}) == [SUPEREVENT, BURST]
        assert self.events(night_api, kind="UNKNOWN") == []
        assert code_of(night_api, EVENTS, **{"from": 2.0, "to": 1.0}) == "gql.argument"
        assert code_of(night_api, EVENTS, kind="supernova") == "gql.invalid"

    def test_what_is_not_real_is_shown_only_when_asked_for(self, night_api: httpx.Client) -> None:
        assert self.events(night_api, standing="MOCK") == [MOCK]
        assert self.events(night_api, standing="TEST") == []
        assert ask(night_api, "query ($k: ID!) { event(key: $k) { standing } }", k=MOCK)["event"] == {
            "standing": "MOCK"
        }

    def test_an_event_without_time_is_found_by_key(self, night_api: httpx.Client) -> None:
        found = ask(night_api, "query ($k: ID!) { event(key: $k) { t0 { mjdTai } state } }", k=TIMELESS)["event"]
        assert found == {"t0": None, "state": "ACTIVE"}

    def test_an_event_shows_its_notices_and_localizations(self, night: Any, night_api: httpx.Client) -> None:
        query = """
        query ($k: ID!) { event(key: $k) {
          notices { ivorn mission stage isRetraction issued { mjdTai } received { mjdTai } channels conflict }
          localization { key kind ra dec radiusDeg containment current validTo { mjdTai } }
          localizations { key noticeKey current validFrom { mjdTai } validTo { mjdTai } }
        } }"""
        event = ask(night_api, query, k=SUPEREVENT)["event"]
        old, new = night.links[SUPEREVENT][0].localization, night.links[SUPEREVENT][-1].localization
        plain = {"mission": "lvk", "stage": "update", "isRetraction": False, "channels": ["vtp"], "conflict": False}
        assert event["notices"] == [
            plain | {"ivorn": ivorn, "issued": {"mjdTai": T0 + number}, "received": {"mjdTai": T0 + number + 0.01}}
            for number, ivorn in ((2, "ivo://gwnet/LVC#S1-2"), (1, None))
        ]
        circle = {"kind": "circle", "ra": 150.0, "dec": 2.0, "radiusDeg": 5.0, "containment": 0.9}
        assert event["localization"] == circle | {"key": new, "current": True, "validTo": None}
        assert event["localizations"] == [
            {
                "key": key,
                "noticeKey": key.removesuffix(":0"),
                "current": key == new,
                "validFrom": {"mjdTai": T0 + number},
                "validTo": None if key == new else {"mjdTai": T0 + 2},
            }
            for key, number in ((new, 2), (old, 1))
        ]

    def test_an_event_shows_what_its_notices_say_together(self, night: Any, night_api: httpx.Client) -> None:
        query = """
        query ($k: ID!) { event(key: $k) {
          authority name kind standing state version t0 { mjdTai } farHz latestStage ruleSet q nOverflow regionLevel
          backgroundRate backgroundMeasured backgroundObjects scoredLocalizationKey flags
          classification { name probability } properties { name number text }
          lastIssued { mjdTai } firstIssued { mjdTai } retracted { mjdTai }
        } }"""
        event = ask(night_api, query, k=SUPEREVENT)["event"]
        assert event == {
            "authority": "lvk",
            "name": "S1",
            "kind": "GW",
            "standing": "REAL",
            "state": "ACTIVE",
            "version": 2,
            "t0": {"mjdTai": T0},
            "farHz": 1e-9,
            "latestStage": "update",
            "ruleSet": "asterism-1",
            "q": 0.4,
            "nOverflow": 0,
            "regionLevel": load_rules().level,
            "backgroundRate": 0.125,
            "backgroundMeasured": True,
            "backgroundObjects": 64,
            "scoredLocalizationKey": night.links[SUPEREVENT][-1].localization,
            "flags": [],
            "classification": [
                {"name": "BNS", "probability": 0.9},
                {"name": "Terrestrial", "probability": 0.1},
            ],
            "properties": [
                {"name": "Group", "number": None, "text": "CBC"},
                {"name": "HasRemnant", "number": 1.0, "text": None},
            ],
            "firstIssued": {"mjdTai": T0 + 1},
            "lastIssued": {"mjdTai": T0 + 2},
            "retracted": None,
        }


LINKS = """
query ($k: ID!, $closed: Boolean! = false) { object(key: $k) { candidateFor(includeClosed: $closed) {
  open probability event { key } object { key }
} } }"""


@pytest.mark.services
class TestObjects:
    @pytest.mark.parametrize("closed", [False, True])
    def test_an_object_shows_the_events_it_may_belong_to_newest_first(
        self, night: Any, night_api: httpx.Client, closed: bool
    ) -> None:
        for key in night.public:
            found = ask(night_api, LINKS, k=key, closed=closed)["object"]["candidateFor"]
            expected = [
                (event, link)
                for event in (RETRACTED, SUPEREVENT, BURST)
                for link in sorted(night.links[event], key=lambda link: link.localization)
                if link.key == key and (link.open or closed)
            ]
            assert [(one["event"]["key"], one["open"]) for one in found] == [
                (event, link.open) for event, link in expected
            ]
            assert {one["object"]["key"] for one in found} <= {key}
            for one, (event, link) in zip(found, expected, strict=True):
                assert one["probability"] == (
                    pytest.approx(night.probability(event, link), rel=1e-9) if link.open else None
                )


class CountingDriver:
    """Counts the queries that pass to a real driver."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self.calls = 0

    async def execute_query(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return await self._driver.execute_query(*args, **kwargs)


@pytest.mark.services
@pytest.mark.parametrize(
    ("query", "calls"),
    [
        (
            '{ candidates(event: "lvk:S1") { edges { node { probability object { key } event { key } } } } }',
            2,
        ),
        (
            """{ events { edges { node { key notices { key } localization { key } localizations { key }
              candidates(first: 50) { edges { node { probability object {
                key alerts(first: 3) { edges { node { key } } } candidateFor { event { key } } } } } }
            } } } }""",
            6,
        ),
    ],
)
def test_a_page_takes_one_query_a_level_however_wide(night: Any, query: str, calls: int) -> None:
    async def put() -> int:
        async with open_driver(night.settings) as driver:
            counting: Any = CountingDriver(driver)
            context = RequestContext(Readers.of(counting, "neo4j", show_nonpublic=False))
            result = await make_schema().execute(query, context_value=context)
            assert result.errors is None
            made: int = counting.calls
            return made

    assert asyncio.run(put()) == calls
