"""Ways to spoil a notice: any bytes, XML, JSON, and the FITS file inside an alert. A seed fixes everything."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import math
import random
import struct
from collections.abc import Callable
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

NASTY_TEXT = [
    "", " ", "NaN", "nan", "inf", "-Infinity", "1e400", "-1e400", "1e308", "725", "-91", "360.0001", "9" * 400,
    "0x10", "1_000", "٣٤", "１２３", "true", "null", "\u202e", "\ufffe", "é" * 300, "a" * 50_000, "1" + "0" * 100_000,
    "-0", "1e-400", ".", "+", "2023-13-45T99:99:99", "9999-12-31T23:59:59", "0001-01-01T00:00:00",
    "2016-12-31T23:59:60", "2023-03-08T00:00:00+99:99", "2023-03-08T00:00:00.123456789012", "ivo://", "ivo://a b#c",
    "ivo://" + "x" * 600, "ivo://x/y#" + "/" * 400, "../../etc/passwd", "file:///etc/passwd", "UTC-GAL-GEO",
    "XXX-FK5-GEO", "TDB-ICRS-BARY", "iamalive", "test", "prediction", "utility", "retraction", "supersedes", "rad",
    "arcmin", "%s%n", "$(id)", "'; MATCH (n) DETACH DELETE n //",
]  # fmt: skip
NASTY_JSON: list[Any] = [
    None, True, False, 0, -1, 725, 2**63, -(2**70), 1.5e308, -0.0, "", "NaN", [], {}, [[]], [None] * 1000, {"": {}},
    {"a": {"b": {"c": {"d": []}}}}, "a" * 100_000, "1e400", "MS260605l", "S" * 41, "RETRACTION", "UPDATE", "initial",
    "\u0000", "é", "2023-03-08T00:00:00Z", "2023-03-08 00:00:00", ["S1", "S2"], {"Terrestrial": 2.0}, {"BNS": "0.9"},
]  # fmt: skip
LAUGHS = (
    '<!DOCTYPE a [<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)) + "]>"
)
DOCTYPES = [
    LAUGHS,
    '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>',
    f'<!DOCTYPE a [<!ENTITY big "{"x" * 90_000}">]>',
    '<!DOCTYPE a [<!ATTLIST VOEvent role CDATA "test">]>',
]


# --- any bytes -------------------------------------------------------------------------------------------------------


def flip(rng: random.Random, payload: bytes) -> bytes:
    mutant = bytearray(payload)
    for _ in range(rng.randint(1, 20)):
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def truncate(rng: random.Random, payload: bytes) -> bytes:
    return payload[: rng.randrange(len(payload))]


def cut(rng: random.Random, payload: bytes) -> bytes:
    start = rng.randrange(len(payload))
    return payload[:start] + payload[start + rng.randint(1, 200) :]


def repeat(rng: random.Random, payload: bytes) -> bytes:
    start = rng.randrange(len(payload))
    piece = payload[start : start + rng.randint(1, 500)]
    return payload[:start] + piece * rng.choice([1, 2, 50, 2000]) + payload[start:]


def insert(rng: random.Random, payload: bytes) -> bytes:
    start = rng.randrange(len(payload))
    odd = rng.choice(
        [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"]]>", b"<!--", b"<?x?>", b"&", b"<", b'"', b"\x1b"]
    )
    return payload[:start] + odd * rng.choice([1, 1, 1, 1000]) + payload[start:]


def twice(rng: random.Random, payload: bytes) -> bytes:
    return payload + rng.choice([b"", b"\n", b"\0", b" "]) + payload


def packed(rng: random.Random, payload: bytes) -> bytes:
    del rng
    return gzip.compress(payload, 1)


def other_encoding(rng: random.Random, payload: bytes) -> bytes:
    """Write the text in one encoding and declare, perhaps, another."""
    text = payload.decode("utf-8", "replace")
    said = rng.choice(
        ["utf-8", "utf-16", "UTF-16LE", "iso-8859-1", "us-ascii", "utf-7", "cp037", "gb18030", "x", "ucs-4"]
    )
    if text.lstrip("\ufeff").startswith("<?xml"):
        text = text.partition("?>")[2]
    if not payload.lstrip().startswith((b"{", b"[")):
        text = f'<?xml version="1.0" encoding="{said}"?>{text}'
    text = text.replace("a", rng.choice(["a", "é", "ﬀ", "\x85"]), rng.randint(0, 5))
    return text.encode(
        rng.choice(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-32", "utf-7"]), "replace"
    )


ANY: list[Mutator] = [flip, truncate, cut, repeat, insert, twice, packed, other_encoding]


# --- XML -------------------------------------------------------------------------------------------------------------


def _spots(payload: bytes, opens: bytes, closes: bytes) -> list[tuple[int, int]]:
    """Return where text between two marks stands."""
    found, start = [], 0
    while (start := payload.find(opens, start)) >= 0 and (end := payload.find(closes, start + len(opens))) >= 0:
        found.append((start + len(opens), end))
        start = end + 1
    return found


def _replace(payload: bytes, spot: tuple[int, int], text: str) -> bytes:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return payload[: spot[0]] + escaped.encode("utf-8", "surrogatepass") + payload[spot[1] :]


def attribute_value(rng: random.Random, payload: bytes) -> bytes:
    spots = _spots(payload, b'="', b'"')
    return _replace(payload, rng.choice(spots), rng.choice(NASTY_TEXT)) if spots else payload


def element_text(rng: random.Random, payload: bytes) -> bytes:
    spots = _spots(payload, b">", b"<")
    return _replace(payload, rng.choice(spots), rng.choice(NASTY_TEXT)) if spots else payload


def swapped(rng: random.Random, payload: bytes) -> bytes:
    """Swap two attribute values or two texts."""
    spots = _spots(payload, *rng.choice([(b'="', b'"'), (b">", b"<"), (b"<", b" ")]))
    if len(spots) < 2:
        return payload
    (a, b), (c, d) = sorted(rng.sample(spots, 2))
    return payload[:a] + payload[c:d] + payload[b:c] + payload[a:b] + payload[d:]


def tag_name(rng: random.Random, payload: bytes) -> bytes:
    """Rename an element at both its ends, so that the document stays well-formed."""
    names = [b"Param", b"Group", b"C1", b"C2", b"ISOTime", b"Value2", b"Position2D", b"What", b"WhereWhen", b"VOEvent"]
    return payload.replace(rng.choice(names), rng.choice([*names, b"Table", b"x:y", b"-", b"Error2Radius"]))


def nested(rng: random.Random, payload: bytes) -> bytes:
    depth = rng.choice([5, 20, 31, 33, 500, 20_000])
    inside = b"<Group>" * depth + b"</Group>" * depth
    return payload.replace(b"</What>", inside + b"</What>", 1)


def many_params(rng: random.Random, payload: bytes) -> bytes:
    number = rng.choice([100, 5_000, 9_800, 20_000])
    same = rng.random() < 0.5
    params = b"".join(b'<Param name="p%d" value="1"/>' % (0 if same else n) for n in range(number))
    return payload.replace(b"</What>", params + b"</What>", 1)


def many_attributes(rng: random.Random, payload: bytes) -> bytes:
    attributes = b" ".join(b'a%d="1"' % n for n in range(rng.choice([10, 60, 70, 30_000])))
    return payload.replace(b"<Who", b"<Who " + attributes, 1)


def huge_text(rng: random.Random, payload: bytes) -> bytes:
    text = rng.choice([b"x", b" ", "é".encode(), b"&amp;", b"<![CDATA[]]>"]) * rng.choice([1_000, 100_000, 180_000])
    return payload.replace(b"</What>", b"<Description>" + text + b"</Description></What>", 1)


def document_type(rng: random.Random, payload: bytes) -> bytes:
    head, mark, rest = payload.partition(b"?>")
    doctype = rng.choice(DOCTYPES).encode()
    body = head + mark + doctype + rest if mark else doctype + payload
    return body.replace(b"</What>", rng.choice([b"&l11;", b"&x;", b"&big;" * 1000, b""]) + b"</What>", 1)


def entity(rng: random.Random, payload: bytes) -> bytes:
    text = rng.choice(
        [b"&undeclared;", b"&#0;", b"&#xD800;", b"&#x10FFFF;", b"&#1114112;", b"%p;", b"&amp", b"&lt;" * 9999]
    )
    return payload.replace(b"</What>", text + b"</What>", 1)


XML: list[Mutator] = [
    attribute_value, attribute_value, attribute_value, element_text, element_text, swapped, tag_name, nested,
    many_params, many_attributes, huge_text, document_type, entity,
]  # fmt: skip


# --- JSON ------------------------------------------------------------------------------------------------------------


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything inside."""
    found, pending = [], [value]
    while pending:
        here = pending.pop()
        for key, member in list(here.items() if isinstance(here, dict) else enumerate(here)):
            found.append((here, key))
            if isinstance(member, dict | list):
                pending.append(member)
    return found


