"""Everything hostile the project promises to survive, by name: its code, under 2 s of CPU and 300 MB.

Beside what must be refused stands the worst that passes every limit: a limit is only as good as what it lets through.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from asterism.voevent.guard import MAX_DEPTH, MAX_ELEMENTS, MAX_XML_BYTES
from asterism.voevent.igwn import MAX_JSON_BYTES, MAX_JSON_COMMAS

MARKUP, HOSTILE, LARGE = "door voevent.not_well_formed", "door voevent.hostile_markup", "door voevent.too_large"
SCHEMA, POSITION, TIME = "door voevent.not_a_voevent", "projector voevent.bad_position", "projector voevent.bad_time"
MAP, TAKEN = "projector voevent.bad_map", "accepted"

Case = tuple[bytes, str]
ALERT: dict[str, Any] = {
    "alert_type": "PRELIMINARY",
    "time_created": "2023-03-08T00:05:00Z",
    "superevent_id": "S230308a",
    "event": {"time": "2023-03-08T00:00:00.125Z", "far": 1e-9, "search": "AllSky"},
}
FULL_SKY = np.arange(768) + 4**4, np.full(768, 1.0 / (4.0 * np.pi))


def load_fuzz() -> ModuleType:
    """Return test_fuzz.py, which runs cases under limits; test folders are no packages."""
    spec = importlib.util.spec_from_file_location("asterism_test_fuzz", Path(__file__).with_name("test_fuzz.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def xml(inside: str, head: str = "", role: str = "observation") -> bytes:
    body = f'<VOEvent ivorn="ivo://example.org/x#1" role="{role}" version="2.0">{inside}</VOEvent>'
    return (head + body).encode()


def where(ra: str = "10", dec: str = "5", radius: str = "1", time: str = "2023-03-08T00:00:00") -> str:
    return (
        '<WhereWhen><ObsDataLocation><ObservationLocation><AstroCoords coord_system_id="UTC-FK5-GEO">'
        f"<Time><TimeInstant><ISOTime>{time}</ISOTime></TimeInstant></Time>"
        f'<Position2D unit="deg"><Value2><C1>{ra}</C1><C2>{dec}</C2></Value2><Error2Radius>{radius}</Error2Radius>'
        "</Position2D></AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>"
    )


def markup() -> dict[str, Case]:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return {
        "plain": (xml(where()), TAKEN),
        "a billion laughs": (xml("&l11;", f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]>'), HOSTILE),
        "one long entity used often": (
            xml("&x;" * 5_000, f'<!DOCTYPE a [<!ENTITY x "{"y" * 100_000}">]>'),
            HOSTILE,
        ),
        "external entity": (xml("&x;", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), HOSTILE),
        "parameter entity": (
            xml("", '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>'),
            HOSTILE,
        ),
        "external DTD": (xml("", '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">'), HOSTILE),
        "undeclared entity": (xml("&x;"), MARKUP),
        "document type in UTF-16": (xml("", "<!DOCTYPE a []>").decode().encode("utf-16"), HOSTILE),
        "document type in UTF-7": (
            b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-' + xml(""),
            MARKUP,
        ),
        "latin-1 declared as utf-8": (
            ('<?xml version="1.0" encoding="utf-8"?>' + xml("é").decode()).encode("latin-1"),
            MARKUP,
        ),
        "unknown encoding": (b'<?xml version="1.0" encoding="no-such"?>' + xml(""), MARKUP),
        "NUL": (xml("\0"), MARKUP),
        "too deep": (xml("<What>" * 200_000), LARGE),
        "as deep as allowed": (xml("<What>" * (MAX_DEPTH - 1) + "</What>" * (MAX_DEPTH - 1)), TAKEN),
        "too many elements": (xml("<a/>" * 200_000), LARGE),
        "huge text": (xml("<Description>" + "x" * 10**7 + "</Description>"), LARGE),
        "text as long as allowed": (
            xml("<Description>" + "x" * (MAX_XML_BYTES - 200) + "</Description>"),
            TAKEN,
        ),
        "as many equal parameters as allowed": (
            xml("<What>" + '<Param name="p" value="1"/>' * (MAX_ELEMENTS - 2) + "</What>"),
            TAKEN,
        ),
        "as many citations as allowed": (
            xml("<Citations>" + '<EventIVORN cite="supersedes">ivo://e.org/x#2</EventIVORN>' * 9_000 + "</Citations>"),
            TAKEN,
        ),
    }


def meaning() -> dict[str, Case]:
    return {
        "RA 725": (xml(where(ra="725")), POSITION),
        "RA NaN": (xml(where(ra="NaN")), POSITION),
        "Dec inf": (xml(where(dec="-inf")), POSITION),
        "Dec 1e400": (xml(where(dec="1e400")), POSITION),
        "a radius of a hundred thousand digits": (xml(where(radius="1" * 100_000)), POSITION),
        "an instant that is none": (xml(where(time="2023-02-30T00:00:00")), TIME),
        "an unknown role": (xml(where(), role="iamalive"), SCHEMA),
        "not a VOEvent": (b"<Transport role='iamalive'/>", SCHEMA),
    }


def alert(sky_map: bytes | None = None, text: str | None = None) -> bytes:
    encoded = text if sky_map is None else base64.b64encode(sky_map).decode()
    return json.dumps(ALERT | {"event": ALERT["event"] | {"skymap": encoded}}).encode()


def json_cases() -> dict[str, Case]:
    def odd(value: str) -> bytes:
        return json.dumps(ALERT | {"x": "@"}).replace('"@"', value).encode()

    return {
        "alert": (alert(), TAKEN),
        "NaN": (odd("NaN"), MARKUP),
        "Infinity": (odd("-Infinity"), MARKUP),
        "1e400 in JSON": (odd("1e400"), MARKUP),
        "an integer of a hundred thousand digits": (odd("9" * 100_000), MARKUP),
        "an integer of four thousand digits": (odd("9" * 4_000), TAKEN),
        "lone surrogate": (odd('"\\ud800"'), MARKUP),
        "duplicated keys": (odd('1, "x": 2, "x": 3'), TAKEN),
        "JSON nested deeply": (odd("[" * 100_000), LARGE),
        "JSON in UTF-16": (alert().decode().encode("utf-16"), MARKUP),
        "JSON too long": (odd('"' + "x" * MAX_JSON_BYTES + '"'), LARGE),
        "millions of values": (odd("[" + "1," * 2_800_000 + "1]"), LARGE),
        "as many values as allowed": (odd("[" + "[]," * (MAX_JSON_COMMAS - 10) + "1]"), TAKEN),
        "gzipped JSON": (gzip.compress(alert()), MARKUP),
    }


def fits_file(columns: dict[str, Any], cards: dict[str, Any]) -> bytes:
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "K" if name == "UNIQ" else "D", array=values) for name, values in columns.items()]
    )
    table.header.update({"COORDSYS": "C"} | cards)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()


def multi_order(uniq: Any, density: Any, **layers: float) -> bytes:
    columns = {"UNIQ": uniq, "PROBDENSITY": density}
    columns |= {name: np.full(len(uniq), value) for name, value in layers.items()}
    return fits_file(columns, {"ORDERING": "NUNIQ"})


def flat(nside: int, ordering: str) -> bytes:
    """Return a map that a few hundred kilobytes can hold and nothing can simplify."""
    values = np.random.default_rng(1).choice([1.0, 2.0], 12 * nside**2)
    return gzip.compress(fits_file({"PROB": values / values.sum()}, {"ORDERING": ordering, "NSIDE": nside}), 6)


def map_cases() -> dict[str, Case]:
    good = multi_order(*FULL_SKY)
    card = b"NAXIS2  =                  768"
    assert card in good
    sparse = np.arange(2**18 - 1, dtype=np.int64) * 2**38 + 4**30
    noise = np.random.default_rng(2).choice([1.0, 2.0], 12 * 4**7)
    skip = b"".join(
        text.ljust(80) for text in (b"SIMPLE  = T", b"BITPIX  = 8", b"NAXIS   = 1", b"NAXIS1  = 4000000000", b"END")
    ).ljust(2880)
    one = 4.0 * np.pi / (12.0 * 4.0**29)
    return {
        "map": (alert(good), TAKEN),
        "gzipped map": (alert(gzip.compress(good)), TAKEN),
        "gzip bomb": (alert(gzip.compress(skip + b"\0" * 100_000_000, 9)), MAP),
        "gzip bomb within gzip": (alert(gzip.compress(gzip.compress(b"\0" * 100_000_000, 9))), MAP),
        "a gigarow promised": (alert(good.replace(card, b"NAXIS2  =           1000000000")), MAP),
        "rows beyond 64 bits": (alert(good.replace(card, b"NAXIS2  = 99999999999999999999")), MAP),
        "base64 that is none": (alert(text="%" * 1000), MAP),
        "an empty map": (alert(b""), MAP),
        "densities that are infinite": (alert(multi_order(FULL_SKY[0], np.full(768, np.inf))), MAP),
        "densities that overflow": (alert(multi_order(FULL_SKY[0], np.full(768, 1e308))), MAP),
        "densities that are no numbers": (alert(multi_order(FULL_SKY[0], np.full(768, np.nan))), MAP),
        "pixels that are none": (alert(multi_order(-FULL_SKY[0], FULL_SKY[1])), MAP),
        "absurd distances": (
            alert(multi_order(*FULL_SKY, DISTMU=1e300, DISTSIGMA=1e300, DISTNORM=1e300)),
            TAKEN,
        ),
        "a flat map too fine": (alert(flat(512, "NESTED")), MAP),
        "the finest flat map allowed": (alert(flat(256, "NESTED")), TAKEN),
        "the finest flat RING map allowed": (alert(flat(256, "RING")), TAKEN),
        "as many rows as allowed, far apart": (
            alert(gzip.compress(multi_order(sparse, np.full(sparse.size, 1.0 / (sparse.size * one))))),
            TAKEN,
        ),
        "a noisy map": (
            alert(gzip.compress(multi_order(np.arange(noise.size) + 4**8, noise / noise.mean() / (4.0 * np.pi)))),
            TAKEN,
        ),
    }


@pytest.mark.fuzz
def test_whatever_is_hostile_has_its_code_in_bounded_time_and_memory(tmp_path: Path) -> None:
    groups = [markup(), meaning(), json_cases(), map_cases()]
    cases = {name: case for group in groups for name, case in group.items()}
    assert len(cases) == sum(map(len, groups))
    fuzz = load_fuzz()
    report = fuzz.run([(name, payload) for name, (payload, _) in cases.items()], 0, 0, tmp_path)
    assert not report.failures, "\n".join(report.failures)
    assert report.of == {name: expected for name, (_, expected) in cases.items()}
    assert report.growth_kb < fuzz.GROWTH_KB
    print(f"slowest {report.slowest:.2f} s CPU, memory +{report.growth_kb / 1024:.0f} MB")
