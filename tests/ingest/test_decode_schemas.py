"""The same content under another schema is the same detection."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.ingest.decode import Decoder
from asterism.simulate.packets import ztf_packet
from tests.ingest.packets import PAST, ZTF_ONE, ZTF_RECORD, candidate_fields, code, container, one, ztf_schema
from tests.ingest.reading import Record


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_both_codecs_are_read(decoder: Decoder, codec: str) -> None:
    assert one(decoder, container(ztf_schema(), ZTF_RECORD, codec)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reordered_added_nullable_and_renamed_fields_change_nothing(decoder: Decoder, data: st.DataObject) -> None:
    schema = ztf_schema()
    record = {
        **ZTF_RECORD,
        "newTop": {"a": [1, 2]},
        "candidate": {**ZTF_RECORD["candidate"], "newField": "x"},
    }
    nested = candidate_fields(schema)
    nested.append({"name": "newField", "type": "string"})
    for field in nested:
        field.pop("default", None)
        if data.draw(st.booleans()) and not isinstance(field["type"], list):
            field["type"] = [field["type"], "null"]
    renamed = data.draw(st.sampled_from(["ra", "magpsf", "programid", "jd"]))
    next(field for field in nested if field["name"] == renamed).update(name="other", aliases=[renamed])
    record["candidate"]["other"] = record["candidate"][renamed]
    nested[:] = data.draw(st.permutations(nested))
    top = {
        "type": "record",
        "name": "added",
        "fields": [{"name": "a", "type": {"type": "array", "items": "int"}}],
    }
    schema["fields"].append({"name": "newTop", "type": ["null", top]})
    schema["fields"] = inline_in_order(data.draw(st.permutations(schema["fields"])))
    assert one(decoder, container(schema, record)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


def inline_in_order(fields: list[Record]) -> list[Record]:
    """Give each field its own copy of the named types, so that any order is a valid schema."""
    definitions: dict[str, Record] = {}

    def collect(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            collect(child)
        if isinstance(node, dict) and node.get("type") == "record":
            definitions[node["name"]] = node

    def rename(node: Any, prefix: str) -> Any:
        if isinstance(node, str) and node.rpartition(".")[2] in definitions:
            return rename(definitions[node.rpartition(".")[2]], prefix)
        if isinstance(node, list):
            return [rename(item, prefix) for item in node]
        if isinstance(node, dict):
            copy = {
                key: rename(value, prefix) if key in {"type", "items", "fields"} else value
                for key, value in node.items()
            }
            if node.get("type") == "record":
                copy["name"] = f"{prefix}_{node['name']}"
            return copy
        return node

    collect(fields)
    return [{**field, "type": rename(field["type"], f"own_{field['name']}")} for field in fields]


def test_history_before_the_detection_is_read_over(decoder: Decoder) -> None:
    schema = ztf_schema()
    fields = {field["name"]: field for field in schema["fields"]}
    first = ["prv_candidates", "fp_hists", "cutoutScience"]
    schema["fields"] = inline_in_order([fields[name] for name in first] + [fields[n] for n in fields if n not in first])
    assert one(decoder, container(schema, ZTF_RECORD)) == one(decoder, ztf_packet(ZTF_ONE, PAST))


def test_detection_that_is_null_has_no_id(decoder: Decoder) -> None:
    schema = ztf_schema()
    field = next(field for field in schema["fields"] if field["name"] == "candidate")
    field["type"] = ["null", field["type"]]
    assert code(decoder, container(schema, {**ZTF_RECORD, "candidate": None})) == "ingest.bad_time"