def wrong_value(rng: random.Random, payload: bytes) -> bytes:
    value = json.loads(payload)
    for _ in range(rng.randint(1, 3)):
        if places := _places(value):
            where, key = rng.choice(places)
            where[key] = copy.deepcopy(rng.choice(NASTY_JSON))
    return json.dumps(value).encode()


def without_key(rng: random.Random, payload: bytes) -> bytes:
    value = json.loads(payload)
    where, key = rng.choice(_places(value))
    del where[key]
    return json.dumps(value).encode()


def new_key(rng: random.Random, payload: bytes) -> bytes:
    value = json.loads(payload)
    for where, key in rng.sample(_places(value), 1):
        if isinstance(where, dict):
            where[rng.choice(NASTY_TEXT)] = where[key]
    return json.dumps(value).encode()


def literal(rng: random.Random, payload: bytes) -> bytes:
    """Put a literal that `json.dumps` never writes in place of a value."""
    value = json.loads(payload)
    where, key = rng.choice(_places(value))
    where[key] = "@@"
    odd = rng.choice(
        ["NaN", "-Infinity", "1e400", "-1e400", "9" * 100_000, "1" + "0" * 4_000, "0x1", "01", '"\\ud800"', '"\\u0000"',
         "[" * 14 + "]" * 14, "[" * 17 + "]" * 17, "[" * 100_000, '{"a":' * 50_000, "'x'", "", "//", '"\\x"']
    )  # fmt: skip
    return json.dumps(value).replace('"@@"', odd).encode()


