"""Map files: written by astropy.io.fits, read by us; damaged, hostile and real ones."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import astropy_healpix
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterism.errors import SkyError, SkyMapTooLargeError
from asterism.sky.fits import read_skymap
from asterism.sky.fitstable import Limits
from asterism.sky.healpix import hpx29, pixel_centers
from asterism.sky.localization import DEG2_PER_SR
from asterism.sky.skymap import SkyMapLocalization

ORDER = 5
NPIX = 12 * 4**ORDER


def write(
    columns: dict[str, np.ndarray], *, units_of: dict[str, str] | None = None, width: int = 1, **header: object
) -> bytes:
    """A FITS file in memory; `width` values stand in each row, as healpy writes flat maps with 1024."""
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name,
                f"{width if width > 1 else ''}{ {'f4': 'E', 'f8': 'D', 'i8': 'K', 'i4': 'J'}[values.dtype.str[1:]] }",
                unit=(units_of or {}).get(name),
                array=values.reshape(-1, width) if width > 1 else values,
            )
            for name, values in columns.items()
        ]
    )
    for name, value in header.items():
        table.header[name] = value
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()


def blob(order: int = ORDER) -> np.ndarray:
    """Probability per NESTED pixel of a Gaussian-like blob, exactly 0 far away."""
    ra, dec = pixel_centers(order, np.arange(12 * 4**order))
    far = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(197.45, -23.38, unit="deg")).deg
    prob = np.where(far < 60, np.exp(-0.5 * (far / 8.0) ** 2), 0.0)
    return np.asarray(prob / prob.sum())


def flat_file(**changes: object) -> bytes:
    header = {"ORDERING": "NESTED", "NSIDE": 2**ORDER, "COORDSYS": "C", **changes}
    return write({"PROB": blob()}, **header)


def same_everywhere(sky_map: SkyMapLocalization, prob: np.ndarray, rel: float = 1e-9) -> None:
    ra, dec = pixel_centers(ORDER, np.arange(NPIX))
    assert sky_map.density(ra, dec) == pytest.approx(prob / (41252.96124941928 / NPIX), rel=rel, abs=1e-300)


def test_a_nested_flat_map_keeps_every_pixel_in_fewer_rows() -> None:
    sky_map = read_skymap(flat_file())
    same_everywhere(sky_map, blob())
    assert len(sky_map) < NPIX / 2


@pytest.mark.parametrize(("width", "kind"), [(1, "f8"), (1024, "f4"), (1024, "f8")])
def test_a_ring_map_is_the_same_map_in_another_order(width: int, kind: str) -> None:
    nested = blob()
    ring = nested[astropy_healpix.HEALPix(2**ORDER, order="ring").ring_to_nested(np.arange(NPIX))]
    content = write({"PROBABILITY": ring.astype(kind)}, width=width, ORDERING="RING", NSIDE=2**ORDER)
    same_everywhere(read_skymap(content), nested, rel=1e-5 if kind == "f4" else 1e-9)


def test_a_flat_map_larger_than_one_block_is_read_in_blocks() -> None:
    order = 9 + 1
    prob = np.zeros(12 * 4**order, dtype=np.float32)
    prob[[5, 4**9 + 7, 12 * 4**order - 1]] = [0.5, 0.3, 0.2]
    for ordering in ("NESTED", "RING"):
        sky_map = read_skymap(write({"PROB": prob}, width=1024, ORDERING=ordering))
        pixels = np.flatnonzero(prob)
        lon, lat = astropy_healpix.healpix_to_lonlat(pixels, 2**order, order=ordering.lower())
        pixel = 41252.96124941928 / prob.size
        assert sky_map.density(lon.to_value(units.deg), lat.to_value(units.deg)) * pixel == pytest.approx(
            [0.5, 0.3, 0.2]
        )
        assert sky_map.area(1.0) == pytest.approx(3 * pixel)


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
@pytest.mark.parametrize(
    ("unit", "per"),
    [("sr-1", 1.0), ("1/sr", 1.0), (None, 1.0), ("deg-2", 1 / DEG2_PER_SR), ("1 / deg2", 1 / DEG2_PER_SR)],
)
def test_a_multi_order_map_is_read_in_its_own_unit(
    pack: Callable[[bytes], bytes], unit: str | None, per: float, tmp_path: Path
) -> None:
    uniq = np.arange(4, 16)
    density = np.arange(1.0, 13.0)
    density /= density.sum() * np.pi / 3
    content = pack(
        write({"UNIQ": uniq, "PROBDENSITY": density * per}, units_of={"PROBDENSITY": unit or ""}, ORDERING="NUNIQ")
    )
    path = tmp_path / "map.fits"
    path.write_bytes(content)
    for source in (content, path):
        sky_map = read_skymap(source)
        assert sky_map.density_deg2 == pytest.approx(density / DEG2_PER_SR)
        assert sky_map.distances is None


def test_a_flat_map_of_densities_is_read_in_its_unit() -> None:
    per_deg2 = blob() * NPIX / 41252.96124941928
    content = write({"PROB": per_deg2}, units_of={"PROB": "deg-2"}, ORDERING="NESTED")
    same_everywhere(read_skymap(content), blob())


def test_distance_layers_come_with_the_map_and_infinite_ones_are_unknown() -> None:
    columns = {
        "UNIQ": np.arange(4, 16),
        "PROBDENSITY": np.full(12, 1 / (4 * np.pi)),
        "DISTMU": np.array([50.0, -20.0, np.inf, *np.full(9, 100.0)]),
        "DISTSIGMA": np.full(12, 10.0),
        "DISTNORM": np.array([1e-4, 1e-4, 0.0, *np.full(9, 1e-4)]),
    }
    sky_map = read_skymap(write(columns, ORDERING="NUNIQ"))
    assert sky_map.distances is not None
    assert sky_map.distances.mu[:2].tolist() == [50.0, -20.0]
    assert np.isnan([sky_map.distances.mu[2], sky_map.distances.sigma[2], sky_map.distances.norm[2]]).all()


def test_a_flat_map_finer_than_the_bound_on_rows_is_averaged_where_it_is_faint() -> None:
    sky_map = read_skymap(flat_file(), Limits(rows=1000))
    assert len(sky_map) <= 1000
    full = read_skymap(flat_file())
    assert sky_map.area(0.5) == pytest.approx(full.area(0.5), rel=0.02)
    assert sky_map.mode() == full.mode()


UNITY = np.full(12, 1 / (4 * np.pi))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends"),
        (b"hello world" * 1000, "not a FITS"),
        (b"\x1f\x8b\x08\x00rubbish", "unpacked"),
        (flat_file()[:-40000], "ends"),
        (flat_file()[:3000], "ends"),
        (gzip.compress(flat_file())[:-5000], "unpacked|ends"),
        (flat_file(COORDSYS="G"), "coordinate"),
        (flat_file(ORDERING="SPIRAL"), "ordering"),
        (flat_file(NSIDE=64), "HEALPix"),
        (write({"PROB": np.full(13, 1 / 13)}, ORDERING="NESTED"), "HEALPix"),
        (write({"PROB": np.full(12, np.nan)}, ORDERING="NESTED"), "non-finite"),
        (write({"PROB": np.array([-0.1, *np.full(11, 0.1)])}, ORDERING="NESTED"), "negative"),
        (write({"PROB": np.full(12, 1.0)}, ORDERING="NESTED"), "sum"),
        (write({"FLUX": np.full(12, 1 / 12)}, ORDERING="NESTED"), "columns"),
        (write({"UNIQ": np.arange(4, 16), "FLUX": UNITY}), "columns"),
        (write({"UNIQ": np.arange(4.0, 16.0), "PROBDENSITY": UNITY}), "integer"),
        (write({"UNIQ": np.arange(3, 15), "PROBDENSITY": UNITY}), "UNIQ"),
        (write({"UNIQ": np.arange(4, 16), "PROBDENSITY": UNITY}, units_of={"PROBDENSITY": "deg-2"}), "sum"),
        (write({"UNIQ": np.arange(0), "PROBDENSITY": np.zeros(0)}), "no rows"),
        (write({"UNIQ": np.arange(4, 16), "PROBDENSITY": UNITY}, TSCAL2=2.0), "scaled"),
    ],
)
def test_what_is_no_usable_map_is_refused_and_says_why(content: bytes, says: str) -> None:
    with pytest.raises(SkyError, match=says):
        read_skymap(content)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SkyError, match="cannot be read"):
        read_skymap(tmp_path / "none.fits")
    with pytest.raises(SkyError, match="cannot be read"):
        read_skymap(tmp_path)


@given(st.lists(st.tuples(st.integers(0, 2879 * 3), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_files_give_a_map_or_a_coded_error(changes: list[tuple[int, int]], packed: bool) -> None:
    content = bytearray(write({"UNIQ": np.arange(4, 16), "PROBDENSITY": UNITY}, ORDERING="NUNIQ", COORDSYS="C"))
    if packed:
        content = bytearray(gzip.compress(bytes(content)))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        sky_map = read_skymap(bytes(content))
    except SkyError:
        return
    assert sky_map.area(1.0) > 0


def claim(rows: int, *, rows_there: int = 0) -> bytes:
    """A file whose header claims `rows` pixels and holds `rows_there` zeros."""
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    ]
    table = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    8",
        f"NAXIS2  = {rows:20d}",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "TTYPE1  = 'PROB    '",
        "TFORM1  = 'D       '",
        "ORDERING= 'NESTED  '",
        "END",
    ]
    head = b"".join("".join(card.ljust(80) for card in part).ljust(2880).encode() for part in (cards, table))
    return head + bytes(8 * rows_there)


def peak_of(action: Callable[[], object]) -> int:
    """Most bytes allocated during a call, NumPy included."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "limits"),
    [
        (claim(12 * 4**13), Limits()),
        (claim(12 * 4**11), Limits(unpacked_bytes=10**6)),
        (claim(12 * 4**11), Limits(pixels=10**6)),
        (gzip.compress(claim(12 * 4**8, rows_there=12 * 4**8)), Limits(unpacked_bytes=10**6)),
        (gzip.compress(b"SIMPLE  =".ljust(30) + bytes(10**7)), Limits(compressed_bytes=1000)),
        (write({"UNIQ": np.arange(4, 16), "PROBDENSITY": UNITY}), Limits(rows=11)),
    ],
)
def test_a_map_beyond_a_limit_is_refused_before_memory_grows(content: bytes, limits: Limits) -> None:
    def read() -> None:
        with pytest.raises(SkyMapTooLargeError):
            read_skymap(content, limits)

    assert peak_of(read) < 4 * 2**20


