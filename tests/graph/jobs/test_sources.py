"""The rules of Sources: who keeps, gets and loses one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asterism.graph.jobs.sources import Member, SourceState, assign


def member(key: str, dec: float = 0.0, *, public: bool = True) -> Member:
    return Member(key, key.split(":")[0], 10.0, dec, public)


A, B, C, D = (member(f"s:{letter}", place / 3600) for place, letter in enumerate("abcd"))


def sources_after(*rounds: list[list[Member]]) -> dict[str, SourceState]:
    sources: dict[str, SourceState] = {}
    for groups in rounds:
        sources = dict(assign(groups, sources).sources)
    return sources


def test_a_group_is_named_by_its_smallest_member_and_lies_where_that_is() -> None:
    result = assign([[C, B]], {})
    assert result.sources == {"s:b": SourceState(10.0, B.dec, None)}
    assert {key: link.source for key, link in result.links.items()} == {"s:b": "s:b", "s:c": "s:b"}
    assert result.links["s:b"].separation_arcsec == 0
    assert abs(result.links["s:c"].separation_arcsec - 1) < 1e-9


def test_an_object_alone_gets_no_source() -> None:
    assert assign([[A]], {}).sources == {}
    assert assign([[A]], {}).links == {}


def test_a_group_that_grows_keeps_its_source_even_if_the_new_member_is_smaller() -> None:
    result = assign([[A, B, C]], sources_after([[B, C]]))
    assert result.sources.keys() == {"s:b"}
    assert {link.source for link in result.links.values()} == {"s:b"}


def test_where_groups_merge_the_smaller_source_stays_and_the_other_points_to_it() -> None:
    result = assign([[A, B, C, D]], sources_after([[A, C], [B, D]]))
    assert {key: state.merged_into for key, state in result.sources.items()} == {"s:a": None, "s:b": "s:a"}
    assert {link.source for link in result.links.values()} == {"s:a"}


def test_a_merge_of_merged_sources_points_to_the_last_one_directly() -> None:
    three = member("s:0")
    sources = sources_after([[A, C], [B, D]], [[A, B, C, D]])
    sources |= sources_after([[three, member("s:1")]])
    result = assign([[three, member("s:1"), A, B, C, D]], sources)
    assert {key: state.merged_into for key, state in result.sources.items()} == {
        "s:0": None,
        "s:a": "s:0",
        "s:b": "s:0",
    }


def test_a_split_gives_the_rest_a_source_of_its_own_or_the_one_it_had_before() -> None:
    whole = sources_after([[A, B, C, D]])
    result = assign([[A, B], [C, D]], whole)
    assert result.sources.keys() == {"s:a", "s:c"}
    again = assign([[A, B], [C, D]], sources_after([[A, B], [C, D]], [[A, B, C, D]]))
    assert {key: state.merged_into for key, state in again.sources.items()} == {"s:a": None, "s:c": None}
    assert again.links["s:d"].source == "s:c"


def test_a_source_without_members_stays_and_is_not_given_to_others() -> None:
    result = assign([[B, C]], sources_after([[A, B]]))
    assert result.sources.keys() == {"s:a", "s:b"}
    assert {link.source for link in result.links.values()} == {"s:b"}


def test_name_and_position_of_a_restricted_object_do_not_show_through_where_a_public_one_is() -> None:
    hidden = member("s:a", 5 / 3600, public=False)
    result = assign([[hidden, C, B]], {})
    assert result.sources == {"s:b": SourceState(10.0, B.dec, None)}


MEMBERS = [member(f"s:{n:02}", n / 3600, public=n % 3 > 0) for n in range(12)]
partitions = st.lists(st.integers(0, 4), min_size=12, max_size=12).map(
    lambda labels: [[m for m, label in zip(MEMBERS, labels, strict=True) if label == k] for k in range(5)]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(partitions, min_size=1, max_size=4))
def test_after_any_history_every_member_has_one_live_source_and_nothing_changes_when_repeated(
    history: list[list[list[Member]]],
) -> None:
    sources = sources_after(*history[:-1]) if len(history) > 1 else {}
    groups = history[-1]
    first = assign(groups, sources)
    assert first == assign([list(reversed(group)) for group in reversed(groups)], sources)
    assert assign(groups, first.sources) == first
    assert sources.keys() <= first.sources.keys()
    for group in groups:
        if len(group) > 1:
            (source,) = {first.links[m.key].source for m in group}
            assert source in {m.key for m in group}
            assert first.sources[source].merged_into is None
    assert len(first.links) == sum(len(group) for group in groups if len(group) > 1)
    for state in first.sources.values():
        assert state.merged_into is None or first.sources[state.merged_into].merged_into is None
