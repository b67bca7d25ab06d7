"""Runs of the jobs that derive something: a ``Run`` node each, which says what the ``run`` of a link stands for.

No relationship leads to it: what a run derived is found by that property, and the node would be a hub. A run that was
killed has a beginning and no end, or the end of what it had finished before.
"""

from __future__ import annotations

import uuid

from neo4j import ManagedTransaction, Session

import asterism
from asterism.graph.connection import write
from asterism.times import now_mjd_tai

ASSOCIATE, IDENTITY, REBUILD = "associate", "identity", "rebuild"
"""Kinds: candidates and coincidences of events; sources across surveys; the whole graph."""

_BEGIN = "MERGE (r:Run {key: $key}) ON CREATE SET r.kind = $kind, r.version = $version, r.startedMjdTai = $now"
_END = "MATCH (r:Run {key: $key}) SET r.endedMjdTai = $now"


def new_run() -> str:
    """Return the key of a new run."""
    return uuid.uuid4().hex


def begin_run(session: Session, key: str, kind: str) -> None:
    """Say that a run begins, or goes on; done before it writes anything.

    Parameters
    ----------
    session : neo4j.Session
        Open session.
    key : str
        Key of the run.
    kind : str
        What it does.
    """
    write(session, _do, _BEGIN, key=key, kind=kind, version=asterism.__version__, now=now_mjd_tai())


def end_run(session: Session, key: str) -> None:
    """Say that all is written that a run has found so far."""
    write(session, _do, _END, key=key, now=now_mjd_tai())


def _do(tx: ManagedTransaction, statement: str, /, **parameters: object) -> None:
    tx.run(statement, parameters).consume()
