"""A candidate in one picture: the map with its contours and candidates, the light curve, and the time prior below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asterism.graph.association.evidence import Evidence, Neighbour
from asterism.graph.association.explain import explain
from asterism.graph.association.prior import time_density
from asterism.graph.association.rules import Kind
from asterism.graph.rows import AlertRow, LinkRow
from asterism.sky.localization import Localization

Floats = NDArray[np.float64]

FORMATS = (".png", ".svg")
BAND_COLOURS = {"u": "#5b2c83", "g": "#1f7a4d", "r": "#c0392b", "i": "#a65e2e", "z": "#555555", "y": "#111111"}
_THIS, _PRIOR = "#d62728", "#4878a8"
_GRID = 240
_WIDEST_DEG = 40.0
"""Half-width beyond which the whole sky is drawn instead of a part of it [deg]."""


def draw_candidate(path: Path, evidence: Evidence, localization: Localization, kind: Kind) -> None:
    """Draw one candidate of one event, as PNG or SVG by the ending of the file.

    Parameters
    ----------
    path : Path
        File to write.
    evidence : Evidence
        The case, the other candidates and the light curve.
    localization : Localization
        The one the link was scored under.
    kind : Kind
        Priors of this kind of event.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    said = explain(evidence.case)
    target, link = evidence.case.target, evidence.case.link
    with mpl.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "asterism", "axes.titlesize": 10}):
        figure = Figure(figsize=(11.0, 5.6), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=[1.0, 1.15], height_ratios=[2.0, 1.0])
        _draw_map(figure, grid[:, 0], localization, evidence.neighbours, (target.key, target.ra, target.dec))
        curve = figure.add_subplot(grid[0, 1])
        prior = figure.add_subplot(grid[1, 1], sharex=curve)
        t0 = evidence.case.event.t0_mjd_tai or 0.0
        _draw_curve(curve, evidence.alerts, link, t0)
        _draw_prior(prior, kind, link)
        figure.suptitle(said.sentence, fontsize=10)
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=130, metadata=metadata)


def _draw_map(
    figure: Any, cell: Any, localization: Localization, others: Sequence[Neighbour], this: tuple[str, float, float]
) -> None:
    ra = np.array([one.ra for one in others] + [this[1]])
    dec = np.array([one.dec for one in others] + [this[2]])
    size = np.array([12.0 + 160.0 * one.probability for one in others] + [12.0])
    mine = np.array([one.key == this[0] for one in others] + [True])
    ra0, dec0 = localization.mode()
    half = _half_width(localization, ra0, dec0, (this[1], this[2]))
    if half > _WIDEST_DEG:
        axis = figure.add_subplot(cell, projection="mollweide")
        x, y = -np.radians((ra - 180.0 + 180.0) % 360.0 - 180.0), np.radians(dec)
        grid_x, grid_y = np.meshgrid(np.linspace(-np.pi, np.pi, 2 * _GRID), np.linspace(-1.57, 1.57, _GRID))
        level = localization.credible_level(-np.degrees(grid_x) % 360.0, np.degrees(grid_y))
        axis.grid(alpha=0.3)
        axis.set_xticklabels([f"{int(-t % 360)}" for t in range(-150, 180, 30)], fontsize=7)
        axis.set_title("all sky, right ascension to the left [deg]")
    else:
        axis = figure.add_subplot(cell)
        (x, y), inside = _project(ra, dec, ra0, dec0)
        x, y, size, mine = x[inside], y[inside], size[inside], mine[inside]
        grid_x, grid_y = np.meshgrid(np.linspace(-half, half, _GRID), np.linspace(-half, half, _GRID))
        level = localization.credible_level(*_unproject(grid_x, grid_y, ra0, dec0))
        axis.set(xlim=(half, -half), ylim=(-half, half), aspect="equal")
        axis.set(xlabel=f"East from RA {ra0:.2f} deg [deg]", ylabel=f"North from Dec {dec0:+.2f} deg [deg]")
    axis.contourf(grid_x, grid_y, level, levels=[0.0, 0.5, 0.9], colors=["#8fb8de", "#d5e5f3"])
    axis.contour(grid_x, grid_y, level, levels=[0.5, 0.9], colors="#2f5f8f", linewidths=0.8)
    rest = ~mine
    axis.scatter(x[rest], y[rest], s=size[rest], c="#444444", alpha=0.6, linewidths=0, label="candidates (size: P)")
    axis.scatter(x[mine][:1], y[mine][:1], s=110, marker="*", c=_THIS, zorder=5, label=this[0])
    axis.plot([], [], color="#2f5f8f", lw=0.8, label="50 and 90 % contours")
    axis.legend(loc="lower left", framealpha=0.8, edgecolor="none", fontsize=8)


