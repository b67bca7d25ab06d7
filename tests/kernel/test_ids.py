"""Identifiers survive from integer to key and back, beyond 2**53, and nothing odd becomes a key."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asterism.errors import IdError
from asterism.ids import id_text, make_key, split_key

PLAIN = string.ascii_letters + string.digits
LOCAL = st.builds(str.__add__, st.sampled_from(PLAIN), st.text(PLAIN + "._+-/", max_size=127))
NAMESPACE = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_lowercase),
    st.text(string.ascii_lowercase + string.digits + "_", max_size=31),
)


@given(st.integers(0, 2**63 - 1))
@example(2**53 + 1)
@example(2**63 - 1)
@example(0)
def test_an_integer_id_survives_text_and_json_exactly(value: int) -> None:
    assert int(id_text(value)) == value
    key = make_key("lsst", value)
    assert split_key(json.loads(json.dumps(key))) == ("lsst", str(value))


@given(NAMESPACE, LOCAL)
def test_splitting_a_key_is_the_inverse_of_making_it(namespace: str, local: str) -> None:
    assert split_key(make_key(namespace, local)) == (namespace, local)


@given(LOCAL, LOCAL)
def test_different_ids_give_different_keys(first: str, second: str) -> None:
    assert (make_key("ztf", first) == make_key("ztf", second)) == (first == second)


@pytest.mark.parametrize(
    "value",
    [-1, 2**63, "", " ZTF18", "ZTF18\n", "a" * 129, "-1", "a:b", "naïve", "١٢", "a'b", True, None, 1.0, b"1"],
)
def test_what_is_no_plain_identifier_is_refused(value: Any) -> None:
    with pytest.raises(IdError) as caught:
        id_text(value)
    assert caught.value.code == "id.malformed"


@pytest.mark.parametrize("namespace", ["", "ZTF", "1ztf", "z tf", "ztf:", "z" * 33, "ztf\n"])
def test_a_namespace_is_a_plain_lower_case_word(namespace: str) -> None:
    with pytest.raises(IdError):
        make_key(namespace, 1)


@pytest.mark.parametrize("key", ["", "ztf", ":1", "ztf:", "ZTF:1", "ztf:1:2", "ztf:1\n", "ztf: 1"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(IdError):
        split_key(key)


def test_a_long_bad_id_is_cut_in_the_message() -> None:
    with pytest.raises(IdError) as caught:
        id_text("!" * 10_000)
    assert len(caught.value.message) < 200
