"""VOEvent documents: XML to `Document` and back. The only module that touches lxml and voevent-parse.

Reading is by XPath on element names without namespaces, because real documents come as VOEvent 2.0 and 1.1,
with and without a namespace (29 of the 46 in our collection lost it when a broker wrote them again).
`Document.problems` says what a document is not; none of it is a reason to lose a notice. Values are kept as
the text that stands in the document: what they mean depends on the mission (`asterism.voevent.normalise`). No
lxml object leaves this module.

Writing goes through voevent-parse, whose copy of the IVOA schema every composed document must satisfy. Three
of its helpers are not used: ``add_how``, ``add_why`` and ``add_citations`` need a name Python dropped in
3.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from asterism.voevent.errors import ComposeError, NoticeHostileError, NoticeMarkupError, NoticeSchemaError
from asterism.voevent.guard import check_xml

ROLES = ("observation", "prediction", "utility", "test")
"""What a VOEvent can be (VOEvent 2.0, section 2.1); anything else is refused."""
NAMESPACES = {
    "http://www.ivoa.net/xml/VOEvent/v2.0": "2.0",
    "http://www.ivoa.net/xml/VOEvent/v1.1": "1.1",
}
"""Namespaces read, and the version each stands for."""
GEOLUN = "GEOLUN"
"""Observatory location of GCN's documents: between Earth and Moon."""

_MAX_IVORN = 512


@dataclass(frozen=True)
class Param:
    """One parameter of ``What``, as written."""

    name: str
    value: str
    unit: str | None = None
    ucd: str | None = None
    group: str | None = None
    """Name of the group around it; None outside any, or in a group without a name."""
    group_type: str | None = None
    """Type of the group around it: the only thing that tells LVK's unnamed groups apart."""
    data_type: str | None = None
    """string, int or float; None where the document does not say."""
    utype: str | None = None
    """Which member of another data model it is; ours name a place in JSON (`asterism.voevent.json_params`)."""


@dataclass(frozen=True)
class Citation:
    """A reference to another notice."""

    ivorn: str
    cite: str
    """followup, supersedes or retraction."""


@dataclass(frozen=True)
class Inference:
    """What the author believes the event to be."""

    concept: str | None = None
    probability: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Document:
    """A VOEvent; every value is the document's text, None where it has none."""

    ivorn: str
    role: str
    version: str = "2.0"
    author_ivorn: str | None = None
    author_name: str | None = None
    date: str | None = None
    """When the notice was written (``Who/Date``)."""
    params: tuple[Param, ...] = ()
    coord_system: str | None = None
    """Time scale, frame and origin, such as UTC-FK5-GEO."""
    iso_time: str | None = None
    position_unit: str | None = None
    c1: str | None = None
    c2: str | None = None
    error2radius: str | None = None
    importance: str | None = None
    inferences: tuple[Inference, ...] = ()
    citations: tuple[Citation, ...] = ()
    references: tuple[str, ...] = ()
    description: str | None = None
    observatory: str | None = None
    problems: tuple[str, ...] = ()
    """``no_namespace``, ``version_1_1``: why the document is not a schema-valid VOEvent 2.0."""

    def param(self, name: str, group: str | None = None) -> str | None:
        """Return the value of the first parameter of this name, in a group of this name or type if given."""
        for param in self.params:
            if param.name == name and (group is None or group in (param.group, param.group_type)):
                return param.value
        return None

    def unit(self, name: str) -> str | None:
        """Return the unit of the first parameter of this name."""
        return next((param.unit for param in self.params if param.name == name), None)

    def group(self, name: str) -> dict[str, str]:
        """Return the parameters of the groups of this name or type."""
        return {p.name: p.value for p in self.params if name in (p.group, p.group_type)}


