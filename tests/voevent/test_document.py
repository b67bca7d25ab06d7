"""`asterism.voevent.document`."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import voeventparse
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.voevent.document import Citation, Document, Inference, Param, compose, parse
from asterism.voevent.errors import ComposeError, NoticeSchemaError

BARE = b'<VOEvent ivorn="ivo://a/b#c" role="%s" version="2.0"/>'

TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
PARAMS = st.builds(
    Param,
    name=TEXT,
    value=TEXT,
    unit=st.none() | st.just("deg"),
    ucd=st.none() | st.just("meta.id"),
    group=st.none() | st.sampled_from(["Trigger_ID", "Misc"]),
    group_type=st.none() | st.sampled_from(["Classification", "Properties"]),
)
DOCUMENTS = st.builds(
    Document,
    ivorn=st.builds("ivo://a.org/s#{}".format, st.from_regex(r"[A-Za-z0-9_.:-]{1,20}", fullmatch=True)),
    role=st.sampled_from(["observation", "prediction", "utility", "test"]),
    author_ivorn=st.none() | st.just("ivo://a.org/author"),
    author_name=st.none() | TEXT,
    date=st.none() | st.just("2023-03-08T00:01:00"),
    params=st.lists(PARAMS, max_size=6).map(tuple),
    coord_system=st.sampled_from(["UTC-FK5-GEO", "UTC-ICRS-GEO", "TDB-ICRS-BARY"]),
    iso_time=st.none() | st.just("2023-03-08T00:00:00.125"),
    position_unit=st.just("deg"),
    c1=st.just("10.5"),
    c2=st.just("-4"),
    error2radius=st.just("0.25"),
    importance=st.none() | st.just("0.5"),
    inferences=st.lists(st.builds(Inference, TEXT, st.just("0.25"), TEXT), min_size=1, max_size=2).map(tuple),
    citations=st.lists(
        st.builds(Citation, st.just("ivo://a.org/s#x"), st.sampled_from(["followup", "supersedes", "retraction"])),
        max_size=3,
    ).map(tuple),
    references=st.lists(st.just("https://a.org/x?y=1&z=2"), max_size=2).map(tuple),
    description=st.none() | TEXT,
    observatory=st.just("GEOLUN"),
)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_a_composed_document_is_valid_and_reads_back(document: Document) -> None:
    payload = compose(document)
    assert voeventparse.valid_as_v2_0(voeventparse.loads(payload))
    back = parse(payload)
    assert sorted(back.params, key=repr) == sorted(document.params, key=repr)  # groups are gathered
    assert dataclasses.replace(back, params=()) == dataclasses.replace(document, params=())


@pytest.mark.realdata
def test_every_real_voevent_reads_as_the_expected_table_says(test_data: Path) -> None:
    with (test_data / "notices/expected_voevent.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 46
    for row in rows:
        got = parse((test_data / row["file"]).read_bytes())
        assert columns(got) == {name: value for name, value in row.items() if name != "file"}, row["file"]


def columns(document: Document) -> dict[str, Any]:
    return {
        "ivorn": document.ivorn,
        "role": document.role,
        "version": document.version,
        "root_has_namespace": str(int("no_namespace" not in document.problems)),
        "packet_type": document.param("Packet_Type") or "",
        "coord_system": document.coord_system,
        "isotime": document.iso_time,
        "c1": document.c1 or "",
        "c2": document.c2 or "",
        "error2radius": document.error2radius or "",
        "n_citations": str(len(document.citations)),
    }


@pytest.mark.realdata
def test_real_documents_can_be_composed_again_without_loss(test_data: Path) -> None:
    for path in sorted((test_data / "notices/voevent").rglob("*.xml")):
        document = parse(path.read_bytes())
        expected = dataclasses.replace(
            document, version="2.0", problems=(), position_unit=document.position_unit or "deg"
        )
        if document.c1 is None:
            expected = dataclasses.replace(expected, position_unit=None)
        assert parse(compose(document)) == expected, path.name


def test_namespaces_may_be_prefixed_default_or_missing(samples: Any) -> None:
    prefixed = samples.gbm_xml()
    spoken = prefixed.replace(b"voe:VOEvent", b"VOEvent").replace(b"xmlns:voe=", b"xmlns=")
    bare = prefixed.replace(b"voe:VOEvent", b"VOEvent").replace(
        b' xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0"', b""
    )
    assert len({prefixed, spoken, bare}) == 3
    assert parse(spoken) == parse(prefixed)
    assert parse(bare) == dataclasses.replace(parse(prefixed), problems=("no_namespace",))


def test_groups_without_name_are_told_apart_by_type() -> None:
    params = (Param("BNS", "0.5", group_type="Classification"), Param("HasNS", "0.9", group_type="Properties"))
    back = parse(compose(Document("ivo://a/b#c", "observation", params=params)))
    assert back.group("Classification") == {"BNS": "0.5"}
    assert back.group("Properties") == {"HasNS": "0.9"}


@pytest.mark.parametrize("role", ["iamalive", "ack", "", "Observation", "OBSERVATION"])
def test_an_unknown_role_is_refused(role: str) -> None:
    with pytest.raises(NoticeSchemaError):
        parse(BARE % role.encode())


@pytest.mark.parametrize(
    "document",
    [
        b"<Transport role='ack'/>",
        b"<VOEvent role='observation'/>",
        b"<VOEvent ivorn='http://a/b#c' role='observation'/>",
        b"<VOEvent ivorn='ivo://a/b#c d' role='observation'/>",
        b"<VOEvent ivorn='ivo://" + b"a" * 600 + b"' role='observation'/>",
    ],
)
def test_what_is_no_voevent_is_refused(document: bytes) -> None:
    with pytest.raises(NoticeSchemaError):
        parse(document)


def test_a_document_without_anything_but_its_name_is_read() -> None:
    document = parse(BARE % b"observation")
    assert (document.params, document.c1, document.iso_time, document.citations) == ((), None, None, ())


@pytest.mark.parametrize("ivorn", ["ivo://a/b", "a/b#c", "ivo://#c", "ivo://a/b#"])
def test_an_ivorn_without_stream_or_local_part_cannot_be_composed(ivorn: str) -> None:
    with pytest.raises(ComposeError):
        compose(Document(ivorn, "observation"))


def test_what_the_schema_forbids_cannot_be_composed() -> None:
    with pytest.raises(ComposeError):
        compose(Document("ivo://a/b#c", "rumour"))
