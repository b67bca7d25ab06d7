"""The process that Spark forks its Python workers from, with the heavy libraries already loaded.

Loading them takes seconds on a busy machine; a forked worker finds them there. Only modules that are safe to fork
after import stand here.

Spark's workers look for garbage after every task, among all objects there are. The 200,000 of
loaded modules are never garbage, so they are put out of the collector's sight: it took a quarter of the workers' time
(measured).
"""

from __future__ import annotations

import gc
import importlib

PRELOADED = (
    "asterism.ingest.hot",
    "asterism.ingest.source",
    "asterism.voevent.source",
    "astropy_healpix",
    "confluent_kafka",
    "fastavro",
    "neo4j",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "pydantic_settings",
    "scipy.spatial",
    "pyspark.sql.datasource",
    "pyspark.sql.pandas.types",
    "structlog",
)
"""Modules that tasks of Asterism use."""


def main() -> None:
    """Load the libraries, then be Spark's daemon."""
    for name in PRELOADED:
        importlib.import_module(name)
    from pyspark.daemon import manager

    gc.collect()
    gc.freeze()
    manager()


if __name__ == "__main__":
    main()
