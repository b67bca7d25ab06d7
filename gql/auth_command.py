"""``asterism token``: who may use the API."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from asterism.cli import json_option, print_result
from asterism.gql.auth_tokens import MAX_DAYS, Scope, Token, TokenStore
from asterism.settings import load_settings


@click.group()
def token() -> None:
    """Make, list and revoke tokens of the API."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=("read",),
    show_default=True,
    help="What it allows; may be given several times. vet and cypher include read, admin all.",
)
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="How long it holds [d].")
@json_option
def create(name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make a token for NAME, the author of what is written with it. It is shown this once."""
    made, text = _store().create(name, [Scope(scope) for scope in scopes], days)
    document = _document(made) | {"token": text}
    print_result(
        document, as_json, lambda: f"{text}\n{made.id}  {name}  {', '.join(made.scopes)}  until {document['expires']}"
    )


@token.command("list")
@json_option
def list_tokens(as_json: bool) -> None:
    """List all tokens by id, never their secrets."""
    found = [_document(one) for one in _store().tokens()]
    lines = [
        f"{one['id']}  {one['state']:8}  {one['name']:20}  {', '.join(one['scopes']):18}  until {one['expires']}"
        for one in found
    ]
    print_result(found, as_json, lambda: "\n".join(lines) or "there is no token; asterism token create NAME makes one")


@token.command()
@click.argument("identity", metavar="ID")
@json_option
def revoke(identity: str, as_json: bool) -> None:
    """Revoke the token ID; running servers refuse it from their next request on."""
    gone = _store().revoke(identity)
    print_result(_document(gone), as_json, lambda: f"{gone.id} of {gone.name} is revoked")


def _store() -> TokenStore:
    return TokenStore(load_settings().tokens_path)


def _document(one: Token) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": list(one.scopes),
        "state": one.state(time.time()),
        "created": _iso(one.created),
        "expires": _iso(one.expires),
        "revoked": None if one.revoked is None else _iso(one.revoked),
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
