"""Settings: one schema, at most 40 entries, each with help.

A value comes from (first wins) a command-line option, the environment (`NORIA_` + the name in capitals), the file
`noria.toml` in the data folder, the default. Every process reads the same schema; the supervisor hands its own
resolved values to its children through the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from noria.core.errors import BadInput
from noria.core.folder import Folder


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be configured about an installation; what belongs to one endpoint or project is a record instead."""

    data: Path = _setting(Path("noria-data"), "Data folder; created at the first start.")
    host: str = _setting("127.0.0.1", "Address that gateway and server bind to.")
    gateway_port: int = _setting(7700, "Port of the gateway (/v1/*).")
    gateway_workers: int = _setting(1, "Gateway processes behind one port; more than one can be exchanged by SIGHUP.")
    server_port: int = _setting(7701, "Port of the server (pages, JSON API).")
    public_url: str = _setting("", "Address of the server as browsers reach it; empty: http, host and server_port.")
    feedback_hours: int = _setting(
        168, "Hours for which the link x-noria-feedback-url of an answer takes feedback; 0: answers carry none."
    )
    otlp_grpc_port: int = _setting(
        4317, "Port of the server for OTLP over gRPC; 0: off. OTLP over HTTP is on server_port."
    )
    database_url: str = _setting("", "PostgreSQL URL for records; empty: SQLite in the data folder.")
    spans_url: str = _setting("", "ClickHouse HTTP URL for spans; empty: the embedded store process.")
    files_url: str = _setting("", "Object storage URL for files; empty: a folder in the data folder.")
    counters_url: str = _setting(
        "",
        "Redis URL that gateways on several machines share limits and kept answers through; empty: a file in the data folder.",
    )
    store_memory_mb: int = _setting(1024, "Memory limit of the embedded span store, in MB.")
    seal_spans: bool = _setting(
        False, "Encrypt the files of the embedded span store; wants seal_key_file or NORIA_SEAL_KEY. docs/privacy.md."
    )
    seal_key_file: str = _setting(
        "", "File outside the data folder that holds the key of seal_spans: 64 hex digits, mode 600."
    )
    worker_slots: int = _setting(1, "Jobs that run at the same time on this machine.")
    session_hours: int = _setting(168, "How long a login lasts, in hours.")
    secure_cookies: bool = _setting(False, "Send cookies over HTTPS only; turn on behind TLS.")
    snapshot_max_age: int = _setting(
        86_400, "Seconds a gateway serves on from its last snapshot while the server is down."
    )
    provider_connect_timeout: float = _setting(5.0, "Seconds to connect to a provider.")
    provider_first_byte_timeout: float = _setting(120.0, "Seconds until a provider's first byte.")
    provider_idle_timeout: float = _setting(60.0, "Seconds between two bytes of a provider's answer.")
    provider_total_timeout: float = _setting(600.0, "Seconds for a whole provider call.")
    max_body_mb: int = _setting(20, "Largest request body that the gateway reads, in MB.")
    cache_memory_mb: int = _setting(8, "Memory that a gateway may use for kept answers, in MB; without Redis only.")
    max_upload_mb: int = _setting(512, "Largest file that can be imported, in MB.")
    allow_private_providers: bool = _setting(True, "Allow provider URLs on loopback and private addresses.")
    engine_threads: int = _setting(0, "Threads of each local engine; 0: one for each core.")
    engine_parallel: int = _setting(4, "Requests that one local engine works on at the same time.")
    engine_context: int = _setting(4096, "Tokens of context for each request of a local engine.")
    keep_span_days: int = _setting(90, "Days that spans and scores are kept.")
    span_disk_mb: int = _setting(
        0, "Room that spans and journals may take, in MB, before people are warned; 0: no limit."
    )
    drop_oldest_spans: bool = _setting(
        False, "Beyond span_disk_mb drop the oldest weeks of spans, whosever they are; otherwise only warn."
    )
    disk_reserve_mb: int = _setting(
        256, "Free room that stays on the disk, in MB: below it spans wait in journals, which stop at a quarter of it."
    )
    project: str = _setting("", "Project that commands of the shell work in, by name or id; empty: the first one.")
    log_level: str = _setting("info", "debug, info, warning or error.")

    @property
    def folder(self) -> Folder:
        return Folder(self.data)

    @property
    def journal_reserve_bytes(self) -> int:
        """Room that journals leave on the disk."""
        return self.disk_reserve_mb * 1024 * 1024 // 4

    @property
    def gateway_url(self) -> str:
        """Where processes on this machine reach the gateway."""
        return f"http://{_reachable(self.host)}:{self.gateway_port}"

    @property
    def server_url(self) -> str:
        """Where processes on this machine reach the server."""
        return f"http://{_reachable(self.host)}:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for child processes."""
        return {f"NORIA_{f.name.upper()}": str(getattr(self, f.name)) for f in fields(self)}


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - recognised, not bound


def load(env: Mapping[str, str] = os.environ, **options: Any) -> Settings:
    """Settings from `options` (None means not given), `env` and the data folder's noria.toml.

    Raises BadInput for a name or value that the schema does not know.
    """
    given = {name: value for name, value in options.items() if value is not None}
    data = Path(given.pop("data", None) or env.get("NORIA_DATA") or Settings().data).expanduser().absolute()
    values: dict[str, Any] = {"data": data}
    known = {f.name: f for f in fields(Settings) if f.name != "data"}
    for name, value in _file_values(data / "noria.toml").items():
        if name not in known:
            raise BadInput(f"noria.toml: there is no setting named {name!r}", hint=f"Known: {', '.join(known)}.")
        values[name] = value
    for name in known:
        if (text := env.get(f"NORIA_{name.upper()}")) is not None:
            values[name] = text
    values.update(given)
    return Settings(**{name: _coerce(name, value) for name, value in values.items()})


def _file_values(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise BadInput(f"{path} may not be read.", hint="Run Noria as the owner of the data folder.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}", hint="Correct the file or remove it.") from error


def _coerce(name: str, value: Any) -> Any:
    kind = type(getattr(Settings(), name))
    if kind is bool and isinstance(value, str):
        if value.lower() not in {"true", "false", "1", "0"}:
            raise BadInput(f"setting {name}: {value!r} is neither true nor false")
        return value.lower() in {"true", "1"}
    if kind.__name__.endswith("Path"):
        return Path(value)
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"setting {name}: {value!r} is not of type {kind.__name__}") from error