def test_a_bomb_in_front_of_the_table_costs_no_more_than_the_limit() -> None:
    primary = "".join(
        card.ljust(80)
        for card in (
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    1",
            "NAXIS1  =         900000000000",
            "END",
        )
    ).ljust(2880)
    bomb = gzip.compress(primary.encode() + bytes(2**26))
    assert len(bomb) < 10**5

    def read() -> None:
        with pytest.raises(SkyMapTooLargeError):
            read_skymap(bomb, Limits(unpacked_bytes=2**25))

    assert peak_of(read) < 8 * 2**20


def test_a_claim_without_the_rows_is_refused_for_little_memory() -> None:
    def read() -> None:
        with pytest.raises(SkyError, match="ends"):
            read_skymap(claim(12 * 4**11))

    assert peak_of(read) < 8 * 2**20


@pytest.mark.realdata
def test_the_real_50_million_pixel_map_is_refused_under_a_lower_limit(test_data: Path) -> None:
    path = test_data / "skymaps" / "GRB220617A_IPN_map_hpx.fits.gz"

    def read() -> None:
        for limits in (Limits(pixels=2**24), Limits(unpacked_bytes=2**27)):
            with pytest.raises(SkyMapTooLargeError):
                read_skymap(path, limits)

    assert peak_of(read) < 4 * 2**20


