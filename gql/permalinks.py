"""``GET /node/<id>``: what an id stands for, as JSON, for links that last."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asterism.errors import IdError
from asterism.gql.auth import require
from asterism.gql.auth_tokens import Scope
from asterism.gql.bodies import refusal
from asterism.gql.errors import ArgumentError
from asterism.gql.loaders import RequestContext
from asterism.gql.nodes import parse_global_id

_FIELDS = {
    "Object": "key survey objectId ra dec firstDetection { iso } lastDetection { iso } lastMag lastBand nDetections "
    "classification { className probability module } host { separationArcsec source { key distanceMpc } } "
    "candidateFor { id probability event { key } }",
    "Alert": "key objectKey time { iso } ra dec photometry { kind band flux fluxErr mag magErr isPositive }",
    "Source": "key ra dec objects { separationArcsec object { key } }",
    "CatalogSource": "key className ra dec distanceMpc redshift",
    "Event": "key kind standing state t0 { iso } farHz latestStage nCandidates pNone localization { key kind area90 } "
    "candidates(first: 10) { edges { node { id probability object { key } } } }",
    "Notice": "key ivorn mission stage issued { iso } channels",
    "Localization": "key kind ra dec radiusDeg area50 area90 current",
    "Classification": "key className probability current",
    "Candidate": "key probability logL terms { name value } open vetting ruleSet object { key } event { key }",
    "Coincidence": "key logOdds overlap farHz open first { key } second { key }",
    "Annotation": "key kind text state author created { iso } objectKey eventKey",
    "Run": "key kind version started { iso } ended { iso }",
}
"""What is shown of each type."""

QUERIES = {
    name: f"query ($id: ID!) {{ node(id: $id) {{ __typename id ... on {name} {{ {fields} }} }} }}"
    for name, fields in _FIELDS.items()
}
"""One query a type: fields of one name have other types elsewhere, which one document may not mix."""


async def show_node(request: Request) -> Response:
    """Answer with the node, 404 where there is none, or why it cannot be shown."""
    require(request, Scope.READ)
    state, identity = request.app.state, request.path_params["id"]
    try:
        kind, _ = parse_global_id(identity)
        if kind not in QUERIES:
            raise ArgumentError(f"there is no type {kind!r:.40}", hint="take the permalink of an answer, unchanged")
    except ArgumentError as error:
        return refusal(error, 400)
    context = RequestContext(state.readers, state.services)
    result = await state.schema.execute(QUERIES[kind], variable_values={"id": identity}, context_value=context)
    if result.errors:
        errors = [error.formatted for error in result.errors]
        return JSONResponse({"data": None, "errors": errors}, status_code=_status(errors))
    return JSONResponse({"data": result.data}, status_code=200 if result.data["node"] else 404)


def _status(errors: list[Any]) -> int:
    """Return 400 where the key in an id is none, 503 where something of ours failed."""
    codes = {error.get("extensions", {}).get("code", "") for error in errors}
    return 400 if codes <= {IdError.code, ArgumentError.code} else 503