def _half_width(localization: Localization, ra0: float, dec0: float, this: tuple[float, float]) -> float:
    """Return half the width of the picture [deg]: it shows 98 % of the map and the object."""
    nodes = localization.nodes()
    far = _separation(nodes.ra, nodes.dec, ra0, dec0)
    order = np.argsort(far)
    share = np.cumsum(nodes.weight[order])
    reach = float(far[order][min(np.searchsorted(share, 0.98 * share[-1]), far.size - 1)])
    return 1.15 * max(reach, float(_separation(np.asarray(this[0]), np.asarray(this[1]), ra0, dec0)), 0.05)


def _draw_curve(axis: Any, alerts: Sequence[AlertRow], link: LinkRow, t0: float) -> None:
    seen = [a for a in alerts if a.mag is not None]
    for band in sorted({a.band or "?" for a in seen}):
        mine = [a for a in seen if (a.band or "?") == band]
        for positive, marker in ((True, "o"), (False, "v")):
            part = [a for a in mine if (a.is_positive is not False) is positive]
            if part:
                axis.errorbar(
                    [a.mjd_tai - t0 for a in part],
                    [a.mag for a in part],
                    [a.mag_err or 0.0 for a in part],
                    fmt=marker,
                    ms=4,
                    color=BAND_COLOURS.get(band, "#888888"),
                    label=band if positive else f"{band}, negative",
                )
    missed, limit = link.last_non_detection_mjd_tai, link.last_non_detection_limit_mag
    if missed is not None and limit is not None:
        axis.scatter([missed - t0], [limit], marker=r"$\downarrow$", s=70, c="#666666", label="not seen to")
    axis.axvline(0.0, color=_THIS, lw=0.9)
    axis.margins(x=0.08, y=0.15)
    axis.invert_yaxis()
    axis.set(ylabel="AB magnitude", title="Light curve")
    axis.tick_params(labelbottom=False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="best", frameon=False, fontsize=8)


def _draw_prior(axis: Any, kind: Kind, link: LinkRow) -> None:
    start, end = kind.window
    low, high = axis.get_xlim()
    low, high = min(low, max(start, -30.0)) - 0.3, max(high, min(end, 14.0)) + 0.3
    days = np.unique(np.concatenate([np.linspace(low, high, 2000), [c.start for c in kind.time]]))
    density = time_density(days, kind.time)
    axis.fill_between(days, density, color=_PRIOR, alpha=0.25, lw=0)
    axis.plot(days, density, color=_PRIOR, lw=1.0, label="time prior of a counterpart")
    axis.axvline(0.0, color=_THIS, lw=0.9, label="event")
    if link.delay_days is not None:
        axis.axvline(link.delay_days, color="#222222", lw=1.0, ls="--", label="first detection")
    positive = density[density > 0.0]
    if positive.size and positive.max() > 100.0 * positive.min():
        axis.set_yscale("log")
    axis.set(xlim=(low, high), xlabel="days after the event", ylabel="f [1/d]")
    axis.legend(loc="upper right", frameon=False, fontsize=8)


def _separation(ra: Floats, dec: Floats, ra0: float, dec0: float) -> Floats:
    """Return angles on the sky [deg]."""
    x, y, z = _vector(ra, dec)
    x0, y0, z0 = _vector(np.asarray(ra0), np.asarray(dec0))
    chord = np.sqrt((x - x0) ** 2 + (y - y0) ** 2 + (z - z0) ** 2)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))), dtype=np.float64)


def _vector(ra: Floats, dec: Floats) -> tuple[Floats, Floats, Floats]:
    a, d = np.radians(ra), np.radians(dec)
    return np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)


def _project(ra: Floats, dec: Floats, ra0: float, dec0: float) -> tuple[tuple[Floats, Floats], NDArray[np.bool_]]:
    """Return zenithal equidistant offsets east and north [deg], and which are in the same half of the sky."""
    far = _separation(ra, dec, ra0, dec0)
    a, d, d0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    east, north = np.cos(d) * np.sin(a), np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)
    angle = np.arctan2(east, north)
    return (far * np.sin(angle), far * np.cos(angle)), far < 90.0


def _unproject(east: Floats, north: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Return right ascension and declination [deg] of zenithal equidistant offsets [deg]."""
    far, angle, d0 = np.radians(np.hypot(east, north)), np.arctan2(east, north), np.radians(dec0)
    dec = np.arcsin(np.clip(np.sin(d0) * np.cos(far) + np.cos(d0) * np.sin(far) * np.cos(angle), -1.0, 1.0))
    ra = np.arctan2(np.sin(far) * np.sin(angle), np.cos(d0) * np.cos(far) - np.sin(d0) * np.sin(far) * np.cos(angle))
    return np.asarray((ra0 + np.degrees(ra)) % 360.0), np.asarray(np.degrees(dec))
