"""Names of the metrics, in one place: dashboards and alert rules match on them, so they never change meaning.

Prometheus conventions: base units, ``_total`` for counters.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()
"""What ``/metrics`` of the API and of the Spark application (setting ``metrics_port``) shows."""

PACKETS = Counter(
    "asterism_ingest_packets_total", "Packets taken from a source, by outcome", ["survey", "outcome"], registry=REGISTRY
)
DEAD_LETTERS = Counter("asterism_ingest_dead_letters_total", "Packets refused, by code", ["code"], registry=REGISTRY)
BATCH_SECONDS = Histogram("asterism_ingest_batch_seconds", "Duration of a micro-batch", registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "asterism_api_request_seconds", "Duration of an API request", ["operation"], registry=REGISTRY
)
