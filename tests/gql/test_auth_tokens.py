"""Tokens are shown once, kept as hashes, and count or cease to count at once."""

from __future__ import annotations

import hashlib
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from asterism.gql.auth_command import token as command
from asterism.gql.auth_tokens import IMPLIED, Scope, TokenStore
from asterism.gql.errors import (
    TokenExpiredError,
    TokenFileError,
    TokenInvalidError,
    TokenRevokedError,
    TokenUnknownError,
)

DAY = 86_400


class Clock:
    def __init__(self, now: float = 1.7e9) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> TokenStore:
    return TokenStore(tmp_path / "home" / "tokens.json", clock)


def test_a_token_is_known_by_its_text_until_it_expires(store: TokenStore, clock: Clock) -> None:
    made, text = store.create("ada", [Scope.VET], 2)
    assert store.check(text) == made
    assert made.allowed() == {Scope.VET, Scope.READ}
    clock.now += 2 * DAY - 1
    store.check(text)
    clock.now += 1
    with pytest.raises(TokenExpiredError, match=made.id):
        store.check(text)


def test_a_revoked_token_is_refused_by_a_store_that_knew_it(store: TokenStore, tmp_path: Path, clock: Clock) -> None:
    server = TokenStore(tmp_path / "home" / "tokens.json", clock)
    made, text = store.create("ada", [Scope.READ], 1)
    server.check(text)
    gone = store.revoke(made.id)
    assert store.revoke(made.id) == gone
    with pytest.raises(TokenRevokedError, match=made.id):
        server.check(text)
    with pytest.raises(TokenUnknownError):
        store.revoke("ffffffff")


def test_neither_file_nor_list_holds_the_secret(store: TokenStore, tmp_path: Path) -> None:
    _, text = store.create("ada", list(Scope), 1)
    secret = text.split("_", 2)[2]
    path = tmp_path / "home" / "tokens.json"
    written = path.read_text()
    assert secret not in written
    assert hashlib.sha256(secret.encode()).hexdigest() in written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in repr(store.tokens())


@given(st.text())
def test_no_other_text_is_a_token(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = TokenStore(tmp_path_factory.mktemp("tokens") / "tokens.json")
    made, real = store.create("ada", [Scope.ADMIN], 1)
    secret = real.split("_", 2)[2]
    for wrong in (text, real + text + "x", f"asterism_{made.id}_{text}", f"{text}x_{made.id}_{secret}", real[:-1]):
        with pytest.raises(TokenInvalidError):
            store.check(wrong)
    assert store.check(real) == made


@pytest.mark.parametrize(
    ("content", "mode"), [("{", 0o600), ('{"version": 9, "tokens": []}', 0o600), ("[]", 0o600), ("{}", 0o660)]
)
def test_a_damaged_or_open_file_lets_nobody_in(store: TokenStore, tmp_path: Path, content: str, mode: int) -> None:
    _, text = store.create("ada", [Scope.ADMIN], 1)
    path = tmp_path / "home" / "tokens.json"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(TokenFileError):
        store.check(text)
    with pytest.raises(TokenFileError):
        store.create("bob", [Scope.READ], 1)
    assert path.read_text() == content


def test_tokens_made_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: TokenStore(path).create(f"user{n}", [Scope.READ], 1)[1], range(24)))
    store = TokenStore(path)
    assert {store.check(text).name for text in texts} == {f"user{n}" for n in range(24)}


@pytest.mark.parametrize(
    ("name", "scopes", "days"), [("", ["read"], 1), ("a b", ["read"], 1), ("a", [], 1), ("a", ["read"], 0)]
)
def test_impossible_tokens_are_not_made(store: TokenStore, name: str, scopes: list[str], days: int) -> None:
    with pytest.raises(TokenUnknownError):
        store.create(name, map(Scope, scopes), days)
    assert store.tokens() == []


def test_every_scope_says_what_it_includes_and_only_admin_all() -> None:
    assert set(IMPLIED) == set(Scope)
    assert all(scope in included for scope, included in IMPLIED.items())
    assert [scope for scope in Scope if IMPLIED[scope] == set(Scope)] == [Scope.ADMIN]


def test_the_commands_make_list_and_revoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_HOME", str(tmp_path))
    run = CliRunner().invoke
    made = json.loads(run(command, ["create", "ada", "--scope", "vet", "--days", "7", "--json"]).output)
    assert TokenStore(tmp_path / "tokens.json").check(made["token"]).name == "ada"
    listed = run(command, ["list", "--json"]).output
    assert made["token"] not in listed
    (one,) = json.loads(listed)
    assert one == {name: value for name, value in made.items() if name != "token"}
    assert json.loads(run(command, ["revoke", made["id"], "--json"]).output)["state"] == "revoked"
    assert f"{made['id']}  revoked" in run(command, ["list"]).output
