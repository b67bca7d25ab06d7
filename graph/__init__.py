"""The graph: schema, order-safe writes, named reads, read-only Cypher, digest, audit and jobs."""
