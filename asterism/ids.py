"""Keys: every identifier is a string from packet to API.

Survey ids are 64-bit integers; JSON, JavaScript and float64 lose them above 2**53. They therefore become decimal
strings where they enter and stay strings. A key is ``<namespace>:<local id>`` and is deterministic: the same packet
gives the same key on every machine, which is what makes every write idempotent.
"""

from __future__ import annotations

import re

from asterism.errors import IdError

_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-/]{0,127}")
_INT64_MAX = 2**63 - 1


def id_text(value: int | str) -> str:
    """Return a survey identifier as its decimal or literal string.

    Parameters
    ----------
    value : int or str
        A non-negative 64-bit integer, or text of letters, digits and ``. _ + - /``, at most 128 characters.

    Raises
    ------
    IdError
        If the integer is negative or beyond 2**63 - 1, or the text holds another character.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= _INT64_MAX:
            raise IdError(f"id {value} is outside 0 .. 2**63 - 1")
        return str(value)
    if isinstance(value, str) and _LOCAL.fullmatch(value):
        return value
    raise IdError(f"id {value!r:.80} is not a non-negative integer or plain text")


def make_key(namespace: str, value: int | str) -> str:
    """Return ``namespace:id``, the key of an alert, an object or an event.

    Parameters
    ----------
    namespace : str
        Survey, catalogue or authority in lower case, such as ``ztf``.
    value : int or str
        The identifier the namespace's owner gave.

    Raises
    ------
    IdError
        If either half is malformed.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise IdError(f"namespace {namespace!r:.80} is not lower-case letters, digits and _")
    return f"{namespace}:{id_text(value)}"


def split_key(key: str) -> tuple[str, str]:
    """Return the namespace and the local id of a key; the inverse of `make_key`.

    Raises
    ------
    IdError
        If `key` is not of the form ``namespace:id``.
    """
    namespace, colon, local = key.partition(":")
    if not colon or not _NAMESPACE.fullmatch(namespace) or not _LOCAL.fullmatch(local):
        raise IdError(f"key {key!r:.80} is not of the form namespace:id")
    return namespace, local
