"""``asterism config``: what is set, and where it came from."""

from __future__ import annotations

import os

import click

from asterism.cli import json_option, print_result
from asterism.settings import STACK_FILE, Settings, config_file, config_file_values, load_settings


@click.group()
def config() -> None:
    """Show the settings in force."""


@config.command()
@json_option
def show(as_json: bool) -> None:
    """List every setting with its value and origin; secrets stay hidden."""
    settings = load_settings()
    rows = [
        {
            "name": name,
            "value": _shown(getattr(settings, name)),
            "from": _origin(name, settings),
            "what": info.description,
        }
        for name, info in Settings.model_fields.items()
    ]
    print_result(
        rows, as_json, lambda: "\n".join(f"{r['name']:22} {r['value']!s:32} {r['from']:12} {r['what']}" for r in rows)
    )


def _shown(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _origin(name: str, settings: Settings) -> str:
    if f"ASTERISM_{name.upper()}" in os.environ:
        return "environment"
    if name in config_file_values():
        return str(config_file())
    if name in settings.model_fields_set and name not in {"home", "cache"}:
        return STACK_FILE
    return "default"
