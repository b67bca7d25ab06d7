"""Quotas allow a burst and a mean rate, and remember a bounded number of clients."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterism.gql.addresses import neighbourhood
from asterism.gql.errors import QuotaError
from asterism.gql.quotas import Quotas


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 20), st.lists(st.floats(0, 40), max_size=60))
def test_no_span_of_time_serves_more_than_a_burst_and_the_rate(per_minute: int, pauses: list[float]) -> None:
    clock, served = Clock(), list[float]()
    quotas = Quotas(clock)
    for pause in pauses:
        clock.now += pause
        try:
            quotas.take("a", per_minute)
            served.append(clock.now)
        except QuotaError:
            pass
    for first, start in enumerate(served):
        for last in range(first, len(served)):
            most = per_minute + (served[last] - start) * per_minute / 60.0
            assert last - first + 1 <= most + 1e-6


def test_a_refusal_says_when_to_come_back_and_then_it_is_served() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    for _ in range(30):
        quotas.take("a", 30)
    with pytest.raises(QuotaError) as caught:
        quotas.take("a", 30)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "2"})
    assert "2 s" in caught.value.advice
    quotas.take("b", 30)
    clock.now += caught.value.retry_after
    quotas.take("a", 30)


def test_memory_is_bounded_and_who_used_most_is_remembered() -> None:
    quotas = Quotas(Clock(), max_buckets=100)
    for _ in range(10):
        quotas.take("greedy", 10)
    for number in range(5000):
        quotas.take(f"passer-by {number}", 10)
    assert len(quotas) <= 100
    with pytest.raises(QuotaError):
        quotas.take("greedy", 10)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_one_client_can_choose_between_share_a_quota(one: str, two: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(two)) is same
