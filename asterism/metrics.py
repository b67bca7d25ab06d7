"""Names of the metrics, in one place: dashboards and alert rules match on them, so they never change meaning.

Prometheus conventions: base units, ``_total`` for counters.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
REFUSALS = Counter(
    "asterism_api_refusals_total", "Requests refused before or at their door, by code", ["code"], registry=REGISTRY
)
ACTS = Counter("asterism_api_acts_total", "Vettings, comments, tags and watches recorded", ["kind"], registry=REGISTRY)
ACTS_PENDING = Gauge(
    "asterism_api_acts_pending", "Recorded in the lake by this server, not yet in the graph", registry=REGISTRY
)
NOTICES = Counter(
    "asterism_notices_total", "Deliveries of notices, by feed and outcome", ["feed", "outcome"], registry=REGISTRY
)
FEED_DEAF = Gauge(
    "asterism_notice_feed_deaf", "1 if a feed was silent for longer than it may be", ["feed"], registry=REGISTRY
)
FEED_HEARD = Gauge(
    "asterism_notice_feed_heard_timestamp_seconds",
    "When a feed gave its last sign of life, Unix time",
    ["feed"],
    registry=REGISTRY,
)
FEED_LAG = Gauge(
    "asterism_notice_feed_lag_messages", "Messages that wait at the broker of a feed", ["feed"], registry=REGISTRY
)
