"""API tokens: made once, kept as hashes in ``<home>/tokens.json``.

A token is ``asterism_<id>_<secret>``. The id is public: lists and logs name a token by it. The secret has 256 random
bits, so one SHA-256 protects it as well as a slow hash would, and nobody can guess it; it is printed when made and
is nowhere afterwards. The file is replaced whole, mode 0600, under a lock. A server looks at the file's identity with
every request, so that a new or revoked token counts at once. A file that cannot be read lets nobody in.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from asterism.formats import sync_folder
from asterism.gql.errors import (
    TokenExpiredError,
    TokenFileError,
    TokenInvalidError,
    TokenRevokedError,
    TokenUnknownError,
)

PREFIX = "asterism"
MAX_DAYS = 3650
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,59}")
_VERSION = 1
_DAY = 86_400


class Scope(StrEnum):
    """What a token lets its holder do."""

    READ = "read"
    """Ask GraphQL, take exports, follow subscriptions."""
    VET = "vet"
    """Vet, annotate, tag and watch, too."""
    CYPHER = "cypher"
    """Send Cypher; restricted alerts are not hidden there."""
    ADMIN = "admin"
    """Everything, without quota."""


IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.VET: frozenset({Scope.VET, Scope.READ}),
    Scope.CYPHER: frozenset({Scope.CYPHER, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}
"""What each scope includes."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept.

    Parameters
    ----------
    id : str
        Public name, 8 hexadecimal digits.
    name : str
        Who holds it; the author of what is written with it.
    scopes : tuple of str
        Scopes as given.
    sha256 : str
        Hash of the secret.
    created, expires : int
        Unix times [s].
    revoked : int, optional
        When it was revoked.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str
    created: int
    expires: int
    revoked: int | None = None

    def allowed(self) -> frozenset[Scope]:
        """Return the scopes with what they include."""
        return frozenset().union(*(IMPLIED[Scope(scope)] for scope in self.scopes))

    def state(self, now: float) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "active" if now < self.expires else "expired"


class TokenStore:
    """The tokens of one installation.

    Parameters
    ----------
    path : Path
        File of the tokens; none yet is no token.
    clock : callable
        Returns Unix time [s].
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._mutex = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def create(self, name: str, scopes: Iterable[Scope], days: int) -> tuple[Token, str]:
        """Make a token; return it and the text its holder needs, which nothing can show again.

        Parameters
        ----------
        name : str
            Who will hold it: letters, digits and ``. _ @ + -``, at most 60.
        scopes : iterable of Scope
            What it allows, at least one.
        days : int
            How long it holds, 1 to `MAX_DAYS` [d].

        Raises
        ------
        TokenUnknownError
            If name, scopes or days are none we accept.
        TokenFileError
            If the file cannot be read or written.
        """
        chosen = tuple(sorted(set(scopes)))
        if not _NAME.fullmatch(name) or not chosen or not 1 <= days <= MAX_DAYS:
            raise TokenUnknownError(f"no token can be made for {name!r:.80}, {list(chosen)}, {days} d")
        secret, now = secrets.token_urlsafe(32), int(self._clock())
        with self._changing() as tokens:
            identity = secrets.token_hex(4)
            while identity in tokens:
                identity = secrets.token_hex(4)
            token = Token(identity, name, chosen, _hash(secret), now, now + days * _DAY)
            tokens[identity] = token
        return token, f"{PREFIX}_{identity}_{secret}"

    def revoke(self, identity: str) -> Token:
        """Revoke a token for good; one that is revoked already stays as it is.

        Raises
        ------
        TokenUnknownError
            If there is no token of that id.
        TokenFileError
            If the file cannot be read or written.
        """
        with self._changing() as tokens:
            if identity not in tokens:
                raise TokenUnknownError(f"there is no token {identity!r:.80}")
            if tokens[identity].revoked is None:
                tokens[identity] = replace(tokens[identity], revoked=int(self._clock()))
            return tokens[identity]

    def tokens(self) -> list[Token]:
        """Return all tokens, the oldest first.

        Raises
        ------
        TokenFileError
            If the file cannot be read.
        """
        return sorted(self._read().values(), key=lambda token: (token.created, token.id))

    def check(self, text: str) -> Token:
        """Return the token a client showed.

        Raises
        ------
        TokenInvalidError, TokenExpiredError, TokenRevokedError
            If it is none of ours, or holds no longer; only its owner is told which.
        TokenFileError
            If the file cannot be read.
        """
        prefix, _, rest = text.partition("_")
        identity, _, secret = rest.partition("_")
        known = self._read().get(identity)
        digest = _hash(secret)
        fits = hmac.compare_digest(digest, known.sha256 if known is not None else _hash(""))
        if known is None or not fits or prefix != PREFIX:
            raise TokenInvalidError("the token is not one of this installation")
        self._must_hold(known)
        return known

    def recheck(self, identity: str) -> None:
        """Return if a token that was checked before still holds.

        Raises
        ------
        TokenExpiredError, TokenRevokedError
            If it does not.
        TokenFileError
            If the file cannot be read.
        """
        known = self._read().get(identity)
        if known is None:
            raise TokenRevokedError(f"token {identity} was removed")
        self._must_hold(known)

    def _must_hold(self, token: Token) -> None:
        state = token.state(self._clock())
        if state == "revoked":
            raise TokenRevokedError(f"token {token.id} was revoked")
        if state == "expired":
            raise TokenExpiredError(f"token {token.id} has expired")

    def _read(self) -> dict[str, Token]:
        with self._mutex:
            identity = self._identity()
            if identity is None:
                self._seen, self._tokens = None, {}
            elif identity != self._seen:
                self._tokens = _parse(self._path)
                self._seen = identity
            return self._tokens

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror}") from error
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise TokenFileError(f"{self._path} can be written by others", hint=f"chmod 600 {self._path}")
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """Give the tokens to be changed and write them, under the lock of all processes."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TokenFileError(f"{self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = dict(self._read())
            yield tokens
            self._write(tokens)
        finally:
            os.close(lock)

    def _write(self, tokens: dict[str, Token]) -> None:
        content = json.dumps({"version": _VERSION, "tokens": [asdict(token) for token in tokens.values()]}, indent=1)
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise TokenFileError(f"{self._path} cannot be written: {error.strerror}") from error


def _parse(path: Path) -> dict[str, Token]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            raise TokenFileError(f"{path} has version {document['version']!r:.20}, this Asterism reads {_VERSION}")
        tokens = [Token(**values | {"scopes": tuple(map(Scope, values["scopes"]))}) for values in document["tokens"]]
    except OSError as error:
        raise TokenFileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise TokenFileError(f"{path} is damaged: {type(error).__name__}") from error
    return {token.id: token for token in tokens}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
