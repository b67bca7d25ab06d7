"""The lake's acts into the graph: after a rebuild, and for what was killed between lake and graph."""

from __future__ import annotations

from neo4j import Driver

from asterism.graph.curation.log import CurationLog
from asterism.graph.curation.write import write_acts
from asterism.settings import Settings


def replay_acts(settings: Settings, driver: Driver) -> int:
    """Write every act of the lake into the graph; return how many there are.

    Raises
    ------
    LakeError, GraphError
        If lake or graph fail; running again goes on.
    """
    acts = CurationLog(settings.lake_path).acts()
    write_acts(driver, acts, database=settings.neo4j_database)
    return len(acts)
