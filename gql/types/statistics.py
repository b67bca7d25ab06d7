"""How much is in the graph, whether every packet is accounted for, and what the feeds of notices are doing."""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from asterism.gql.loaders import RequestContext
from asterism.gql.services import BALANCE_SECONDS, STATUS_SECONDS
from asterism.gql.types.scalars import Int64

SURVEYS = ("lsst", "ztf")


@strawberry.type(description="How much of one survey is in the graph, restricted alerts counted too.")
class SurveyStatistics:
    """How much of one survey is in the graph."""

    survey: str
    objects: Int64
    alerts: Int64


@strawberry.type(description="A count under a name.")
class NamedCount:
    """A count under a name."""

    name: str
    count: Int64


@strawberry.type(description="Is every packet accounted for? packetsIn = alerts + duplicates + deadLetters.")
class Reconciliation:
    """The balance of packets."""

    packets_in: Int64 = strawberry.field(description="Deliveries recorded by the batches, each position once")
    alerts: Int64 = strawberry.field(description="Distinct alerts in the lake")
    duplicates: Int64 = strawberry.field(description="Deliveries of an alert the lake has from another position")
    dead_letters: Int64 = strawberry.field(description="Deliveries that could not be decoded")
    graph_alerts: Int64 = strawberry.field(description="Alerts in the graph")
    reconciled: bool = strawberry.field(description="The balance holds, and the graph has the lake's alerts")
    alerts_by_survey: list[NamedCount]
    dead_letters_by_code: list[NamedCount]


@strawberry.type(description="A feed of notices.")
class Feed:
    """A feed of notices."""

    name: str
    deaf: bool = strawberry.field(description="It was silent for longer than it may be")
    last_message: str | None = strawberry.field(description="When its last notice came, ISO 8601, UTC")
    problem: str | None = strawberry.field(description="What is wrong with it now")
    deliveries: Int64 = strawberry.field(description="Notices it delivered, as the journal has them")
    projected: Int64 | None = strawberry.field(description="How many of them the graph has")
    heartbeat_age_seconds: float | None = strawberry.field(description="Age of its last heartbeat [s]")


@strawberry.type(description="What the feeds of notices are doing.")
class Notices:
    """What the feeds of notices are doing."""

    listening: bool = strawberry.field(description="asterism voevent listen runs")
    deliveries: Int64 = strawberry.field(description="Deliveries in the journal")
    projected: Int64 | None = strawberry.field(description="How many of them the graph has")
    feeds: list[Feed]


async def _by_survey(info: Info[RequestContext, None]) -> list[SurveyStatistics]:
    counts = await info.context.readers.objects.survey_counts(SURVEYS)
    return [SurveyStatistics(survey=row.survey, objects=Int64(row.objects), alerts=Int64(row.alerts)) for row in counts]


async def _reconciliation(info: Info[RequestContext, None]) -> Reconciliation | None:
    services = info.context.services
    balance = None if services is None else await services.balance.get()
    if balance is None:
        return None
    return Reconciliation(
        packets_in=Int64(balance.packets_in),
        alerts=Int64(balance.alerts),
        duplicates=Int64(balance.duplicates),
        dead_letters=Int64(balance.dead_letters),
        graph_alerts=Int64(balance.graph_alerts),
        reconciled=balance.reconciled,
        alerts_by_survey=_counts(balance.by_survey),
        dead_letters_by_code=_counts(balance.by_code),
    )


async def _notices(info: Info[RequestContext, None]) -> Notices | None:
    services = info.context.services
    if services is None:
        return None
    status = await services.notices.get()
    return Notices(
        listening=bool(status["listening"]),
        deliveries=Int64(status["deliveries"]),
        projected=None if status["projected"] is None else Int64(status["projected"]),
        feeds=[
            Feed(
                name=feed["name"],
                deaf=bool(feed["deaf"]),
                last_message=feed["last_message"],
                problem=feed["problem"],
                deliveries=Int64(feed["deliveries"]),
                projected=None if feed["projected"] is None else Int64(feed["projected"]),
                heartbeat_age_seconds=feed["heartbeat_age_seconds"],
            )
            for feed in status["feeds"]
        ],
    )


def _counts(values: dict[str, int]) -> list[NamedCount]:
    return [NamedCount(name=name, count=Int64(count)) for name, count in sorted(values.items())]


@strawberry.type(description="How much is in the graph. Numbers only: alerts of restricted programmes are counted too.")
class Statistics:
    """How much is in the graph."""

    objects: Int64
    alerts: Int64
    sources: Int64

    by_survey: list[SurveyStatistics] = strawberry.field(
        resolver=_by_survey, description="The same per survey; takes longer the more there is."
    )
    reconciliation: Reconciliation | None = strawberry.field(
        resolver=_reconciliation,
        description=f"Up to {BALANCE_SECONDS:g} s old; null where nothing was ever ingested from this home.",
    )
    notices: Notices | None = strawberry.field(resolver=_notices, description=f"Up to {STATUS_SECONDS:g} s old.")


async def read_statistics(info: Info[RequestContext, None]) -> Statistics | None:
    """Return the totals."""
    totals = await info.context.readers.objects.totals()
    return Statistics(objects=Int64(totals.objects), alerts=Int64(totals.alerts), sources=Int64(totals.sources))
