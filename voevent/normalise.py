"""A VOEvent document to a `Notice`: the mission's table says what its text means."""

from __future__ import annotations

from typing import Any

from asterism.voevent.clock import BARYCENTRIC, mjd_tai, scale_of
from asterism.voevent.document import Document
from asterism.voevent.errors import NoticeTimeError
from asterism.voevent.identity import cited_event, event_key, event_name, standing_of
from asterism.voevent.localize import locate
from asterism.voevent.missions.table import GENERIC, Mission, mission_of
from asterism.voevent.notice import Notice
from asterism.voevent.numbers import integer, probability, rate_hz, truth

RETRACTION = "retraction"
SUPERSEDES = "supersedes"

_BARE_TIME = "no_time"
_MAX_RAW = 2000


def normalise(document: Document, key: str) -> Notice:
    """Return the notice a document is.

    Parameters
    ----------
    document : Document
        The parsed VOEvent.
    key : str
        SHA-256 of its bytes.

    Raises
    ------
    NoticeRefusedError
        If its position or time is none.
    """
    mission = mission_of(document.ivorn)
    stage = mission.stage_of(integer(document.param("Packet_Type")), document.ivorn)
    values = {param.name: param.value for param in reversed(document.params)}
    name = _superseded_name(mission, document) or event_name(mission, document, stage)
    standing, named = standing_of(mission, name, document)
    scale = scale_of(document.coord_system)
    observed = None if document.iso_time is None else mjd_tai(document.iso_time, scale)
    t0 = observed if stage.t0_rank else None
    region, region_flags = locate(document, mission, stage, observed, values)
    raised = [flag for flag, names in mission.flags.items() if any(truth(document.param(n)) for n in names)]
    times = [_BARE_TIME] if observed is None else []
    if (document.coord_system or "").upper().endswith("-BARY"):
        times.append(BARYCENTRIC)
    return Notice(
        key=key,
        event_key=event_key(mission, name, standing, named),
        mission=mission.authority,
        kind=stage.kind or mission.kind,
        stage=stage.name,
        role=document.role,
        standing=standing,
        ivorn=document.ivorn,
        is_retraction=stage.retraction
        or any(truth(document.param(param)) for param in mission.retraction)
        or any(citation.cite == RETRACTION for citation in document.citations),
        rank=stage.rank,
        revision=integer(document.param(mission.revision)) or 0 if mission.revision else 0,
        issued_mjd_tai=_issued(document),
        t0_mjd_tai=t0,
        t0_rank=stage.t0_rank if t0 is not None else 0,
        observation_time_raw=document.iso_time,
        time_scale=scale,
        region=region,
        far_hz=_far(mission, document),
        classification=_classification(mission, document),
        properties=_properties(document),
        citations=document.citations,
        cited_events=tuple(cited_event(citation.ivorn, standing) for citation in document.citations),
        map_url=_map_url(mission, document),
        flags=tuple(sorted({*document.problems, *region_flags, *raised, *times})),
        verified_against_sample=stage.verified_against_sample,
        raw=raw_values(document),
    )


def _superseded_name(mission: Mission, document: Document) -> str | None:
    """Return the name an unknown mission's notice inherits from the notice of its own stream it replaces or
    retracts.

        Of several the last listed is taken: authors list the latest first, so it is the original.
    """
    if mission is not GENERIC:
        return None
    stream = document.ivorn.partition("#")[0]
    replaced = [
        citation.ivorn
        for citation in document.citations
        if citation.cite in (SUPERSEDES, RETRACTION) and citation.ivorn.partition("#")[0] == stream
    ]
    return event_name(mission, Document(replaced[-1], document.role)) if replaced else None


def _issued(document: Document) -> float | None:
    """Return when the notice was written; None if it does not say so, or in no readable way."""
    try:
        return None if document.date is None else mjd_tai(document.date)
    except NoticeTimeError:
        return None


def _far(mission: Mission, document: Document) -> float | None:
    if mission.far is None:
        return None
    return rate_hz(document.param(mission.far), document.unit(mission.far) or mission.far_unit)


def _map_url(mission: Mission, document: Document) -> str | None:
    address = (document.param(mission.map_url) or "") if mission.map_url else ""
    for old, new in mission.map_url_edits:
        address = address.replace(old, new)
    return address or None


def _classification(mission: Mission, document: Document) -> dict[str, float]:
    rule = mission.classification
    texts = document.group(rule.group) if rule.group else {}
    texts |= {name: document.param(param) or "" for name, param in rule.params.items()}
    found = {name: value for name, text in texts.items() if (value := probability(text)) is not None}
    for index, percent in rule.indexed:
        name, value = rule.names.get(document.param(index) or ""), integer(document.param(percent))
        if name is not None and value is not None and 0 <= value <= 100:
            found[name] = found.get(name, 0.0) + value / 100.0
    return found


def _properties(document: Document) -> dict[str, float]:
    texts = document.group("Properties")
    return {name: value for name, text in texts.items() if (value := probability(text)) is not None}


def raw_values(document: Document) -> dict[str, Any]:
    """Return the document's own values: its attributes, and its parameters as ``group/name``.

    Of parameters that share a name all values are kept, in a list.
    """
    params: dict[str, Any] = {}
    for param in document.params:
        group = param.group or param.group_type
        name = f"{group}/{param.name}" if group else param.name
        value = param.value[:_MAX_RAW]
        params[name] = value if name not in params else [*_listed(params[name]), value]
    return {
        "version": document.version,
        "root_has_namespace": "no_namespace" not in document.problems,
        "packet_type": document.param("Packet_Type"),
        "coord_system": document.coord_system,
        "isotime": document.iso_time,
        "c1": document.c1,
        "c2": document.c2,
        "error2radius": document.error2radius,
        "date": document.date,
        "params": params,
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
