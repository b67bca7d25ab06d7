"""Whether a graph holds rows that not everybody may see.

Named reads demand ``public`` of every object and alert they touch. Free Cypher cannot be made to: Community Edition
has no access control below the database, and an expression that meets a hidden row can tell of it by a count, an error
or its time, wherever a predicate is put in. So free Cypher is answered only on a graph that never held a restricted
row, unless the installation shows them to everybody. The stamp says which it is:

- it is set to false with the stamp of an empty database;
- `asterism.graph.writer` and `asterism.graph.bulk` set it to true **before** the first restricted alert is written,
  in a transaction of its own;
- nothing sets it back: an alert that becomes public leaves it as it is;
- a database stamped by an older version has no mark, which counts as true until ``asterism graph init`` has looked.

Evidence from restricted alerts stands only on objects whose alerts were written before, so the writers of detections
are the only places that need to tell.
"""

from __future__ import annotations

from neo4j import ManagedTransaction, Transaction

_MARK = "MATCH (f:Asterism {key: 'format'}) WHERE coalesce(f.restricted, false) = false SET f.restricted = true"
_READ = "MATCH (f:Asterism {key: 'format'}) RETURN f.restricted AS restricted"
_FIND = """
MATCH (f:Asterism {key: 'format'}) WHERE f.restricted IS NULL
SET f.restricted = EXISTS { MATCH (a:Alert) WHERE NOT coalesce(a.public, false) }
  OR EXISTS { MATCH (o:Object) WHERE NOT coalesce(o.public, false) }
"""


def mark_restricted(tx: ManagedTransaction) -> None:
    """Note that restricted rows are about to be written; locks the stamp only the first time."""
    tx.run(_MARK).consume()


def find_restricted(tx: ManagedTransaction) -> None:
    """Look for restricted rows in a database whose stamp does not tell; reads all alerts and objects, once."""
    tx.run(_FIND).consume()


def may_hold_restricted(tx: Transaction | ManagedTransaction) -> bool:
    """Whether the graph holds, held or may hold restricted rows; one look-up by key.

    What a query has read was committed before this is asked after it, and so was the mark.
    """
    record = tx.run(_READ).single()
    return record is None or record["restricted"] is not False
