"""The readers a request asks, under one rule of visibility."""

from __future__ import annotations

from dataclasses import dataclass

from neo4j import AsyncDriver

from asterism.graph.annotation_reader import AnnotationReader
from asterism.graph.changes import ChangeReader
from asterism.graph.coincidence_reader import CoincidenceReader
from asterism.graph.curation.reader import CurationReader
from asterism.graph.event_reader import EventReader
from asterism.graph.evidence_reader import EvidenceReader
from asterism.graph.list_reader import ListReader
from asterism.graph.node_reader import NodeReader
from asterism.graph.reader import GraphReader
from asterism.graph.region_reader import RegionReader


@dataclass(frozen=True, slots=True)
class Readers:
    """One reader of each part of the graph."""

    objects: GraphReader
    events: EventReader
    coincidences: CoincidenceReader
    evidence: EvidenceReader
    annotations: AnnotationReader
    nodes: NodeReader
    lists: ListReader
    changes: ChangeReader
    curation: CurationReader
    regions: RegionReader

    @classmethod
    def of(cls, driver: AsyncDriver, database: str, *, show_nonpublic: bool) -> Readers:
        """Return readers of a database.

        Parameters
        ----------
        driver : neo4j.AsyncDriver
            Open driver; the caller closes it.
        database : str
            Name of the database.
        show_nonpublic : bool
            Return what belongs to restricted programmes, too.
        """
        return cls(
            GraphReader(driver, database, show_nonpublic=show_nonpublic),
            EventReader(driver, database, show_nonpublic=show_nonpublic),
            CoincidenceReader(driver, database, show_nonpublic=show_nonpublic),
            EvidenceReader(driver, database, show_nonpublic=show_nonpublic),
            AnnotationReader(driver, database, show_nonpublic=show_nonpublic),
            NodeReader(driver, database, show_nonpublic=show_nonpublic),
            ListReader(driver, database, show_nonpublic=show_nonpublic),
            ChangeReader(driver, database, show_nonpublic=show_nonpublic),
            CurationReader(driver, database, show_nonpublic=show_nonpublic),
            RegionReader(driver, database, show_nonpublic=show_nonpublic),
        )
