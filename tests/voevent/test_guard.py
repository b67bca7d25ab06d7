"""`asterism.voevent.guard`."""

from __future__ import annotations

import time

import pytest

from asterism.voevent.errors import NoticeHostileError, NoticeMarkupError, NoticeRefusedError, NoticeTooLargeError
from asterism.voevent.guard import MAX_DEPTH, MAX_ELEMENTS, MAX_XML_BYTES, check_xml

LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY l0 "ha">'
    + b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]><a>&l11;</a>"
)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (LAUGHS, NoticeHostileError),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', NoticeHostileError),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', NoticeHostileError),
        (b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><a/>', NoticeHostileError),
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
            NoticeHostileError,
        ),
        (b"<a>&undeclared;</a>", NoticeMarkupError),
        (b"<a><b></a>", NoticeMarkupError),
        (b"", NoticeMarkupError),
        (b"not xml", NoticeMarkupError),
        (b"<a>\xff\xfe</a>", NoticeMarkupError),
        (b'<?xml version="1.0" encoding="no-such-code"?><a/>', NoticeMarkupError),
        (b'<?xml version="1.0" encoding="gb18030"?><a/>', NoticeMarkupError),
        (b"<a>\x00</a>", NoticeMarkupError),
        (b"<a>" * (MAX_DEPTH + 1), NoticeTooLargeError),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", NoticeTooLargeError),
        (b"<a " + b" ".join(b'x%d="1"' % n for n in range(100)) + b"/>", NoticeTooLargeError),
        (b"<a>" + b"x" * MAX_XML_BYTES + b"</a>", NoticeTooLargeError),
    ],
)
def test_hostile_and_broken_markup_is_refused_with_its_own_code(
    document: bytes, error: type[NoticeRefusedError]
) -> None:
    with pytest.raises(error) as refused:
        check_xml(document)
    assert type(refused.value) is error
    assert refused.value.code.startswith("voevent.")


def test_the_worst_that_fits_the_limits_takes_a_bounded_time() -> None:
    widest = b"<a>" + b'<b c="&amp;"/>' * (MAX_ELEMENTS - 2) + b"x" * (MAX_XML_BYTES - 200_000) + b"</a>"
    started = time.process_time()
    check_xml(widest)
    assert time.process_time() - started < 2.0  # the limit of the fuzz matrix, three orders above what it takes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "us-ascii"])
def test_documents_of_common_encodings_pass(encoding: str) -> None:
    text = "é" if encoding != "us-ascii" else "e"
    check_xml(f'<?xml version="1.0" encoding="{encoding}"?><a>{text}</a>'.encode(encoding))
