"""Real Neo4j and Kafka as child processes from pinned Maven jars."""