def real_maps() -> list[str]:
    return [
        "skymaps/S200129m_bayestar.multiorder.fits",
        "skymaps/GW190814_PublicationSamples.multiorder.fits",
        "notices/igwn/MS260605l_PRELIMINARY.json",
        "notices/igwn/S230518h_INITIAL.json",
        "notices/igwn/S230518h_UPDATE.json",
        "notices/igwn/S240114aj_1705410582.1827586_0.json",
        "notices/igwn/S240114aj_1705410583.5631442_0.json",
        "notices/igwn/S240115k_1705410600.8611884_0.json",
        "notices/igwn/S240115k_1705410600.9664364_0.json",
        "skymaps/S190814bv_LALInference.v1.fits.gz",
        "skymaps/GRB220617A_IPN_map_hpx.fits.gz",
        "skymaps/GW170817_skymap.fits.gz",
    ]


@pytest.fixture(scope="module")
def load(test_data: Path) -> Callable[[str], SkyMapLocalization]:
    """Read each real map once."""
    known: dict[str, SkyMapLocalization] = {}

    def read(name: str) -> SkyMapLocalization:
        if name not in known:
            path = test_data / name
            source: Path | bytes = path
            if path.suffix == ".json":
                source = base64.b64decode(json.loads(path.read_text())["event"]["skymap"])
            known[name] = read_skymap(source)
        return known[name]

    return read


