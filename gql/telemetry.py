"""How long requests take, by root field.

The label is a field of the schema, never a name the client chose: labels must stay few.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from graphql import FieldNode, get_operation_ast
from strawberry.extensions import SchemaExtension
from typing_extensions import override

from asterism.metrics import REQUEST_SECONDS


class RequestTimer(SchemaExtension):
    """Observe the time each valid operation takes."""

    @override
    def on_execute(self) -> Iterator[None]:
        """Time the execution."""
        started = time.perf_counter()
        yield
        REQUEST_SECONDS.labels(self._operation()).observe(time.perf_counter() - started)

    def _operation(self) -> str:
        context = self.execution_context
        operation = (
            get_operation_ast(context.graphql_document, context.operation_name) if context.graphql_document else None
        )
        nodes = operation.selection_set.selections if operation is not None else ()
        names = {node.name.value for node in nodes if isinstance(node, FieldNode)}
        return names.pop() if len(names) == 1 and len(nodes) == 1 else "several"
