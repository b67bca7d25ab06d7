"""The persistence term: who was seen again, once there was time for it."""

from __future__ import annotations

import numpy as np
import pytest

from asterism.graph.association.persistence import persistence_term

OFF = np.array([0.0] * 30 + [1.0] * 68), np.full(98, 5.0)
"""Off source 68 of 98 were seen again: 69 / 100 with one of each added."""


def test_seen_again_is_for_and_seen_once_against_and_too_soon_says_nothing() -> None:
    term = persistence_term(np.array([1.0, 0.0, 0.0]), np.array([5.0, 5.0, 1.0]), 0.9, *OFF)
    assert term[:2] == pytest.approx([np.log(0.9 / 0.69), np.log(0.1 / 0.31)])
    assert np.isnan(term[2])


def test_two_detections_within_minutes_are_one() -> None:
    once, pair = persistence_term(np.array([0.0, 0.01]), np.array([5.0, 5.0]), 0.9, *OFF)
    assert once == pair


def test_off_source_objects_without_time_do_not_count() -> None:
    lasted, waited = np.append(OFF[0], np.zeros(500)), np.append(OFF[1], np.full(500, 0.5))
    one, other = (persistence_term(np.array([1.0]), np.array([5.0]), 0.9, *off) for off in (OFF, (lasted, waited)))
    assert one == pytest.approx(other)


def test_without_off_source_objects_the_ratio_is_finite() -> None:
    term = persistence_term(np.array([1.0, 0.0]), np.array([5.0, 5.0]), 0.9, np.empty(0), np.empty(0))
    assert np.isfinite(term).all()
