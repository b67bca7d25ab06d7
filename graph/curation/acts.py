"""What one person did at one time, and what it is about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from asterism.ids import make_key


class Kind(StrEnum):
    """Kinds of acts."""

    VETTING = "vetting"
    """Said what an object is to an event; state: pending, confirmed, ambiguous or rejected."""
    COMMENT = "comment"
    """Wrote a text; state: set."""
    TAG = "tag"
    """Tagged, or took a tag away; state: set or removed."""
    WATCH = "watch"
    """Put on a watchlist, or took off it; state: set or removed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an act is about: an object, an event, the link of both, or a cone on the sky.

    Parameters
    ----------
    object_key, event_key : str, optional
        Keys; both for a link.
    ra, dec : float, optional
        Centre of a cone [deg, ICRS].
    radius_arcsec : float, optional
        Radius of a cone [arcsec].
    """

    object_key: str | None = None
    event_key: str | None = None
    ra: float | None = None
    dec: float | None = None
    radius_arcsec: float | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One act.

    Parameters
    ----------
    id : str
        32 hexadecimal digits; the same for the same author and idempotency key.
    kind : Kind
        What was done.
    state : str
        The outcome, see `Kind`.
    name : str, optional
        Tag, or name of the watchlist.
    text : str, optional
        Reason of a vetting, or text of a comment.
    author : str
        Holder of the token.
    token_id : str
        Public id of the token.
    made_mjd_tai : float
        When, MJD TAI.
    subjects : tuple of Subject
        What it is about: one, or several for a watchlist.
    """

    id: str
    kind: Kind
    state: str
    name: str | None
    text: str | None
    author: str
    token_id: str
    made_mjd_tai: float
    subjects: tuple[Subject, ...]

    def same_as(self, other: Act) -> bool:
        """Whether two acts say the same, whenever and with whichever token of their author."""
        return self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        return (self.kind, self.state, self.name, self.text, self.author, self.subjects)

    def subject_name(self, index: int) -> str:
        """Return the name of what the last word decides on: acts of one name replace each other, a comment none.

        A watchlist belongs to its author, tags and verdicts to everybody.
        """
        if self.kind is Kind.COMMENT:
            return annotation_key(self.id, index)
        owner = self.author if self.kind is Kind.WATCH else None
        return json.dumps([self.kind, self.name, owner, *asdict(self.subjects[index]).values()])

    def annotations(self) -> list[dict[str, Any]]:
        """Return the properties of the ``Annotation`` nodes that stand for the act, one a subject."""
        said = {
            "kind": str(self.kind),
            "state": self.state,
            "name": self.name,
            "text": self.name if self.text is None else self.text,
            "author": self.author,
            "createdMjdTai": self.made_mjd_tai,
        }
        return [
            said
            | {
                "key": annotation_key(self.id, index),
                "subject": self.subject_name(index),
                "objectKey": subject.object_key,
                "eventKey": subject.event_key,
                "ra": subject.ra,
                "dec": subject.dec,
                "radiusArcsec": subject.radius_arcsec,
            }
            for index, subject in enumerate(self.subjects)
        ]


def annotation_key(act_id: str, index: int) -> str:
    """Return the key of the annotation that stands for one subject of an act."""
    return make_key("annotation", f"{act_id}-{index}")


_SUBJECT = pa.struct(
    [
        pa.field("objectKey", pa.string()),
        pa.field("eventKey", pa.string()),
        pa.field("ra", pa.float64()),
        pa.field("dec", pa.float64()),
        pa.field("radiusArcsec", pa.float64()),
    ]
)

CURATION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("text", pa.string()),
        pa.field("author", pa.string(), nullable=False),
        pa.field("tokenId", pa.string(), nullable=False),
        pa.field("madeMjdTai", pa.float64(), nullable=False),
        pa.field("subjects", pa.list_(_SUBJECT), nullable=False),
    ]
)
"""One row per act."""


def to_row(act: Act) -> dict[str, Any]:
    """Return an act as a row of `CURATION`."""
    names = _SUBJECT.names
    return {
        "id": act.id,
        "kind": str(act.kind),
        "state": act.state,
        "name": act.name,
        "text": act.text,
        "author": act.author,
        "tokenId": act.token_id,
        "madeMjdTai": act.made_mjd_tai,
        "subjects": [dict(zip(names, asdict(subject).values(), strict=True)) for subject in act.subjects],
    }


def from_row(row: dict[str, Any]) -> Act:
    """Return the act of a row of `CURATION`."""
    return Act(
        id=row["id"],
        kind=Kind(row["kind"]),
        state=row["state"],
        name=row["name"],
        text=row["text"],
        author=row["author"],
        token_id=row["tokenId"],
        made_mjd_tai=row["madeMjdTai"],
        subjects=tuple(Subject(*(values[name] for name in _SUBJECT.names)) for values in row["subjects"]),
    )
