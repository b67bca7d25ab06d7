"""The folders of this repository ship as ``asterism.<folder>``; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

PARTS = ["deploy", "enrich", "gql", "graph", "ingest", "simulate", "voevent"]
inner = [name for part in PARTS for name in find_packages(include=[part, f"{part}.*"])]
setup(
    packages=find_packages(include=["asterism", "asterism.*"]) + [f"asterism.{name}" for name in inner],
    package_dir={"asterism": "asterism"} | {f"asterism.{part}": part for part in PARTS},
)