@pytest.mark.realdata
def test_the_table_of_expected_maps_is_tried_in_full(test_data: Path) -> None:
    with (test_data / "skymaps" / "expected_skymaps.csv").open() as lines:
        assert sorted(row["file"] for row in csv.DictReader(lines)) == sorted(real_maps())


@pytest.mark.realdata
@pytest.mark.parametrize("name", real_maps())
def test_a_real_map_has_the_expected_areas_and_distance(
    name: str, test_data: Path, load: Callable[[str], SkyMapLocalization]
) -> None:
    with (test_data / "skymaps" / "expected_skymaps.csv").open() as lines:
        expected = next(row for row in csv.DictReader(lines) if row["file"] == name)
    sky_map = load(name)
    # These two rows interpolate inside the pixel that crosses the level, which we and the other ten rows include.
    partial = "GW170817" in name or "GW190814" in name
    for level, column in [(0.5, "area50_deg2"), (0.9, "area90_deg2")]:
        assert sky_map.area(level) == pytest.approx(float(expected[column]), abs=0.0132 if partial else 0.00501)
    moments = sky_map.distance_moments()
    if not expected["distmean_mpc"]:
        assert moments is None
        return
    assert moments is not None
    # The header's values are the author's; a map made from samples keeps theirs, so agreement is not exact.
    assert moments[0] == pytest.approx(float(expected["distmean_mpc"]), rel=0.01)
    assert moments[1] == pytest.approx(float(expected["diststd_mpc"]), rel=0.05)


@pytest.mark.realdata
@pytest.mark.parametrize("name", real_maps())
def test_the_ranges_of_a_real_map_hold_exactly_its_region(name: str, load: Callable[[str], SkyMapLocalization]) -> None:
    sky_map = load(name)
    region = sky_map.ranges(0.9, max_ranges=10**6)
    ra, dec = pixel_centers(*_pixels(sky_map))
    assert region.contains(hpx29(ra, dec)).tolist() == (sky_map.credible_level(ra, dec) < 0.9).tolist()
    assert region.area_deg2 == pytest.approx(sky_map.area(0.9))
    if "S240115k" in name:  # a burst map whose 90 % region is noise: 3,025 islands
        assert len(sky_map.ranges(0.9)) == 2000
        assert not len(region.difference(sky_map.ranges(0.9)))
    else:
        assert len(region) < 500
        assert sky_map.ranges(0.9) == region


def _pixels(sky_map: SkyMapLocalization) -> tuple[np.ndarray, np.ndarray]:
    level = (np.log2(sky_map.uniq / 4) / 2).astype(int)
    return level, sky_map.uniq - 4 ** (level + 1)


@pytest.mark.realdata
def test_at2017gfo_lies_at_its_published_place_in_the_map_of_gw170817(
    load: Callable[[str], SkyMapLocalization],
) -> None:
    sky_map = load("skymaps/GW170817_skymap.fits.gz")
    kilonova = (197.450333, -23.381472)
    assert 0.382 <= sky_map.credible_level(*kilonova) <= 0.383
    assert sky_map.searched_area(*kilonova) == pytest.approx(3.51, abs=0.005)
    assert sky_map.density(*kilonova) == pytest.approx(0.0868, abs=5e-5)
    distance = sky_map.distance(*kilonova)
    assert distance is not None
    assert distance.mu == pytest.approx(36.46, abs=0.005)
    assert distance.sigma == pytest.approx(7.44, abs=0.005)
