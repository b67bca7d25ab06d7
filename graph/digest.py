"""One hash over the whole graph: two graphs are equal exactly if their digests are.

The digest is the sum, modulo 2**256, of a SHA-256 per node (labels, properties) and per relationship (type,
both ends, properties). A sum does not depend on the order in which a database returns things, and unlike XOR
it does not lose what occurs twice. Values keep their type and every bit: 1, 1.0, "1" and True differ. Neo4j's
internal ids are never looked at.

What is left out stands in ``digest_exclusions.toml``, each with its reason. *History*, links that are closed and
classifications that newer ones have replaced, depends on the order in which things came; it is left out too unless
asked for. Memory is bounded: nodes are
streamed in pages by key. The digest is meant for a graph at rest; under writers it is that of no moment.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeVar

from neo4j import Driver, ManagedTransaction, Session

from asterism.errors import FormatError
from asterism.graph.connection import read
from asterism.graph.cypher_tokens import quoted

EXCLUSIONS_FILE = "digest_exclusions.toml"
"""Names what digests do not look at, beside this module."""
MODULUS = 1 << 256
"""Digests are sums modulo this."""
_PAGE = 2000

_HAS_KEY = "coalesce(n.key IS :: STRING NOT NULL AND n.key <> '' AND size(labels(n)) > 0, false)"
_NODE = "n.key AS key, labels(n) AS labels, properties(n) AS properties"
_RELATIONSHIP = (
    "type(r) AS type, labels(n) AS labels, n.key AS key, "
    "labels(m) AS endLabels, m.key AS endKey, properties(r) AS properties"
)


@dataclass(frozen=True)
class Exclusion:
    """A property the digest does not look at, and why.

    Parameters
    ----------
    owner : str
        Label or relationship type.
    property : str
        Name of the property; ``*`` for all nodes or relationships of the owner, as if they were not there.
    reason : str
        Why it may differ between equal graphs.
    """

    owner: str
    property: str
    reason: str


@dataclass(frozen=True)
class Past:
    """What is history, and why.

    Parameters
    ----------
    owner : str
        Label or relationship type.
    property : str
        Name of the property that tells.
    value : bool
        Its value on history; what has another value or none is no history.
    reason : str
        Why it may differ between graphs whose present is equal.
    """

    owner: str
    property: str
    value: bool
    reason: str


@dataclass(frozen=True)
class Digest:
    """The digest of a graph.

    Parameters
    ----------
    hex : str
        64 hexadecimal digits.
    nodes : dict of str to int
        Nodes per label; one with several labels counts under their names joined by a colon.
    relationships : dict of str to int
        Relationships per type.
    """

    hex: str
    nodes: dict[str, int]
    relationships: dict[str, int]


def load_exclusions() -> tuple[Exclusion, ...]:
    """Return the exclusions this version of Asterism makes.

    Raises
    ------
    FormatError
        If an entry lacks a field or has an empty reason.
    """
    return tuple(_entries("exclude", Exclusion))


def load_past() -> tuple[Past, ...]:
    """Return what this version of Asterism takes for history.

    Raises
    ------
    FormatError
        If an entry lacks a field or has an empty reason.
    """
    return tuple(_entries("history", Past))


_Entry = TypeVar("_Entry", Exclusion, Past)


def _entries(table: str, kind: type[_Entry]) -> list[_Entry]:
    text = files("asterism.graph").joinpath(EXCLUSIONS_FILE).read_text(encoding="utf-8")
    try:
        entries = [kind(**entry) for entry in tomllib.loads(text).get(table, [])]
    except TypeError as error:
        raise FormatError(f"{EXCLUSIONS_FILE}: {error}") from error
    for entry in entries:
        if not entry.reason.strip():
            raise FormatError(f"{EXCLUSIONS_FILE}: {entry.owner}.{entry.property} gives no reason")
    return entries


def digest(
    driver: Driver, database: str, exclusions: tuple[Exclusion, ...] | None = None, *, history: bool = False
) -> Digest:
    """Hash all labels, relationship types and properties of a graph.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database.
    exclusions : tuple of Exclusion, optional
        What to leave out; what `load_exclusions` says if not given.
    history : bool
        Hash what `load_past` says is history, too.

    Raises
    ------
    GraphError
        If the graph cannot be read.
    """
    chosen = load_exclusions() if exclusions is None else exclusions
    skipped = frozenset((item.owner, item.property) for item in chosen)
    scope = _Scope(skipped, () if history else load_past())
    total = _Sum(skipped)
    with driver.session(database=database) as session:
        for label in read(session, _labels):
            _add_label(session, total, scope, label)
        total.include(read(session, _keyless, scope))
    nodes, relationships = (dict(sorted(counts.items())) for counts in (total.nodes, total.relationships))
    return Digest(f"{total.value:064x}", nodes, relationships)


def canonical(element: Any) -> bytes:
    """Return the bytes that stand for a value: those of equal values of equal type, and of no other.

    Floats are written in the shortest form that reads back to the same bits. What JSON lacks (times, points,
    bytes) becomes an object that names its type; properties are never objects, so nothing is mistaken for it.
    """
    return json.dumps(element, sort_keys=True, separators=(",", ":"), default=_tagged).encode()


def _tagged(value: Any) -> dict[str, str]:
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    return {type(value).__name__: value.iso_format() if hasattr(value, "iso_format") else repr(value)}


@dataclass(frozen=True)
class _Scope:
    """What is looked at."""

    skipped: frozenset[tuple[str, str]]
    past: tuple[Past, ...]

    @property
    def parameters(self) -> dict[str, Any]:
        """Values the conditions refer to."""
        return {f"past{number}": past.value for number, past in enumerate(self.past)}

    def node(self, variable: str) -> str:
        """Return the Cypher condition that a node is not history."""
        return self._none(f"{variable}:{{owner}} AND {variable}.{{property}} = ${{value}}")

    def relationship(self) -> str:
        """Return the Cypher condition that neither ``(n)-[r]->(m)`` nor one of its ends is history."""
        own = self._none("type(r) = '{owner}' AND r.{property} = ${value}")
        return f"{own} AND {self.node('n')} AND {self.node('m')}"

    def _none(self, condition: str) -> str:
        each = [
            condition.format(owner=past.owner, property=past.property, value=f"past{number}")
            for number, past in enumerate(self.past)
        ]
        return " AND ".join(f"NOT coalesce({one}, false)" for one in each) or "true"


@dataclass
class _Sum:
    """A running sum and the counts that go with it."""

    skipped: frozenset[tuple[str, str]]
    value: int = 0
    nodes: Counter[str] = field(default_factory=Counter)
    relationships: Counter[str] = field(default_factory=Counter)

    def include(self, other: _Sum) -> None:
        self.value = (self.value + other.value) % MODULUS
        self.nodes += other.nodes
        self.relationships += other.relationships

    def add_node(self, record: Mapping[str, Any]) -> None:
        labels = sorted(record["labels"])
        if not self._all_skipped(labels):
            self.nodes[":".join(labels)] += 1
            self._add(["node", labels, self._kept(labels, record["properties"])])

    def add_relationship(self, record: Mapping[str, Any]) -> None:
        kind, start, end = record["type"], sorted(record["labels"]), sorted(record["endLabels"])
        if not any(map(self._all_skipped, ([kind], start, end))):
            self.relationships[kind] += 1
            ends = [start, record["key"], end, record["endKey"]]
            self._add(["relationship", kind, ends, self._kept([kind], record["properties"])])

    def _all_skipped(self, owners: list[str]) -> bool:
        return any((owner, "*") in self.skipped for owner in owners)

    def _kept(self, owners: list[str], properties: Mapping[str, Any]) -> dict[str, Any]:
        left_out = {name for owner, name in self.skipped if owner in owners}
        return {name: value for name, value in properties.items() if name not in left_out}

    def _add(self, element: list[Any]) -> None:
        digest_bytes = hashlib.sha256(canonical(element)).digest()
        self.value = (self.value + int.from_bytes(digest_bytes, "big")) % MODULUS


def _labels(tx: ManagedTransaction) -> list[str]:
    return sorted(record[0] for record in tx.run("CALL db.labels() YIELD label RETURN label"))


def _add_label(session: Session, total: _Sum, scope: _Scope, label: str) -> None:
    """Add the nodes of one label and the relationships that start from them."""
    after: str | None = ""
    while after is not None:
        page, after = read(session, _page, scope, label, after)
        total.include(page)


def _page(tx: ManagedTransaction, scope: _Scope, label: str, after: str) -> tuple[_Sum, str | None]:
    """Return the sum over the next nodes of a label and the last key among them; None when there are none.

    A node with several labels counts under the first of them in the alphabet only. The sum starts afresh each
    time, so that a transaction the driver repeats counts once.
    """
    part, last = _Sum(scope.skipped), None
    nodes = f"MATCH (n:{quoted(label)}) WHERE n.key > $after AND {scope.node('n')} RETURN {_NODE} ORDER BY n.key"
    for record in tx.run(f"{nodes} LIMIT $page", after=after, page=_PAGE, **scope.parameters):
        last = record["key"]
        if min(record["labels"]) == label:
            part.add_node(record)
    between = f"MATCH (n:{quoted(label)})-[r]->(m) WHERE $after < n.key <= $last AND {scope.relationship()}"
    for record in tx.run(f"{between} RETURN {_RELATIONSHIP}", after=after, last=last or after, **scope.parameters):
        if min(record["labels"]) == label:
            part.add_relationship(record)
    return part, last


def _keyless(tx: ManagedTransaction, scope: _Scope) -> _Sum:
    """Return the sum over what paging by key cannot see. There should be nothing, which is why we look."""
    part = _Sum(scope.skipped)
    nodes = f"MATCH (n) WHERE NOT {_HAS_KEY} AND {scope.node('n')} RETURN {_NODE}"
    for record in tx.run(nodes, scope.parameters):
        part.add_node(record)
    relationships = f"MATCH (n)-[r]->(m) WHERE NOT {_HAS_KEY} AND {scope.relationship()} RETURN {_RELATIONSHIP}"
    for record in tx.run(relationships, scope.parameters):
        part.add_relationship(record)
    return part
