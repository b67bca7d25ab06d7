"""The process that Spark forks its Python workers from, with the heavy libraries already loaded.

Loading them takes seconds on a busy machine; a forked worker finds them there. Only libraries that are safe to fork
after import stand here: none of them starts a thread before it is used.
"""

from __future__ import annotations

import importlib

PRELOADED = (
    "astropy_healpix",
    "confluent_kafka",
    "fastavro",
    "neo4j",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "pydantic_settings",
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

    manager()


if __name__ == "__main__":
    main()
