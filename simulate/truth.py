"""What a stream of packets must have become once it is ingested, counted while it is made and never by
ingest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from asterism.simulate.faults import Fault


class Outcome(StrEnum):
    """What ingest must make of a message."""

    ALERT = "alert"
    DUPLICATE = "duplicate"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class MessageTruth:
    """The truth of one message.

    Parameters
    ----------
    outcome : Outcome
        What it must become.
    alert_key : str
        ``survey:sourceId``; of a broken packet, the alert it was copied from.
    object_key : str or None
        ``survey:objectId``; None for an alert of a Solar System object only.
    counterpart_key : str or None
        The object of the other survey that is the same source on the sky.
    public : bool
        Anybody may see the alert.
    fault : Fault or None
        What is wrong with a dead letter.
    """

    outcome: Outcome
    alert_key: str
    object_key: str | None
    counterpart_key: str | None = None
    public: bool = True
    fault: Fault | None = None


@dataclass
class Truth:
    """The counts and identities a set of messages must leave behind."""

    packets: int = 0
    alerts: int = 0
    duplicates: int = 0
    nonpublic_alerts: int = 0
    edges: int = 0
    """Alerts that belong to an object: HAS_ALERT relationships."""
    faults: Counter[Fault] = field(default_factory=Counter)
    counterparts: dict[str, str | None] = field(default_factory=dict)
    """Every object delivered, with the object of the other survey that is the same source."""

    def add(self, message: MessageTruth) -> None:
        """Count one delivered message."""
        self.packets += 1
        match message.outcome:
            case Outcome.DUPLICATE:
                self.duplicates += 1
            case Outcome.DEAD_LETTER:
                if message.fault is not None:
                    self.faults[message.fault] += 1
            case Outcome.ALERT:
                self.alerts += 1
                self.nonpublic_alerts += not message.public
                if message.object_key is not None:
                    self.edges += 1
                    self.counterparts[message.object_key] = message.counterpart_key

    @property
    def dead_letters(self) -> int:
        """Messages that must be refused."""
        return self.faults.total()

    @property
    def objects(self) -> set[str]:
        """Keys of all objects."""
        return set(self.counterparts)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """(ZTF key, LSST key) of every source of which both surveys delivered an alert."""
        return {
            (other, key)
            for key, other in self.counterparts.items()
            if key.startswith("lsst:") and other in self.counterparts and other is not None
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the truth as ``--json`` prints it."""
        return {
            "packets": self.packets,
            "alerts": self.alerts,
            "duplicates": self.duplicates,
            "dead_letters": self.dead_letters,
            "nonpublic_alerts": self.nonpublic_alerts,
            "objects": len(self.counterparts),
            "edges": self.edges,
            "faults": {fault.value: n for fault, n in sorted(self.faults.items())},
            "pairs": sorted(self.pairs),
        }