def duplicate_key(rng: random.Random, payload: bytes) -> bytes:
    value = json.loads(payload)
    key, odd = rng.choice(list(value)), json.dumps(rng.choice(NASTY_JSON))
    pair = f"{json.dumps(key)}: {odd},"
    return ("{" + pair * rng.choice([1, 1, 1 + 500_000 // len(pair)]) + json.dumps(value)[1:]).encode()


def other_root(rng: random.Random, payload: bytes) -> bytes:
    return rng.choice([b"[%s]", b'{"a": %s}', b"[[%s]]", b" %s "]).replace(b"%s", payload)


JSON: list[Mutator] = [wrong_value, wrong_value, wrong_value, without_key, new_key, literal, duplicate_key, other_root]


# --- the FITS file inside an alert -----------------------------------------------------------------------------------


def fits_card(rng: random.Random, fits: bytes) -> bytes:
    names = [
        "NAXIS",
        "NAXIS1",
        "NAXIS2",
        "BITPIX",
        "PCOUNT",
        "GCOUNT",
        "TFIELDS",
        "TFORM1",
        "TFORM2",
        "TTYPE1",
        "TTYPE2",
    ]
    names += ["TUNIT2", "COORDSYS", "ORDERING", "XTENSION", "END", "TSCAL1", "SIMPLE"]
    values = [
        "0",
        "-1",
        "1",
        "2",
        "2147483648",
        "99999999999999999999",
        "1E30",
        "T",
        "'K'",
        "'D'",
        "'9999999D'",
        "'1PD(9)'",
    ]
    values += ["'UNIQ'", "'PROBDENSITY'", "'G'", "'deg-2'", "'RING'", "''", "'", "NaN", "8", "-64", "1000000"]
    name, value = rng.choice(names).encode(), rng.choice(values).encode()
    start = fits.find(name.ljust(8) + b"=", rng.choice([0, 2880]))
    card = (name.ljust(8) + b"= " + value).ljust(80)[:80]
    return fits if start < 0 else fits[:start] + card + fits[start + 80 :]


def fits_cell(rng: random.Random, fits: bytes) -> bytes:
    """Overwrite eight bytes of the table with an odd number."""
    numbers = [math.nan, math.inf, -1.0, 1e300, 5e-324, -math.inf, 0.0]
    cells = [struct.pack(">d", x) for x in numbers] + [struct.pack(">q", n) for n in (0, -1, 1, 3, 4, 2**62, 2**63 - 1)]
    cell, mutant = rng.choice(cells), bytearray(fits)
    for _ in range(rng.choice([1, 1, 10, 1000])):
        start = 8 * rng.randrange(len(mutant) // 8)
        mutant[start : start + 8] = cell
    return bytes(mutant)


def fits_packed(rng: random.Random, fits: bytes) -> bytes:
    bomb = fits + b"\0" * rng.choice([10**6, 10**8])
    content = rng.choice([fits, bomb, b"\0" * 10**8, gzip.compress(fits, 1)])
    return gzip.compress(content, 1)


FITS: list[Mutator] = [flip, truncate, cut, repeat, fits_card, fits_card, fits_cell, fits_packed]


def sky_map(rng: random.Random, payload: bytes) -> bytes:
    value = json.loads(payload)
    holder = value["event"] if isinstance(value.get("event"), dict) else value
    name = "skymap" if "skymap" in holder else "healpix_file"
    if not isinstance(holder.get(name), str):
        return wrong_value(rng, payload)
    if rng.random() < 0.2:
        holder[name] = rng.choice(ANY)(rng, holder[name].encode()).decode("latin-1")
        return json.dumps(value).encode()
    try:
        fits = base64.b64decode(holder[name], validate=True)
    except ValueError:  # an example without a map
        return wrong_value(rng, payload)
    holder[name] = base64.b64encode(rng.choice(FITS)(rng, fits or b"SIMPLE")).decode()
    return json.dumps(value).encode()


def mutant(corpus: list[tuple[str, bytes]], seed: int) -> tuple[str, bytes]:
    """Return what was done to what, and the result."""
    rng = random.Random(seed)
    name, payload = rng.choice(corpus)
    is_json = payload.lstrip()[:1] == b"{"
    own = [*JSON, sky_map, sky_map, sky_map, sky_map] if is_json else XML
    chosen = rng.choice(ANY) if rng.random() < 0.25 else rng.choice(own)
    result, done = chosen(rng, payload), [chosen.__name__]
    if rng.random() < 0.2:
        more = rng.choice(ANY)
        result, done = more(rng, result or b"x"), [*done, more.__name__]
    return f"{'+'.join(done)}({name})", result
