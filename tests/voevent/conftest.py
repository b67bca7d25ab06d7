"""Notices made here, in the shape of the real ones, so that every path runs without the test data."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from asterism.voevent.document import Citation, Document, Param, compose

ASTERISM = str(Path(sys.executable).with_name("asterism"))
GCN = "ivo://nasa.gsfc.gcn/"
GBM_STAGES = {"flight": (111, "GBM_Flt_Pos_"), "ground": (112, "GBM_Gnd_Pos_"), "final": (115, "GBM_Fin_Pos")}


class Samples:
    """Makes documents and alerts; every argument has a plausible default."""

    @staticmethod
    def gbm(
        trigger: int = 700000001,
        stage: str = "flight",
        ra: float = 120.0,
        dec: float = 30.0,
        radius: float | None = 5.0,
        date: str = "2023-03-08T00:01:00",
        serial: int = 100,
        **values: Any,
    ) -> Document:
        packet, name = GBM_STAGES[stage]
        time = values.pop("iso_time", "2023-03-08T00:00:00.50")
        params = (
            Param("Packet_Type", str(packet)),
            Param("TrigID", str(trigger), ucd="meta.id"),
            Param("Def_NOT_a_GRB", "false", group="Trigger_ID"),
            Param("Long_short", values.pop("long_short", "Long"), group="Trigger_ID"),
            Param("Test_Submission", values.pop("test", "false"), group="Trigger_ID"),
            *values.pop("params", ()),
        )
        known: dict[str, Any] = {
            "ivorn": f"{GCN}Fermi#{name}{time}_{trigger}_{serial % 100}-{serial}",
            "role": "observation",
            "author_ivorn": "ivo://nasa.gsfc.tan/gcn",
            "date": date,
            "params": params,
            "coord_system": "UTC-FK5-GEO",
            "iso_time": time,
            "position_unit": "deg",
            "c1": f"{ra:.4f}",
            "c2": f"{dec:.4f}",
            "error2radius": None if radius is None else f"{radius:.4f}",
            "observatory": "GEOLUN",
        }
        return Document(**(known | values))

    @classmethod
    def gbm_xml(cls, **values: Any) -> bytes:
        return compose(cls.gbm(**values))

    @staticmethod
    def generic(local: str = "one", cites: tuple[tuple[str, str], ...] = (), **values: Any) -> Document:
        known: dict[str, Any] = {
            "ivorn": f"ivo://example.org/telescope#{local}",
            "role": "observation",
            "date": "2023-03-08T00:01:00",
            "coord_system": "UTC-ICRS-GEO",
            "iso_time": "2023-03-08T00:00:00",
            "position_unit": "deg",
            "c1": "10.0",
            "c2": "-5.0",
            "error2radius": "0.5",
            "observatory": "GEOLUN",
            "citations": tuple(Citation(ivorn, cite) for ivorn, cite in cites),
        }
        return Document(**(known | values))

    @staticmethod
    def sky_map(peak: int = 100) -> bytes:
        """Return a multi-order FITS file: order 3, a third of the probability in one pixel."""
        pixels = 12 * 4**3
        probability = np.full(pixels, 2.0 / 3.0 / (pixels - 1))
        probability[peak] = 1.0 / 3.0
        table = fits.BinTableHDU.from_columns(
            [
                fits.Column("UNIQ", "K", array=np.arange(pixels, dtype=np.int64) + 4**4),
                fits.Column("PROBDENSITY", "D", unit="sr-1", array=probability / (4 * np.pi / pixels)),
            ]
        )
        table.header["ORDERING"] = "NUNIQ"
        table.header["COORDSYS"] = "C"
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
        return stream.getvalue()

    @classmethod
    def alert(
        cls,
        name: str = "S230308a",
        alert_type: str = "PRELIMINARY",
        created: str = "2023-03-08T00:05:00Z",
        sky_map: bytes | None = None,
        **event: Any,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "significant": True,
            "time": "2023-03-08T00:00:00.125Z",
            "far": 1e-9,
            "instruments": ["H1", "L1"],
            "group": "CBC",
            "pipeline": "gstlal",
            "search": "AllSky",
            "properties": {"HasNS": 1.0, "HasRemnant": 0.5, "HasMassGap": 0.0},
            "classification": {"BNS": 0.9, "NSBH": 0.0, "BBH": 0.0, "Terrestrial": 0.1},
            "duration": None,
            "central_frequency": None,
            "skymap": base64.b64encode(sky_map or cls.sky_map()).decode(),
        }
        retracted = alert_type == "RETRACTION"
        return {
            "alert_type": alert_type,
            "time_created": created,
            "superevent_id": name,
            "urls": {"gracedb": ""},
            "event": None if retracted else body | event,
            "external_coinc": None,
        }

    @classmethod
    def alert_json(cls, **values: Any) -> bytes:
        return json.dumps(cls.alert(**values)).encode()


@pytest.fixture(scope="session")
def samples() -> type[Samples]:
    return Samples


@dataclass
class Listener:
    """A running ``asterism voevent listen``."""

    process: subprocess.Popen[str]
    port: int
    home: Path

    def stop(self) -> dict[str, int]:
        """End it as Ctrl-C does and return its counts."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        counts: dict[str, int] = json.loads(out.splitlines()[-1])
        return counts


@contextmanager
def listening(
    home: Path, *options: str, before: Callable[[], None] | None = None, variables: dict[str, str] | None = None
) -> Iterator[Listener]:
    command = [ASTERISM, "voevent", "listen", "--port", "0", "--json", *options]
    environment = {**os.environ, **(variables or {}), "ASTERISM_HOME": str(home)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=before)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Listener(process, (json.loads(line)["listening"] or {"port": 0})["port"], home)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., Listener]]:
    """Start ``asterism voevent listen`` with given options, in the home ``tmp_path / "home"``."""
    with ExitStack() as stack:
        yield lambda *options, **values: stack.enter_context(listening(tmp_path / "home", *options, **values))
