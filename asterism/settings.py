"""One settings class: command-line flag > environment ``ASTERISM_*`` > ``asterism.toml`` > local stack > default.

``asterism up`` writes the addresses it chose to ``<home>/stack.toml``; they rank just above the defaults, so that
commands find the local stack by themselves and any explicit setting points them elsewhere. Nothing reads settings
at import.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from asterism.errors import SettingsError

STACK_FILE = "stack.toml"


class Settings(BaseSettings):
    """Everything an installation can set; each field is also ``ASTERISM_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="ASTERISM_", extra="forbid", frozen=True)

    home: Path = Field(Path(".asterism"), description="Lake, journal, archive, checkpoints and local services")
    cache: Path = Field(Path("~/.cache/asterism"), description="Downloaded jars, shared by all checkouts")
    maven_repository: str | None = Field(
        None, description="Maven repository the jars come from; the public one if not set"
    )
    neo4j_heap: str = Field("1g", description="Java heap of the local Neo4j")
    neo4j_page_cache: str = Field("512m", description="Page cache of the local Neo4j, outside its heap")
    neo4j_uri: str = Field("bolt://127.0.0.1:7687", description="Bolt address of Neo4j")
    neo4j_user: str = Field("neo4j", description="Neo4j user")
    neo4j_password: SecretStr = Field(SecretStr(""), description="Neo4j password; never logged")
    neo4j_database: str = Field("neo4j", description="Neo4j database")
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers")
    kafka_topics: tuple[str, ...] = Field(
        ("ztf", "lsst"), description="Topics that carry alert packets; the survey is read off each packet's schema"
    )
    schema_registry: str | None = Field(None, description="Confluent schema registry URL for packets framed with an id")
    schema_folder: Path | None = Field(
        None, description="Folder of <id>.avsc writer schemas, tried before the registry"
    )
    catalogues: tuple[Path, ...] = Field((), description="Catalogues (Parquet) that objects are matched with")
    keep_packets: bool = Field(
        True, description="Archive packets as delivered; without them neither cutouts nor history can be had again"
    )
    trigger_seconds: float = Field(1.0, gt=0, description="Interval of micro-batches [s]; notices: at most 0.1 s")
    max_packets_per_batch: int = Field(5000, gt=0, description="Most packets one micro-batch takes from Kafka")
    min_free_gib: float = Field(
        1.0, ge=0, description="No batch of alerts begins while less is free on the disk of home [GiB]"
    )
    spark_master: str = Field("local[2]", description="Spark master")
    spark_driver_memory: str = Field("2g", description="Heap of the Spark driver JVM")
    api_host: str = Field("127.0.0.1", description="Address the API listens on")
    api_port: int = Field(8000, ge=0, le=65535, description="Port the API listens on; 0 takes a free one")
    api_graphiql: bool | None = Field(
        None, description="Show GraphQL's query page to browsers; if not set, where the API listens on loopback"
    )
    api_introspection: bool = Field(True, description="Let clients ask the API for its schema")
    api_anonymous_read: bool = Field(True, description="Let anybody read who shows no token")
    api_anonymous_requests_per_minute: int = Field(
        600, gt=0, description="Requests a minute from one address without token; this machine is not counted"
    )
    api_token_requests_per_minute: int = Field(
        6000, gt=0, description="Requests a minute with one token; those of scope admin are not counted"
    )
    api_cors_origins: tuple[str, ...] = Field(
        (), description="Origins, such as https://portal.example, whose pages may use the API in a browser"
    )
    cypher_places: int = Field(2, ge=1, le=64, description="Cypher queries that run at a time over HTTP")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Loopback port on which `asterism run` serves its metrics; none if not set"
    )
    gcn_bootstrap: str | None = Field(None, description="Kafka bootstrap servers that carry notices; none if not set")
    gcn_client_id: str | None = Field(None, description="OAuth client id for them; without one they are read in clear")
    gcn_client_secret: SecretStr | None = Field(None, description="OAuth client secret; never logged")
    gcn_token_url: str | None = Field(None, description="OAuth token endpoint; needed with a client id")
    gcn_tls: bool = Field(True, description="Speak TLS to the brokers when logging in with a client id")
    gcn_topics: tuple[str, ...] = Field(
        (r"^gcn\.classic\.voevent\..*", r"^gcn\.notices\..*", "igwn.gwalert", "gcn.heartbeat"),
        description="Notice topics; one that begins with ^ is a regular expression",
    )
    gcn_group: str | None = Field(
        None, description="Kafka consumer group; if not set, a name of its own is made for each home and kept there"
    )
    vtp_remotes: tuple[str, ...] = Field((), description="VTP brokers to subscribe to, each as host:port")
    vtp_filters: tuple[str, ...] = Field((), description="XPath filters sent to those brokers, as Comet's --filter")
    ivo_authority: str = Field(
        "asterism",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,60}$",
        description="IVOA authority that the bridge's VOEvents carry in their IVORNs: choose one of your own",
    )
    maps_url: str | None = Field(
        None, description="Address under which subscribers reach the bridge's sky maps; its own address if not set"
    )
    deaf_after_seconds: float = Field(
        150.0, gt=0, description="Silence of a feed, without message and heartbeat, after which it counts as deaf [s]"
    )
    listen_metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Loopback port on which `asterism voevent listen` serves its metrics; none if not set",
    )
    show_nonpublic: bool = Field(
        False, description="Serve alerts of restricted programmes too (ZTF programid other than 1)"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level logged")
    log_json: bool = Field(False, description="Log one JSON object a line instead of text")

    @property
    def lake_path(self) -> Path:
        """Folder of the lake."""
        return self.home / "lake"

    @property
    def maps_path(self) -> Path:
        """Folder of the lake's sky maps."""
        return self.lake_path / "maps"

    @property
    def archive_path(self) -> Path:
        """Folder of the raw packets."""
        return self.home / "archive"

    @property
    def journal_path(self) -> Path:
        """Folder of the notice journal."""
        return self.home / "journal"

    @property
    def tokens_path(self) -> Path:
        """File of the API's tokens, as hashes."""
        return self.home / "tokens.json"

    @property
    def feeds_path(self) -> Path:
        """Folder of what the notice listener notes about its feeds."""
        return self.home / "feeds"

    @property
    def bridge_path(self) -> Path:
        """Folder of the bridge: its outbox and the places of its subscribers."""
        return self.home / "bridge"

    @property
    def checkpoint_path(self) -> Path:
        """Folder of Spark's checkpoints."""
        return self.home / "checkpoints"

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; the two files are read here, when settings are asked for."""
        del dotenv_settings, file_secret_settings
        explicit = [init_settings(), env_settings(), config_file_values(), {"home": ".asterism"}]
        home = next(values["home"] for values in explicit if isinstance(values.get("home"), str | Path))
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, config_file_values()),
            InitSettingsSource(settings_cls, _toml_values(Path(home).expanduser() / STACK_FILE)),
        )


def config_file() -> Path:
    """Return the settings file in use: ``ASTERISM_CONFIG`` or ``asterism.toml`` of the working directory."""
    return Path(os.environ.get("ASTERISM_CONFIG", "asterism.toml"))


def config_file_values() -> dict[str, Any]:
    """Return what the settings file sets; empty if there is none.

    Raises
    ------
    SettingsError
        If the file cannot be read, or ``ASTERISM_CONFIG`` names one that does not exist.
    """
    path = config_file()
    if "ASTERISM_CONFIG" in os.environ and not path.exists():
        raise SettingsError(f"ASTERISM_CONFIG names {path}, which does not exist")
    return _toml_values(path)


def _toml_values(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def load_settings(**flags: Any) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    **flags
        Values given on the command line; None means not given.

    Raises
    ------
    SettingsError
        Naming every setting that is wrong, at once.
    """
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(problems) from error
    except pydantic_settings.SettingsError as error:
        raise SettingsError(str(error), hint='in the environment a list is JSON, such as ["ztf", "lsst"]') from error
    folders = {"home": settings.home, "cache": settings.cache}
    return settings.model_copy(update={name: path.expanduser().absolute() for name, path in folders.items()})
