"""Labels, keys and indexes, and the format stamp the database carries.

Every node has a property ``key``, unique within its label: the constraint makes MERGE atomic and fast, which
all idempotent writes rest on. Keys never change, so neither do the entries of their indexes. There are no hub
nodes (survey, night, band, run): those are properties.

An index is here because a query needs it, and each costs every write:

- ``Event(changed)``: what changed since, for subscriptions (`asterism.graph.changes`).
- ``Annotation(name)``, ``Annotation(subject)``: what carries a tag or is on a watchlist; the last word on a subject.
- ``Event(state)``, ``Event(t0MjdTai)``: the active events of a batch, and pages of events by time.
- ``Notice(ivorn)``, ``Notice(citesElsewhere)``: notices cite each other by IVORN, which is not unique, across
  events and in any order.
- ``Object(hpx29)``: cone search and sky-map look-up seek ranges of the order-29 index.
- ``CANDIDATE_FOR(run)``, ``COINCIDENT_WITH(run)``, ``HOSTED_BY(run)``: everything a bad run derived.

The stamp also tells whether restricted rows were ever written (``restricted``; see `asterism.graph.visibility`).
"""

from __future__ import annotations

from dataclasses import dataclass

from neo4j import Driver, ManagedTransaction

from asterism.errors import FormatError
from asterism.formats import VERSIONS, check_stamp
from asterism.graph.connection import mapped_errors, read, write
from asterism.graph.errors import GraphNotInitialisedError
from asterism.graph.visibility import find_restricted

LABELS = (
    "Alert",
    "Annotation",
    "Asterism",
    "CatalogSource",
    "Classification",
    "Event",
    "Localization",
    "Notice",
    "Object",
    "Run",
    "Source",
)
"""Labels with a unique ``key``. ``Asterism`` is the one node that carries the format stamp and counts changes."""

INDEXES = {
    "event_changed": ("Event", "changed"),
    "annotation_name": ("Annotation", "name"),
    "annotation_subject": ("Annotation", "subject"),
    "event_state": ("Event", "state"),
    "event_t0": ("Event", "t0MjdTai"),
    "notice_cites_elsewhere": ("Notice", "citesElsewhere"),
    "notice_ivorn": ("Notice", "ivorn"),
    "object_hpx29": ("Object", "hpx29"),
}
"""Name of each range index, and the label and property it covers."""

RELATIONSHIP_INDEXES = {
    f"{relationship.lower()}_run": (relationship, "run")
    for relationship in ("CANDIDATE_FOR", "COINCIDENT_WITH", "HOSTED_BY")
}
"""Name of each range index over relationships, and the type and property it covers."""

_AWAIT_SECONDS = 300


@dataclass(frozen=True)
class SchemaReport:
    """What `initialise` found or made.

    Parameters
    ----------
    constraints, indexes : tuple of str
        Names of those in force.
    created : int
        How many of them were made just now.
    """

    constraints: tuple[str, ...]
    indexes: tuple[str, ...]
    created: int


def constraint_name(label: str) -> str:
    """Return the name of the uniqueness constraint of a label."""
    return f"{label.lower()}_key"


def initialise(driver: Driver, database: str) -> SchemaReport:
    """Stamp an empty database and make constraints and indexes; do nothing where all is there.

    Parameters
    ----------
    driver : neo4j.Driver
        Open driver.
    database : str
        Name of the database.

    Raises
    ------
    FormatError
        If the database holds another format, or nodes but no stamp: then it is not ours.
    GraphError
        If Neo4j does not do it.
    """
    statements = [
        f"CREATE CONSTRAINT {constraint_name(label)} IF NOT EXISTS FOR (n:{label}) REQUIRE n.key IS UNIQUE"
        for label in LABELS
    ]
    statements += [
        f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON (n.{prop})" for name, (label, prop) in INDEXES.items()
    ]
    statements += [
        f"CREATE INDEX {name} IF NOT EXISTS FOR ()-[r:{kind}]-() ON (r.{prop})"
        for name, (kind, prop) in RELATIONSHIP_INDEXES.items()
    ]
    created = 0
    with driver.session(database=database) as session:
        read(session, _refuse_foreign)
        with mapped_errors("making constraints and indexes"):
            for statement in statements:
                counters = session.run(statement).consume().counters
                created += counters.constraints_added + counters.indexes_added
            session.run("CALL db.awaitIndexes($seconds)", seconds=_AWAIT_SECONDS).consume()
        write(session, _stamp)
    return SchemaReport(tuple(constraint_name(label) for label in LABELS), (*INDEXES, *RELATIONSHIP_INDEXES), created)


def check_format(driver: Driver, database: str) -> None:
    """Refuse a database that was not initialised, or by another format version.

    Raises
    ------
    GraphNotInitialisedError
        If there is no stamp.
    FormatError
        If the stamp is another one.
    """
    with driver.session(database=database) as session:
        stamp = read(session, read_stamp)
    if stamp is None:
        raise GraphNotInitialisedError(f"database {database} carries no format stamp")
    check_stamp(stamp, "graph", f"database {database}")


def read_stamp(tx: ManagedTransaction) -> dict[str, object] | None:
    """Return kind and version as the database states them; None where it has no stamp."""
    record = tx.run("MATCH (f:Asterism {key: 'format'}) RETURN f.kind AS kind, f.version AS version").single()
    return None if record is None else record.data()


def _refuse_foreign(tx: ManagedTransaction) -> None:
    stamp = read_stamp(tx)
    if stamp is not None:
        check_stamp(stamp, "graph", "the database")
    elif tx.run("MATCH (n) RETURN 1 LIMIT 1").single() is not None:
        raise FormatError(
            "the database holds nodes but no Asterism format stamp",
            hint="give Asterism an empty database of its own",
        )


def _stamp(tx: ManagedTransaction) -> None:
    tx.run(
        "MERGE (f:Asterism {key: 'format'}) ON CREATE SET f.kind = 'graph', f.version = $version, f.restricted = false",
        version=VERSIONS["graph"],
    ).consume()
    find_restricted(tx)
