"""``GET /node/<id>``: what an id stands for, as JSON, for links that last."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asterism.gql.loaders import RequestContext

_QUERY = """
query ($id: ID!) { node(id: $id) {
  __typename id
  ... on Object { key survey objectId ra dec firstDetection { iso } lastDetection { iso } lastMag lastBand nDetections
    classification { className probability module } host { separationArcsec source { key distanceMpc } }
    candidateFor { id probability event { key } } }
  ... on Alert { key objectKey time { iso } ra dec photometry { kind band flux fluxErr mag magErr isPositive } }
  ... on Source { key ra dec objects { separationArcsec object { key } } }
  ... on CatalogSource { key className ra dec distanceMpc redshift }
  ... on Event { key kind standing state t0 { iso } farHz latestStage nCandidates pNone
    localization { key kind area90 } candidates(first: 10) { edges { node { id probability object { key } } } } }
  ... on Notice { key ivorn mission stage issued { iso } channels }
  ... on Localization { key kind ra dec radiusDeg area50 area90 current }
  ... on Classification { key className probability current }
  ... on Candidate { key probability logL terms { name value } open vetting ruleSet object { key } event { key } }
  ... on Coincidence { key logOdds overlap farHz open first { key } second { key } }
  ... on Annotation { key kind text state author created { iso } objectKey eventKey }
  ... on Run { key kind version started { iso } ended { iso } }
} }
"""


async def show_node(request: Request) -> Response:
    """Answer with the node, 404 where there is none, or why it cannot be shown."""
    state = request.app.state
    context = RequestContext(state.readers, state.services)
    result = await state.schema.execute(
        _QUERY, variable_values={"id": request.path_params["id"]}, context_value=context
    )
    if result.errors:
        errors = [error.formatted for error in result.errors]
        client = errors[0].get("extensions", {}).get("code", "").startswith(("gql.argument", "id."))
        return JSONResponse({"data": None, "errors": errors}, status_code=400 if client else 503)
    return JSONResponse({"data": result.data}, status_code=200 if result.data["node"] else 404)
