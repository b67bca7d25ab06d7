"""How much is in the graph."""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from asterism.gql.loaders import RequestContext
from asterism.gql.types.scalars import Int64

SURVEYS = ("lsst", "ztf")


@strawberry.type(description="How much of one survey is in the graph, restricted alerts counted too.")
class SurveyStatistics:
    """How much of one survey is in the graph."""

    survey: str
    objects: Int64
    alerts: Int64


async def _by_survey(info: Info[RequestContext, None]) -> list[SurveyStatistics]:
    counts = await info.context.reader.survey_counts(SURVEYS)
    return [
        SurveyStatistics(survey=row.survey, objects=Int64(row.objects), alerts=Int64(row.alerts))
        for row in counts
    ]


@strawberry.type(
    description="How much is in the graph. Numbers only: alerts of restricted programmes are counted too."
)
class Statistics:
    """How much is in the graph."""

    objects: Int64
    alerts: Int64
    sources: Int64

    by_survey: list[SurveyStatistics] = strawberry.field(
        resolver=_by_survey, description="The same per survey; takes longer the more there is."
    )


async def read_statistics(info: Info[RequestContext, None]) -> Statistics | None:
    """Return the totals."""
    totals = await info.context.reader.totals()
    return Statistics(
        objects=Int64(totals.objects), alerts=Int64(totals.alerts), sources=Int64(totals.sources)
    )
