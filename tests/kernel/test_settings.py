"""Settings come from the right place, wrong ones are named, and secrets are not shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from asterism.config_command import config
from asterism.errors import SettingsError
from asterism.settings import STACK_FILE, Settings, load_settings

SOURCES = ("stack", "file", "environment", "flag")
"""From the weakest to the strongest, above the default."""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_without_anything_set_every_setting_has_a_default(workplace: Path) -> None:
    settings = load_settings()
    assert settings.home == workplace / ".asterism"
    assert settings.cache == Path("~/.cache/asterism").expanduser()
    assert settings.api_host == "127.0.0.1"
    assert settings.show_nonpublic is False


@given(st.sets(st.sampled_from(SOURCES)))
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_strongest_source_wins(tmp_path_factory: pytest.TempPathFactory, given: set[str]) -> None:
    folder = tmp_path_factory.mktemp("settings")
    flags = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if "stack" in given:
            write(folder / ".asterism" / STACK_FILE, 'neo4j_user = "stack"')
        if "file" in given:
            write(folder / "asterism.toml", 'neo4j_user = "file"')
        if "environment" in given:
            patch.setenv("ASTERISM_NEO4J_USER", "environment")
        if "flag" in given:
            flags["neo4j_user"] = "flag"
        expected = max(given, key=SOURCES.index, default="neo4j")
        assert load_settings(**flags).neo4j_user == expected


def test_a_flag_that_was_not_given_leaves_the_setting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_API_PORT", "8123")
    assert load_settings(api_port=None).api_port == 8123
    assert load_settings(api_port=0).api_port == 0


def by_flag(home: Path, patch: pytest.MonkeyPatch) -> dict[str, object]:
    del patch
    return {"home": home}


def by_environment(home: Path, patch: pytest.MonkeyPatch) -> dict[str, object]:
    patch.setenv("ASTERISM_HOME", str(home))
    return {}


def by_file(home: Path, patch: pytest.MonkeyPatch) -> dict[str, object]:
    del patch
    write(Path("asterism.toml"), f'home = "{home}"')
    return {}


@pytest.mark.parametrize("choose", [by_flag, by_environment, by_file])
def test_the_local_stack_is_looked_for_in_the_home_in_force(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    choose: Callable[[Path, pytest.MonkeyPatch], dict[str, object]],
) -> None:
    elsewhere = workplace / "elsewhere"
    write(workplace / ".asterism" / STACK_FILE, 'neo4j_user = "wrong"')
    write(elsewhere / STACK_FILE, 'neo4j_user = "right"')
    flags = choose(elsewhere, monkeypatch)
    settings = load_settings(**flags)
    assert (settings.home, settings.neo4j_user) == (elsewhere, "right")


def test_the_tilde_is_the_user_s_home(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workplace))
    monkeypatch.setenv("ASTERISM_HOME", "~/data")
    write(workplace / "data" / STACK_FILE, 'neo4j_user = "found"')
    settings = load_settings()
    assert (settings.home, settings.neo4j_user) == (workplace / "data", "found")


def test_asterism_config_names_another_file(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workplace / "asterism.toml", "api_port = 1")
    write(workplace / "other.toml", "api_port = 2")
    monkeypatch.setenv("ASTERISM_CONFIG", str(workplace / "other.toml"))
    assert load_settings().api_port == 2


def test_a_file_named_but_missing_is_an_error(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_CONFIG", str(workplace / "missing.toml"))
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load_settings()


def test_every_wrong_setting_is_named_at_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workplace / "asterism.toml", 'api_port = 70000\nno_such_setting = 1\nhome = 5\n[neo4j]\nuri = "bolt://x"')
    monkeypatch.setenv("ASTERISM_LOG_LEVEL", "loud")
    monkeypatch.setenv("ASTERISM_TRIGGER_SECONDS", "0")
    with pytest.raises(SettingsError) as caught:
        load_settings(max_packets_per_batch=-1)
    for name in ("api_port", "no_such_setting", "home", "log_level", "trigger_seconds", "max_packets_per_batch"):
        assert name in caught.value.message
    assert "neo4j" in caught.value.message
    assert caught.value.code == "settings.invalid"
    assert "config show" in caught.value.advice


@pytest.mark.parametrize("text", ["api_port = ", "\x00", "[unclosed"])
@pytest.mark.parametrize("name", ["asterism.toml", f".asterism/{STACK_FILE}"])
def test_a_file_that_is_no_toml_is_named(workplace: Path, name: str, text: str) -> None:
    write(workplace / name, text)
    with pytest.raises(SettingsError, match=Path(name).name):
        load_settings()


def test_a_list_in_the_environment_is_json_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISM_KAFKA_TOPICS", '["a", "b"]')
    assert load_settings().kafka_topics == ("a", "b")
    monkeypatch.setenv("ASTERISM_KAFKA_TOPICS", "a,b")
    with pytest.raises(SettingsError, match="kafka_topics") as caught:
        load_settings()
    assert "JSON" in caught.value.advice


def test_settings_do_not_change_once_made() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.api_port = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_secrets_are_never_shown(workplace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    write(workplace / ".asterism" / STACK_FILE, 'neo4j_password = "from-the-stack-file"')
    assert load_settings().neo4j_password.get_secret_value() == "from-the-stack-file"
    hidden = CliRunner().invoke(config, ["show", *options])
    assert hidden.exit_code == 0
    monkeypatch.setenv("ASTERISM_NEO4J_PASSWORD", "from-the-environment")
    hidden_again = CliRunner().invoke(config, ["show", *options])
    for text in (hidden.output, hidden_again.output, repr(load_settings()), str(load_settings())):
        assert "from-the" not in text
        assert "neo4j_password" in text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_client_secret_of_the_notice_streams_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("ASTERISM_GCN_CLIENT_SECRET", "hush")
    secret = load_settings().gcn_client_secret
    assert secret is not None
    assert secret.get_secret_value() == "hush"
    shown = CliRunner().invoke(config, ["show", *options]).output
    assert "gcn_client_secret" in shown
    assert "hush" not in shown + repr(load_settings())


def test_no_notice_stream_is_configured_by_default_and_topics_are_json_in_the_environment(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    assert (settings.gcn_bootstrap, settings.gcn_client_id, settings.gcn_client_secret) == (None, None, None)
    assert (settings.gcn_token_url, settings.vtp_remotes) == (None, ())
    assert settings.feeds_path == workplace / ".asterism" / "feeds"
    monkeypatch.setenv("ASTERISM_GCN_TOPICS", '["^gcn[.]notices[.].*"]')
    assert load_settings().gcn_topics == ("^gcn[.]notices[.].*",)


@pytest.mark.parametrize("value", ["0", "-1", "never"])
def test_a_limit_that_would_always_or_never_alarm_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ASTERISM_DEAF_AFTER_SECONDS", value)
    with pytest.raises(SettingsError, match="deaf_after_seconds"):
        load_settings()


def test_a_malformed_secret_is_refused_without_being_repeated(workplace: Path) -> None:
    write(workplace / "asterism.toml", "neo4j_password = 987654321")
    with pytest.raises(SettingsError, match="neo4j_password") as caught:
        load_settings()
    assert "987654321" not in caught.value.message


def test_config_show_says_where_each_value_comes_from(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workplace / ".asterism" / STACK_FILE, 'neo4j_uri = "bolt://127.0.0.1:1"\nkafka_bootstrap = "k:1"')
    write(workplace / "asterism.toml", 'api_port = 9001\nkafka_bootstrap = "k:2"')
    monkeypatch.setenv("ASTERISM_LOG_JSON", "true")
    rows = json.loads(CliRunner().invoke(config, ["show", "--json"]).stdout)
    origin = {row["name"]: row["from"] for row in rows}
    assert set(origin) == set(Settings.model_fields)
    assert origin["neo4j_uri"] == STACK_FILE
    assert origin["kafka_bootstrap"] == origin["api_port"] == "asterism.toml"
    assert origin["log_json"] == "environment"
    assert origin["home"] == origin["neo4j_user"] == "default"
