"""The picture of the night: regions with their candidates, and the light curve of each event's best candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from neo4j import Driver

from asterism.deploy.demo.night import Played
from asterism.deploy.demo.ranking import Ranking
from asterism.graph.association.events import EventBook
from asterism.graph.association.rules import load_rules
from asterism.settings import Settings
from asterism.sky.localization import Localization

_CURVE = (
    "MATCH (:Object {key: $key})-[:HAS_ALERT]->(a:Alert) "
    "RETURN a.mjdTai AS t, a.band AS band, a.mag AS mag, a.magErr AS err"
)
_COLOURS = {"u": "#5b2c83", "g": "#1f7a4d", "r": "#c0392b", "i": "#a65e2e", "z": "#555555", "y": "#111111"}
_GRID = 180


def draw(path: Path, driver: Driver, settings: Settings, played: Played, rankings: list[Ranking]) -> None:
    """Draw one column an event: its region with the candidates above, the light curve of its best candidate below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with driver.session(database=settings.neo4j_database) as session:
        events = {event.key: event for event in EventBook(settings.lake_path / "maps", load_rules()).read(session)}
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(4.2 * len(rankings), 7.2), layout="constrained")
        axes = figure.subplots(2, len(rankings), squeeze=False)
        for column, ranking in enumerate(rankings):
            event = events[ranking.event]
            _draw_sky(axes[0, column], event.localization, ranking)
            _draw_curve(axes[1, column], driver, ranking, event.t0)
        figure.suptitle(
            f"Asterism demo, seed {played.truth['seed']}: regions (50 and 90 %), candidates, best light curves"
        )
        figure.savefig(path, dpi=110)


def _draw_sky(axis: Any, localization: Localization, ranking: Ranking) -> None:
    ra = np.array([row["ra"] for row in ranking.rows])
    dec = np.array([row["dec"] for row in ranking.rows])
    chance = np.array([row["probability"] for row in ranking.rows])
    ra0, dec0 = localization.mode()
    x = _offset(ra, ra0, dec0)
    reach = max(1.0, 1.15 * float(np.max(np.abs(np.concatenate([x, dec - dec0, [0.5]])))))
    grid_x, grid_y = np.meshgrid(np.linspace(-reach, reach, _GRID), np.linspace(-reach, reach, _GRID))
    grid_dec = np.clip(dec0 + grid_y, -89.9, 89.9)
    level = localization.credible_level(ra0 + grid_x / np.cos(np.radians(dec0)), grid_dec)
    axis.contourf(grid_x, grid_y, level, levels=[0, 0.5, 0.9], colors=["#8fb8de", "#d5e5f3"])
    axis.scatter(x, dec - dec0, s=8 + 220 * chance, c="#444444", alpha=0.6, linewidths=0, label="candidates")
    true = [i for i, row in enumerate(ranking.rows) if row["object"] in ranking.truth]
    axis.scatter(
        x[true], (dec - dec0)[true], s=90, facecolors="none", edgecolors="#d62728", linewidths=1.4, label="true"
    )
    axis.set(title=f"{ranking.event}  rank {ranking.ranks['rank']} of {len(ranking.sources)}", xlim=(reach, -reach))
    axis.set(ylim=(-reach, reach), xlabel="dRA cos Dec [deg]", ylabel="dDec [deg]", aspect="equal")
    axis.legend(loc="upper right", frameon=False)


def _draw_curve(axis: Any, driver: Driver, ranking: Ranking, t0: float) -> None:
    if not ranking.rows:
        axis.set_title("no candidate")
        return
    best = ranking.rows[0]
    sources = [row for row in ranking.rows if row["source"] == best["source"]]
    with driver.session() as session:
        points = [dict(point) for row in sources for point in session.run(_CURVE, key=row["object"])]
    for band in sorted({point["band"] for point in points}):
        mine = [point for point in points if point["band"] == band and point["mag"] is not None]
        times, mags = [p["t"] - t0 for p in mine], [p["mag"] for p in mine]
        axis.errorbar(
            times, mags, [p["err"] for p in mine], fmt="o", ms=3, color=_COLOURS.get(band, "#888888"), label=band
        )
    axis.axvline(0, color="#d62728", lw=0.8)
    axis.invert_yaxis()
    who = "true" if best["object"] in ranking.truth else "not the true one"
    axis.set(
        title=f"{best['object']} ({who}), P = {best['probability']:.2f}", xlabel="days after the event", ylabel="AB mag"
    )
    axis.legend(loc="best", frameon=False)


def _offset(ra: Any, ra0: float, dec0: float) -> Any:
    return ((np.asarray(ra) - ra0 + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec0))
