"""Tables that cross the JVM in one binary cell each.

Spark turns every Arrow batch that a Python worker gives or takes into rows of its own and back, cell by cell, which for
thirty columns costs more than decoding the packet did. Between our own stages nobody looks at the cells: so a table is
handed over as the bytes of an Arrow stream, and Spark moves a few large values.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa


def pack(table: pa.Table) -> bytes:
    """Return a table as the bytes of an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpack(cells: Iterable[bytes], schema: pa.Schema) -> pa.Table:
    """Return the rows of packed tables of one schema, in the order given; no rows if there are none."""
    return pa.concat_tables([schema.empty_table(), *(pa.ipc.open_stream(cell).read_all() for cell in cells)])
