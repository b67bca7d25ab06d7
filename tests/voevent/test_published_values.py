"""Published numbers of real events, made anew from the published inputs."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from asterism.sky.circle import CircleLocalization
from asterism.sky.ellipse import EllipseLocalization
from asterism.voevent.notice import Reading
from asterism.voevent.read import read_payload

pytestmark = pytest.mark.realdata

BOXES = {
    "IC170922A": ((1.30, 0.80), (0.70, 0.40)),
    "IC191001A": ((6.56, 2.26), (1.50, 1.47)),
    "IC200530A": ((2.48, 2.56), (2.33, 3.28)),
}
"""90 % errors that ``source_reference`` of truth_pairs.csv quotes: RA plus, minus, Dec plus, minus [deg]."""


@pytest.fixture
def same_burst(test_data: Path) -> dict[str, Reading]:
    """The notices of one burst by two missions: Swift 1208389 and GBM 726773850."""
    folder = test_data / "notices/voevent/fink_mm_raw_2024"
    readings = [read_payload(path.read_bytes()) for path in sorted(folder.glob("*.xml"))]
    wanted = {"swift:1208389": "bat_position", "gbm:726773850": None}
    return {
        one.notice.stage: one
        for one in readings
        if one.notice.event_key in wanted and wanted[one.notice.event_key] in (None, one.notice.stage)
    }


def overlaps(same_burst: dict[str, Reading], systematic: bool) -> dict[str, float]:
    swift = same_burst["bat_position"].localization
    assert swift is not None
    found = {}
    for stage in ("flight", "ground", "final"):
        region, shape = same_burst[stage].notice.region, same_burst[stage].localization
        assert region is not None
        assert region.radius_deg is not None
        assert shape is not None
        assert region.systematic == "gbm_roboba_long"
        statistical = CircleLocalization(region.ra_deg, region.dec_deg, region.radius_deg, 0.68)
        found[stage] = (shape if systematic else statistical).overlap(swift)
    return found


def test_swift_and_gbm_agree_on_one_burst_with_the_systematic_error(same_burst: dict[str, Reading]) -> None:
    found = overlaps(same_burst, systematic=True)
    print(f"I_Omega of Swift 1208389 with GBM 726773850, gbm_roboba_long: {as_text(found)}")
    assert found == pytest.approx({"flight": 172, "ground": 63, "final": 6.3}, rel=0.05)


def as_text(found: dict[str, float]) -> str:
    return ", ".join(f"{stage} {value:.4g}" for stage, value in found.items())


def test_without_the_systematic_error_the_best_position_would_veto_the_true_pair(
    same_burst: dict[str, Reading],
) -> None:
    found = overlaps(same_burst, systematic=False)
    print(f"I_Omega of Swift 1208389 with GBM 726773850, statistical error alone: {as_text(found)}")
    assert (found["flight"], found["ground"]) == (pytest.approx(190, rel=0.05), pytest.approx(12.2, rel=0.05))
    assert found["final"] == pytest.approx(5e-4, rel=0.1)


def pair(test_data: Path, event: str, counterpart: str) -> dict[str, str]:
    with (test_data / "truth_pairs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return next(row for row in rows if row["event_id"] == event and row["counterpart_name"].startswith(counterpart))


@pytest.mark.parametrize(
    ("event", "counterpart", "level"),
    [("IC191001A", "AT2019dsg", 0.81), ("IC200530A", "AT2019fdr", 0.75), ("IC170922A", "TXS", 0.03)],
)
def test_claimed_counterparts_of_neutrinos_lie_where_published_in_their_boxes(
    test_data: Path, event: str, counterpart: str, level: float
) -> None:
    row = pair(test_data, event, counterpart)
    neutrino = EllipseLocalization.from_box(float(row["ra_deg"]), float(row["dec_deg"]), *BOXES[event], 0.9)
    found = float(neutrino.credible_level(float(row["counterpart_ra_deg"]), float(row["counterpart_dec_deg"])))
    print(f"{counterpart} lies at level {found:.4f} of {event}")
    assert found == pytest.approx(level, abs=0.005)


def test_the_contour_of_ic191001a_is_four_quarter_ellipses_inside_its_published_box(test_data: Path) -> None:
    row = pair(test_data, "IC191001A", "AT2019dsg")
    (east, west), (north, south) = BOXES["IC191001A"]
    dec = float(row["dec_deg"])
    neutrino = EllipseLocalization.from_box(float(row["ra_deg"]), dec, (east, west), (north, south), 0.9)
    print(f"IC191001A: contour {neutrino.area(0.9):.3f} deg2, box {neutrino.box_area():.3f} deg2")
    assert neutrino.area(0.9) == pytest.approx(20.05, abs=0.005)
    assert neutrino.box_area() == pytest.approx(25.53, abs=0.005)
    widths = (east + west) * math.cos(math.radians(dec)), north + south
    assert neutrino.box_area() == pytest.approx(widths[0] * widths[1], rel=1e-9)
