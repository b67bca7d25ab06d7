"""What the database would do for a query, read off the plan that EXPLAIN gives: only operators known to read pass.

A list of what is allowed, not of what is not: an operator that a later version brings is refused until somebody has
looked at it. The names are those of Neo4j 5.26 to 2026.x; a suffix in brackets or behind ``@`` does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

OPERATORS = frozenset(
    [
        "Aggregation",
        "AllNodesScan",
        "AntiConditionalApply",
        "AntiSemiApply",
        "Apply",
        "Argument",
        "ArgumentTracker",
        "AssertIsNode",
        "AssertSameNode",
        "AssertSameRelationship",
        "BFSPruningVarExpand",
        "CacheProperties",
        "CartesianProduct",
        "ConditionalApply",
        "DirectedAllRelationshipsScan",
        "DirectedRelationshipByElementIdSeek",
        "DirectedRelationshipByIdSeek",
        "DirectedRelationshipIndexContainsScan",
        "DirectedRelationshipIndexEndsWithScan",
        "DirectedRelationshipIndexScan",
        "DirectedRelationshipIndexSeek",
        "DirectedRelationshipIndexSeekByRange",
        "DirectedRelationshipTypeScan",
        "DirectedUnionRelationshipTypesScan",
        "Distinct",
        "Eager",
        "EagerAggregation",
        "EmptyResult",
        "EmptyRow",
        "ExhaustiveLimit",
        "Expand",
        "Filter",
        "Input",
        "IntersectionNodeByLabelsScan",
        "LeftOuterHashJoin",
        "LetAntiSemiApply",
        "LetSelectOrAntiSemiApply",
        "LetSelectOrSemiApply",
        "LetSemiApply",
        "Limit",
        "MultiNodeIndexSeek",
        "NodeByElementIdSeek",
        "NodeByIdSeek",
        "NodeByLabelScan",
        "NodeCountFromCountStore",
        "NodeHashJoin",
        "NodeIndexContainsScan",
        "NodeIndexEndsWithScan",
        "NodeIndexScan",
        "NodeIndexSeek",
        "NodeIndexSeekByRange",
        "NodeLeftOuterHashJoin",
        "NodeRightOuterHashJoin",
        "NodeUniqueIndexSeek",
        "NodeUniqueIndexSeekByRange",
        "Optional",
        "OptionalExpand",
        "OrderedAggregation",
        "OrderedDistinct",
        "OrderedUnion",
        "PartialSort",
        "PartialTop",
        "PreserveOrder",
        "ProcedureCall",
        "ProduceResults",
        "Projection",
        "PruningVarExpand",
        "RelationshipCountFromCountStore",
        "Repeat",
        "RepeatOptions",
        "RightOuterHashJoin",
        "RollUpApply",
        "SelectOrAntiSemiApply",
        "SelectOrSemiApply",
        "SemiApply",
        "ShortestPath",
        "SimulatedExpand",
        "SimulatedFilter",
        "SimulatedNodeScan",
        "Skip",
        "Sort",
        "StatefulShortestPath",
        "SubtractionNodeByLabelsScan",
        "Top",
        "Top1WithTies",
        "Trail",
        "TriadicBuild",
        "TriadicFilter",
        "TriadicSelection",
        "UndirectedAllRelationshipsScan",
        "UndirectedRelationshipByElementIdSeek",
        "UndirectedRelationshipByIdSeek",
        "UndirectedRelationshipIndexContainsScan",
        "UndirectedRelationshipIndexEndsWithScan",
        "UndirectedRelationshipIndexScan",
        "UndirectedRelationshipIndexSeek",
        "UndirectedRelationshipIndexSeekByRange",
        "UndirectedRelationshipTypeScan",
        "UndirectedUnionRelationshipTypesScan",
        "Union",
        "UnionNodeByLabelsScan",
        "Unwind",
        "ValueHashJoin",
        "VarLengthExpand",
    ]
)
"""Operators that read the graph or work on rows."""

UNANCHORED = re.compile(r"AllNodesScan|Node.*Labels?Scan|NodeIndex(|Contains|EndsWith)Scan|.*Relationship.*Scan")
"""Operators that read all nodes or relationships of a kind, whatever was asked."""


def operators(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the bare names of a plan's operators: ``Expand`` for ``Expand(All)@neo4j``."""
    yield re.split(r"[(@]", str(plan.get("operatorType", "")), maxsplit=1)[0]
    for child in plan.get("children", ()):
        yield from operators(child)


def foreign(plan: Mapping[str, Any]) -> list[str]:
    """Return the operators of a plan that are not known to only read."""
    return sorted(set(operators(plan)) - OPERATORS)


def unanchored(plan: Mapping[str, Any]) -> list[str]:
    """Return the operators of a plan that start from everything instead of from a key or an index."""
    return sorted(name for name in set(operators(plan)) if UNANCHORED.fullmatch(name))