def parse(payload: bytes) -> Document:
    """Read a VOEvent.

    Parameters
    ----------
    payload : bytes
        The XML as delivered, in any encoding it declares.

    Raises
    ------
    NoticeRefusedError
        If the bytes are hostile, not well-formed or no VOEvent; the subclass says which.
    """
    check_xml(payload)
    root = _tree(payload)
    namespace, _, name = root.tag.rpartition("}")
    if name != "VOEvent":
        raise NoticeSchemaError(f"the root element is {name[:60]!r}, not VOEvent")
    for element in root.iter(etree.Element):
        element.tag = element.tag.rpartition("}")[2]
    ivorn, role = root.get("ivorn", ""), root.get("role", "observation")
    if not ivorn.startswith("ivo://") or len(ivorn) > _MAX_IVORN or any(mark.isspace() for mark in ivorn):
        raise NoticeSchemaError(f"ivorn {ivorn[:80]!r} is missing or none")
    if role not in ROLES:
        raise NoticeSchemaError(f"role {role[:40]!r} is none of {', '.join(ROLES)}")
    return _document(root, ivorn, role, NAMESPACES.get(namespace.lstrip("{")), bool(namespace))


def _tree(payload: bytes) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(payload, parser=parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NoticeMarkupError(f"not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise NoticeHostileError("the document carries a document type declaration")
    return root


def _document(root: Any, ivorn: str, role: str, known: str | None, namespaced: bool) -> Document:
    version = root.get("version") or known or "2.0"
    problems: tuple[str, ...] = () if namespaced else ("no_namespace",)
    if version != "2.0":
        problems += ("version_" + version[:8].replace(".", "_"),)
    coords = next(iter(root.xpath("WhereWhen//AstroCoords")), None)
    position = None if coords is None else coords.find(".//Position2D")
    system = None if coords is None else coords.get("coord_system_id")
    observatory = root.find("WhereWhen//ObservatoryLocation")
    why = root.find("Why")
    return Document(
        ivorn=ivorn,
        role=role,
        version=version,
        author_ivorn=_text(root, "Who/AuthorIVORN"),
        author_name=_text(root, "Who/Author/shortName") or _text(root, "Who/Author/contactName"),
        date=_text(root, "Who/Date"),
        params=tuple(_param(element) for element in root.xpath("What//Param[not(ancestor::Table)]")),
        coord_system=system or root.xpath("string(WhereWhen//AstroCoordSystem/@id)", smart_strings=False) or None,
        iso_time=_text(root, "WhereWhen//ISOTime"),
        position_unit=None if position is None else position.get("unit"),
        c1=None if position is None else _text(position, ".//C1"),
        c2=None if position is None else _text(position, ".//C2"),
        error2radius=None if position is None else _text(position, "Error2Radius"),
        importance=None if why is None else why.get("importance"),
        inferences=tuple(_inference(element) for element in root.xpath("Why//Inference")),
        citations=tuple(_citation(element) for element in root.xpath("Citations/EventIVORN")),
        references=tuple(uri for uri in root.xpath("How/Reference/@uri", smart_strings=False)),
        description=_text(root, "Description"),
        observatory=None if observatory is None else observatory.get("id"),
        problems=problems,
    )


def _param(element: Any) -> Param:
    parent = element.getparent()
    in_group = parent is not None and parent.tag == "Group"
    return Param(
        name=element.get("name", ""),
        value=element.get("value", "") or _text(element, "Value") or "",
        unit=element.get("unit"),
        ucd=element.get("ucd"),
        group=parent.get("name") if in_group else None,
        group_type=parent.get("type") if in_group else None,
        data_type=element.get("dataType"),
        utype=element.get("utype"),
    )


def _inference(element: Any) -> Inference:
    return Inference(_text(element, "Concept"), element.get("probability"), _text(element, "Name"))


def _citation(element: Any) -> Citation:
    return Citation((element.text or "").strip(), element.get("cite", "followup"))


def _text(root: Any, path: str) -> str | None:
    element = root.find(path)
    text = "" if element is None else (element.text or "").strip()
    return text or None


def compose(document: Document) -> bytes:
    """Write a valid VOEvent 2.0 in UTF-8.

    Parameters
    ----------
    document : Document
        What it says. `version` and `problems` are not written: the result is always a VOEvent 2.0 in its namespace.
        The schema wants an error radius with every position, and an inference with every importance.

    Raises
    ------
    ComposeError
        If the IVORN has no local part, or the IVOA schema does not allow the result.
    """
    import voeventparse

    stream, hash_mark, local = document.ivorn.removeprefix("ivo://").partition("#")
    if not document.ivorn.startswith("ivo://") or not hash_mark or not stream or not local:
        raise ComposeError(f"ivorn {document.ivorn[:80]!r} is not of the form ivo://stream#local")
    try:
        event = voeventparse.Voevent(stream=stream, stream_id=local, role=document.role)
        _write_who(event, document)
        _write_what(event, document, voeventparse)
        _write_where(event.WhereWhen, document)
        _write_rest(event, document)
        voeventparse.assert_valid_as_v2_0(event)
        written: bytes = voeventparse.dumps(event, pretty_print=True)
    except (etree.DocumentInvalid, ValueError) as error:
        raise ComposeError(f"{document.ivorn} would not be a valid VOEvent 2.0: {error}") from error
    return written


def _write_who(event: Any, document: Document) -> None:
    del event.Who.Description
    if document.author_ivorn:
        event.Who.AuthorIVORN = document.author_ivorn
    if document.author_name:
        etree.SubElement(event.Who, "Author")
        event.Who.Author.shortName = document.author_name
    if document.date:
        event.Who.Date = document.date


def _write_what(event: Any, document: Document, voeventparse: Any) -> None:
    groups: dict[tuple[str | None, str | None], Any] = {}
    for param in document.params:
        element = voeventparse.Param(
            param.name, param.value, param.unit, param.ucd, param.data_type, param.utype, ac=False
        )
        place = (param.group, param.group_type)
        if place == (None, None):
            event.What.append(element)
        elif place in groups:
            groups[place].append(element)
        else:
            event.What.append(voeventparse.Group([element], name=param.group, type=param.group_type))
            groups[place] = event.What.Group[-1]


def _write_where(where: Any, document: Document) -> None:
    data = etree.SubElement(where, "ObsDataLocation")
    etree.SubElement(data, "ObservatoryLocation", id=document.observatory or GEOLUN)
    place = etree.SubElement(data, "ObservationLocation")
    system = document.coord_system or "UTC-ICRS-GEO"
    etree.SubElement(place, "AstroCoordSystem", id=system)
    coords = etree.SubElement(place, "AstroCoords", coord_system_id=system)
    if document.iso_time:
        instant = etree.SubElement(etree.SubElement(coords, "Time", unit="s"), "TimeInstant")
        instant.ISOTime = document.iso_time
    if document.c1 is not None and document.c2 is not None:
        position = etree.SubElement(coords, "Position2D", unit=document.position_unit or "deg")
        position.Name1, position.Name2 = "RA", "Dec"
        value = etree.SubElement(position, "Value2")
        value.C1, value.C2 = document.c1, document.c2
        if document.error2radius is not None:
            position.Error2Radius = document.error2radius


def _write_rest(event: Any, document: Document) -> None:
    if document.references:
        how = etree.SubElement(event, "How")
        for uri in document.references:
            etree.SubElement(how, "Reference", uri=uri)
    if document.importance or document.inferences:
        why = etree.SubElement(event, "Why", **({"importance": document.importance} if document.importance else {}))
        for inference in document.inferences:
            _write_inference(why, inference)
    if document.citations:
        citations = etree.SubElement(event, "Citations")
        for citation in document.citations:
            etree.SubElement(citations, "EventIVORN", cite=citation.cite)
            citations.EventIVORN[-1] = citation.ivorn
            citations.EventIVORN[-1].set("cite", citation.cite)
    if document.description:
        event.Description = document.description


def _write_inference(why: Any, inference: Inference) -> None:
    attributes = {"probability": inference.probability} if inference.probability else {}
    element = etree.SubElement(why, "Inference", **attributes)
    if inference.name:
        element.Name = inference.name
    if inference.concept:
        element.Concept = inference.concept
