"""What a mutation may say: texts, names, cones and keys, checked before anything is written."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata

import strawberry

from asterism.gql.errors import ArgumentError
from asterism.gql.search import checked_cone
from asterism.graph.curation.acts import Subject

MAX_TEXT = 4000
MAX_SUBJECTS = 500
"""Most entries put on a watchlist by one mutation."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_LAYOUT = "\n\t"


@strawberry.input(description="A circle on the sky to watch: ra and dec in degrees (ICRS).")
class ConeInput:
    """A circle on the sky to watch."""

    ra: float
    dec: float
    radius_arcsec: float

    def subject(self) -> Subject:
        """Return the cone as a subject.

        Raises
        ------
        ArgumentError
            If it is none.
        """
        cone = checked_cone(self.ra, self.dec, self.radius_arcsec, None, None)
        return Subject(ra=cone.ra, dec=cone.dec, radius_arcsec=cone.radius_arcsec)


def checked_text(argument: str, text: str) -> str:
    """Return a text without the blanks around it.

    Raises
    ------
    ArgumentError
        If it is empty, longer than `MAX_TEXT` characters or has control characters.
    """
    plain = text.strip()
    if not 1 <= len(plain) <= MAX_TEXT:
        raise ArgumentError(
            f"{argument} has {len(plain)} characters, 1 to {MAX_TEXT} are allowed", hint="say it in a few sentences"
        )
    if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in _LAYOUT for letter in plain):
        raise ArgumentError(f"{argument} holds control characters", hint="send plain text in UTF-8")
    return plain


def checked_name(argument: str, name: str) -> str:
    """Return the name of a tag or watchlist.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if not _NAME.fullmatch(name):
        raise ArgumentError(
            f"{argument} is {name!r:.80}", hint="lower-case letters, digits and . _ - are allowed, at most 60"
        )
    return name


def act_id(author: str, idempotency_key: str | None) -> str:
    """Return the id of an act: the same for the same author and key, a new one without a key.

    Raises
    ------
    ArgumentError
        If the key is empty or longer than 200 characters.
    """
    if idempotency_key is None:
        return secrets.token_hex(16)
    if not 1 <= len(idempotency_key) <= 200:
        raise ArgumentError(
            f"idempotencyKey has {len(idempotency_key)} characters, 1 to 200 are allowed", hint="a UUID will do"
        )
    words = f"{author}\0{idempotency_key}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(words).hexdigest()[:32]
