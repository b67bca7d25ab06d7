"""What hostile XML must pass before anything else reads it: one streaming pass, linear in time, a few kB of
memory.

Nothing is expanded, resolved or fetched: the pass ends at the first document type declaration, and without
one no entity can be declared and no external reference exists. Limits lie far above every notice seen (7 kB,
12 levels, 110 elements).
"""

from __future__ import annotations

from xml.parsers import expat

from asterism.voevent.errors import NoticeHostileError, NoticeMarkupError, NoticeTooLargeError

MAX_XML_BYTES = 1_000_000
"""Longest XML document [bytes]; Comet itself takes 99,999."""
MAX_DEPTH = 32
MAX_ELEMENTS = 10_000
MAX_ATTRIBUTES = 64


class _Limits:
    """Handlers that count, and raise at the first excess."""

    def __init__(self) -> None:
        self.depth = 0
        self.elements = 0

    def start(self, name: str, attributes: list[str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH:
            raise NoticeTooLargeError(f"elements nest deeper than {MAX_DEPTH} levels")
        if self.elements > MAX_ELEMENTS:
            raise NoticeTooLargeError(f"more than {MAX_ELEMENTS} elements")
        if len(attributes) > 2 * MAX_ATTRIBUTES:
            raise NoticeTooLargeError(f"element {name[:40]} has more than {MAX_ATTRIBUTES} attributes")

    def end(self, name: str) -> None:
        del name
        self.depth -= 1

    @staticmethod
    def doctype(*declaration: object) -> None:
        del declaration
        raise NoticeHostileError("the document carries a document type declaration")


def check_xml(payload: bytes) -> None:
    """Pass a document that is well-formed, within limits and free of document types and entities.

    Raises
    ------
    NoticeTooLargeError
        If it is longer, deeper or larger than the limits.
    NoticeHostileError
        If it has a document type declaration.
    NoticeMarkupError
        If it is not well-formed, or in an encoding that cannot be read.
    """
    if len(payload) > MAX_XML_BYTES:
        raise NoticeTooLargeError(f"{len(payload)} bytes are more than {MAX_XML_BYTES}")
    limits = _Limits()
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler = limits.start
    parser.EndElementHandler = limits.end
    parser.StartDoctypeDeclHandler = limits.doctype
    try:
        parser.Parse(payload, True)
    except expat.ExpatError as error:
        raise NoticeMarkupError(f"not well-formed XML: {error}") from error
    except (LookupError, ValueError) as error:  # an encoding Python does not know, or a multi-byte one
        raise NoticeMarkupError(f"unreadable encoding: {error}") from error
