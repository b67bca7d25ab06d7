"""From flat maps to rows of many sizes, without loss where possible and within a bound on rows always.

Most flat maps were written out from a multi-order one: up to 99.9 % of their pixels repeat their neighbours.
Four siblings that agree in every column become their parent, order by order, which loses nothing. A map that
is truly fine everywhere may keep more rows than the bound; then its least dense siblings are averaged first,
which keeps all probability and touches the core last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from asterism.sky.healpix import order_ipix_to_uniq, uniq_to_order_ipix


@dataclass(frozen=True, eq=False)
class Rows:
    """Disjoint pixels of many orders in ascending order of the nested index, with their columns."""

    uniq: NDArray[np.int64]
    """Pixel of each row."""
    columns: NDArray[np.float64]
    """Shape (rows, columns); the first column is the probability density."""

    def __len__(self) -> int:
        return int(self.uniq.size)

    @classmethod
    def concatenate(cls, pieces: list[Self]) -> Self:
        """Return all rows of pieces that follow each other along the index."""
        return cls(
            np.concatenate([piece.uniq for piece in pieces]),
            np.concatenate([piece.columns for piece in pieces]),
        )


def merge_equal(order: int, first: int, columns: NDArray[np.float64]) -> Rows:
    """Return consecutive pixels of one order as rows, four equal siblings replaced by their parent.

    Parameters
    ----------
    order : int
        Order of the pixels.
    first : int
        Nested index of the first pixel.
    columns : ndarray
        Shape (pixels, columns). `first` and the number of pixels must be multiples of the same power of 4,
        which is as far as merging goes. NaN equals NaN.
    """
    values = np.ascontiguousarray(columns)
    whole = np.ones(len(values), dtype=np.bool_)
    uniqs, kept, starts = [], [], []
    stride = 1
    while True:
        can_rise = order > 0 and len(values) % 4 == 0 and first % 4 == 0
        rises = _equal_siblings(values, whole) if can_rise else np.zeros(0, dtype=np.bool_)
        stays = whole & ~np.repeat(rises, 4) if can_rise else whole
        index = np.flatnonzero(stays)
        uniqs.append(order_ipix_to_uniq(order, first + index))
        kept.append(values[index])
        starts.append(index * stride)
        if not rises.any():
            break
        values, whole = values[::4], rises
        order, first, stride = order - 1, first // 4, stride * 4
    by_index = np.argsort(np.concatenate(starts), kind="stable")
    return Rows(np.concatenate(uniqs)[by_index], np.concatenate(kept)[by_index])


def _equal_siblings(values: NDArray[np.float64], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each group of four whether all are whole pixels with the same bits in every column."""
    bits = values.view(np.int64).reshape(-1, 4, values.shape[1])
    equal = (bits[:, 1:] == bits[:, :1]).all(axis=(1, 2))
    return np.asarray(equal & whole.reshape(-1, 4).all(axis=1), dtype=np.bool_)


def thin(rows: Rows, max_rows: int) -> Rows:
    """Return at most `max_rows` rows by averaging the least dense complete groups of four siblings.

    The density of a parent is the mean, its other columns those of the densest child. Rows without three
    siblings cannot be merged; if nothing else is left, more than `max_rows` remain.
    """
    while len(rows) > max_rows:
        order, ipix = uniq_to_order_ipix(rows.uniq)
        parent_key = np.where(order > 0, rows.uniq >> 2, -1 - np.arange(len(rows)))
        siblings = (parent_key[1:] == parent_key[:-1]) & (order[1:] == order[:-1])
        start = np.flatnonzero(siblings[:-2] & siblings[1:-1] & siblings[2:])
        if not start.size:
            break
        members = start[:, np.newaxis] + np.arange(4)
        density = rows.columns[members, 0]
        wanted = min(-(-(len(rows) - max_rows) // 3), -(-start.size // 2))
        chosen = np.sort(np.argpartition(density.max(axis=1), wanted - 1)[:wanted])
        densest = members[chosen, density[chosen].argmax(axis=1)]
        uniq, columns = rows.uniq.copy(), rows.columns.copy()
        parent = start[chosen]
        uniq[parent] = order_ipix_to_uniq(order[parent] - 1, ipix[parent] // 4)
        columns[parent] = rows.columns[densest]
        columns[parent, 0] = density[chosen].mean(axis=1)
        keep = np.ones(len(rows), dtype=np.bool_)
        keep[members[chosen, 1:].ravel()] = False
        rows = Rows(uniq[keep], columns[keep])
    return rows
