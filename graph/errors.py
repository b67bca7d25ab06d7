"""The errors of the graph.

::

    GraphError
    +-- GraphUnreachableError       Neo4j does not answer
    +-- GraphAuthError              Neo4j does not accept the user or the password
    +-- GraphNotInitialisedError    the database carries no format stamp
    +-- GraphQueryError             Neo4j refused or failed a statement of ours
    +-- DetectionTableError         the rows to write break the DETECTION schema
    +-- EvidenceTableError          the rows to write break the schema of matches or classifications
    +-- AuditFailedError            the audit found violations
    +-- RuleSetError                an association rule set is unknown or malformed
    +-- NoSuchEventError            there is no such event, or it cannot be judged
    +-- NoSuchLinkError             the object is no candidate of the event
    +-- CypherRefusedError          a user's query is not one the read-only gateway lets through
    |   +-- CypherHiddenError           ... because the graph holds rows that not everybody may see
    +-- CypherFailedError           a user's query failed in the database
    |   +-- CypherTimeoutError          ... because it took too long
    |   +-- CypherTooLargeError         ... because its answer is too large
    +-- RecipeError                 a named question is unknown, or asked with wrong parameters
"""

from __future__ import annotations

from asterism.errors import AsterismError


class GraphError(AsterismError):
    """Something about the graph went wrong."""

    code = "graph.failed"


class GraphUnreachableError(GraphError):
    """Neo4j does not answer at the configured address."""

    code = "graph.unreachable"
    hint = "asterism up starts a local one; asterism config show tells which address is in force"


class GraphAuthError(GraphError):
    """Neo4j does not accept the configured user and password."""

    code = "graph.auth_failed"
    hint = "set ASTERISM_NEO4J_USER and ASTERISM_NEO4J_PASSWORD, or let asterism up make them"


class GraphNotInitialisedError(GraphError):
    """The database carries no Asterism format stamp."""

    code = "graph.not_initialised"
    hint = "asterism graph init prepares an empty database"


class GraphQueryError(GraphError):
    """Neo4j refused or failed a statement."""

    code = "graph.query_failed"
    hint = "the log of Neo4j tells more; asterism graph init if constraints are missing"


class DetectionTableError(GraphError):
    """A table of detections breaks the DETECTION schema."""

    code = "graph.bad_detections"
    hint = "asterism.records.DETECTION says which columns are required; unknown numbers are null, never NaN"


class EvidenceTableError(GraphError):
    """A table of matches or classifications breaks its schema."""

    code = "graph.bad_evidence"
    hint = "asterism.records.CATALOGUE_MATCH and CLASSIFICATION say what science modules return"


class AuditFailedError(GraphError):
    """The audit found violations."""

    code = "graph.audit_failed"
    hint = "the report names each broken rule and example keys; asterism graph init restores stamp and indexes"


class RuleSetError(GraphError):
    """An association rule set is unknown or malformed."""

    code = "graph.rule_set"
    hint = "rule sets lie in graph/association/rules"


class NoSuchEventError(GraphError):
    """There is no such event, or it has nothing that could be judged."""

    code = "graph.no_event"
    hint = "it must be real, active, of a kind the rule set knows, with a time and a localization"


class NoSuchLinkError(GraphError):
    """The object is no candidate of the event."""

    code = "graph.no_link"
    hint = "asterism graph candidates EVENT lists those that are; --as-of TIME those that were"


class CypherRefusedError(GraphError):
    """A query is not one the read-only gateway lets through."""

    code = "graph.cypher_refused"


class CypherFailedError(GraphError):
    """A query failed in the database."""

    code = "graph.cypher_failed"
    hint = "the message is Neo4j's own; positions in it count from the word EXPLAIN put before your text"


class CypherTimeoutError(CypherFailedError):
    """A query took longer than allowed."""

    code = "graph.cypher_timeout"
    hint = "anchor the query on a key or an indexed property, lower --limit, or raise --timeout"


class CypherHiddenError(CypherRefusedError):
    """The graph holds restricted rows, which free Cypher cannot hide."""

    code = "graph.cypher_hidden"
    hint = (
        "ask a recipe (asterism graph recipes) or GraphQL, which hide them; show them to everybody with "
        "ASTERISM_SHOW_NONPUBLIC=true; or give analysts a graph of public alerts only. "
        "If there are none, asterism graph init finds out"
    )


class CypherTooLargeError(CypherFailedError):
    """The answer to a query is larger than allowed."""

    code = "graph.cypher_too_large"
    hint = "return fewer columns or rows: properties instead of whole nodes, or aggregates"


class RecipeError(GraphError):
    """A named question is unknown, or asked with wrong parameters."""

    code = "graph.recipe"
    hint = "asterism graph recipes lists them all with their parameters"
