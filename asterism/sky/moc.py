"""Regions as IVOA Multi-Order Coverage maps (MOC 2.0): the fewest HEALPix pixels of any order that are the region."""

from __future__ import annotations

import io
import json

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from asterism.sky.healpix import MAX_ORDER, Ranges, order_ipix_to_uniq


def pixels_of(ranges: Ranges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return order and nested index of the fewest disjoint pixels whose union is a region, by order and index."""
    orders, found = [], []
    lo, hi = ranges.lo, ranges.hi
    for order in range(MAX_ORDER + 1):
        shift = 2 * (MAX_ORDER - order)
        start, end = -((-lo) >> shift), hi >> shift
        whole = start < end
        pixels = [np.arange(a, b, dtype=np.int64) for a, b in zip(start[whole], end[whole], strict=True)]
        if pixels:
            found.append(np.concatenate(pixels))
            orders.append(np.full(found[-1].size, order, dtype=np.int64))
        # What is left of a range are its ends; of one that held no pixel of this order, all of it.
        left = np.where(whole, start << shift, hi)
        lo, hi = np.concatenate([lo, (end << shift)[whole]]), np.concatenate([left, hi[whole]])
        kept = lo < hi
        lo, hi = lo[kept], hi[kept]
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    order_of, ipix = np.concatenate(orders), np.concatenate(found)
    by_place = np.lexsort((ipix, order_of))
    return order_of[by_place], ipix[by_place]


def moc_json(ranges: Ranges) -> bytes:
    """Return a region in the JSON form of MOCs: ``{"order": [pixel, ...], ...}``, nested, ICRS."""
    order, ipix = pixels_of(ranges)
    cells = {str(k): ipix[order == k].tolist() for k in np.unique(order).tolist()}
    return json.dumps(cells or {"0": []}, separators=(",", ":")).encode()


def moc_fits(ranges: Ranges) -> bytes:
    """Return a region in the FITS form of MOCs: a table of NUNIQ numbers, ICRS."""
    order, ipix = pixels_of(ranges)
    column = fits.Column(name="UNIQ", format="1K", array=np.sort(order_ipix_to_uniq(order, ipix)))
    table = fits.BinTableHDU.from_columns([column])
    finest = int(order.max(initial=0))
    for name, value in {
        "MOCVERS": "2.0",
        "MOCDIM": "SPACE",
        "ORDERING": "NUNIQ",
        "COORDSYS": "C",
        "MOCORD_S": finest,
        "MOCORDER": finest,
        "PIXTYPE": "HEALPIX",
        "MOCTOOL": "asterism",
    }.items():
        table.header[name] = value
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(content)
    return content.getvalue()
