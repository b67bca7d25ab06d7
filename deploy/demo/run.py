"""``asterism demo``: start everything, play the night, show what came out, serve until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from neo4j import Driver

from asterism.deploy.application import session
from asterism.deploy.demo.children import child, first_line
from asterism.deploy.demo.night import DemoPlan, Played, open_links, play
from asterism.deploy.demo.picture import draw
from asterism.deploy.demo.ranking import Ranking, rank
from asterism.deploy.demo.report import QUERY, show, summarise
from asterism.deploy.errors import DemoError
from asterism.deploy.local.stack import LocalStack
from asterism.deploy.signals import stop_on_signals
from asterism.formats import replace_file
from asterism.graph.association.follow import Associator
from asterism.graph.association.rules import load_rules
from asterism.graph.connection import connect
from asterism.graph.jobs.identity import identify
from asterism.graph.schema import initialise
from asterism.ingest.reconcile import current_balance
from asterism.logs import configure_logs
from asterism.progress import console
from asterism.settings import Settings


def run_demo(settings: Settings, plan: DemoPlan, *, once: bool, quiet: bool = False) -> dict[str, Any]:
    """Run the whole chain and return the summary.

    Parameters
    ----------
    settings : Settings
        ``home`` and ``cache`` are used; services are the demo's own.
    plan : DemoPlan
        What to play.
    once : bool
        Stop everything at the end; otherwise keep serving until Ctrl-C.
    quiet : bool
        Print nothing on stdout.

    Raises
    ------
    DemoError
        If a child fails, or another demo runs in the same home.
    """
    started = time.monotonic()
    with own_home(settings.home / "demo") as home, LocalStack(home, cache=settings.cache) as stack:
        night = home / "night"
        inner = stack.settings(
            schema_folder=night / "schemas", catalogues=(night / "catalogue.parquet",), log_level="WARNING"
        )
        configure_logs(inner.log_level, as_json=inner.log_json)
        known = json.dumps([str(path) for path in inner.catalogues])
        with environment("ASTERISM_CATALOGUES", known), stop_on_signals() as stop, connect(inner) as driver:
            initialise(driver, inner.neo4j_database)
            with session(inner) as spark:
                played = play(spark, driver, inner, plan, stop)
                identity = identify(driver, inner.neo4j_database, spark)
            Associator(driver, inner, load_rules()).round()  # once more: objects that are one source count once
            rankings = rank_all(driver, played)
            balance = current_balance(inner)
            summary = summarise(balance, played, rankings, open_links(driver), identity, time.monotonic() - started)
            replace_file(home / "summary.json", json.dumps(summary, indent=1).encode())
            draw(home / "night.png", driver, inner, played, rankings)
            with serving(inner) as url:
                answer = ask(url, rankings)
                if not quiet:
                    show(summary, balance, rankings, url, answer, home)
                if not once and not stop.is_set():
                    console.print("serving until Ctrl-C", style="bold")
                    stop.wait()
    return summary


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the processes started meanwhile: Spark's workers read their settings from it."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if former is None:
            del os.environ[name]
        else:
            os.environ[name] = former


@contextmanager
def own_home(home: Path) -> Iterator[Path]:
    """Empty the demo's folder (stopping services an earlier demo left) and hold it against a second demo."""
    home.mkdir(parents=True, exist_ok=True)
    with (home.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(f"another demo runs in {home}", hint="wait for it, or set ASTERISM_HOME") from error
        LocalStack(home).stop()
        for entry in home.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        yield home


def rank_all(driver: Driver, played: Played) -> list[Ranking]:
    """Rank the truth of every event that was not retracted."""
    events = [event for event in played.truth["events"] if not event["retracted"]]
    return [rank(driver, event["event"], event["true_objects"]) for event in events]


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the API; give its GraphQL address."""
    with child(settings, "serve", "--port=0", "--json") as process:
        yield str(json.loads(first_line(process, "the API"))["graphql"])


def ask(url: str, rankings: list[Ranking]) -> dict[str, Any]:
    """Ask the API for the candidates of the first event, as anybody would."""
    body = {"query": QUERY, "variables": {"key": rankings[0].event}}
    answer = httpx.post(url, json=body, timeout=60).json()
    if answer.get("errors"):
        raise DemoError(f"the API answered {answer['errors'][0]['message']}")
    return dict(answer["data"])
