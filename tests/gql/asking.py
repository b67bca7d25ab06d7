"""How tests ask the API: what is answered, all pages of a list, the code of a refusal."""

from __future__ import annotations

from typing import Any

import httpx


def ask(client: httpx.Client, query: str, **variables: Any) -> Any:
    """Return the data of an answer without errors."""
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert "errors" not in document, document
    return document["data"]


def pages(client: httpx.Client, query: str, first: int = 4, **variables: Any) -> tuple[list[Any], int | None]:
    """Return the edges of all pages of the field called ``page``, and the total it states."""
    edges: list[Any] = []
    after = None
    for _ in range(300):
        page = ask(client, query, first=first, after=after, **variables)["page"]
        edges += page["edges"]
        if not page["pageInfo"]["hasNextPage"]:
            return edges, page.get("totalCount")
        after = page["pageInfo"]["endCursor"]
    raise AssertionError("the list has no end")


def code_of(client: httpx.Client, query: str, **variables: Any) -> str:
    """Return the code of the one error of an answer, which has a hint."""
    (error,) = client.post("/graphql", json={"query": query, "variables": variables}).json()["errors"]
    assert error["extensions"]["hint"]
    return str(error["extensions"]["code"])
