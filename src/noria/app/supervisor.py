"""`noria up`: every process of Noria as a child of this one. What dies is started again; Ctrl-C ends all of it.

The supervisor holds the data folder's lock and no database. All children but one die with it. The gateway does not: it serves
on from its snapshot whatever happens to the others, and the next `noria up` on the folder takes it over.
"""

import json
import signal
import socket
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from noria import __version__
from noria.app.process import Process, Role, adopt, answers, describe
from noria.core.errors import Conflict, NoriaError
from noria.core.settings import Settings
from noria.registry import snapshot
from noria.serving.keeper import EngineKeeper
from noria.stores.lock import PidLock

TURN = 0.1
ENGINES = 0.2
PATIENCE = 60.0
"""Seconds after which a start that is not ready is talked about."""

# Each group ends before the next is asked to: callers first, then whoever carries their spans, then where they are kept.
ENDING = ((("gateway", "server"), 2.5), (("worker",), 3.0), (("store",), 2.0))


class Supervisor:
    """One `noria up`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.began = time.monotonic()
        self.ready_after = 0.0
        self._stop = 0
        self._snapshot = snapshot.Snapshot()
        self._snapshot_seen = 0
        self._engines_at = 0.0
        self._processes: dict[str, Process] = {}
        self._keeper: EngineKeeper | None = None

    def run(self) -> int:
        """Stay until SIGINT or SIGTERM; the exit status. Raises Conflict when the folder or a port is taken."""
        self._make_folder()
        with PidLock(self.settings.folder.lock):
            self._say(f"Noria {__version__} is starting in {self.settings.data}")
            gateway = adopt(self.settings)
            self._check_ports(taken_over=gateway is not None)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._on_signal)
            try:
                self._start(gateway)
                while not self._stop:
                    self._turn()
                    time.sleep(TURN)
            finally:
                self._end()
        return 0

    def _make_folder(self) -> None:
        folder = self.settings.folder
        try:
            for path in (folder.root, folder.run, folder.logs, folder.work):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Conflict(
                f"The data folder {folder.root} cannot be used: {error.strerror}.", hint="Choose another with --data."
            ) from error

    def _check_ports(self, *, taken_over: bool) -> None:
        """Find a taken port before anything starts."""
        if self.settings.gateway_port == self.settings.server_port:
            raise Conflict("The settings gateway_port and server_port are the same.", hint="Change one of them.")
        for name in ("gateway_port", "server_port"):
            if name == "gateway_port" and taken_over:
                continue
            port = getattr(self.settings, name)
            with socket.socket(socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.settings.host, port))
                except OSError as error:
                    raise Conflict(
                        f"Port {port} (setting {name}) cannot be used on {self.settings.host}: {error.strerror}.",
                        hint=f"Stop what uses it, or choose another: noria up --port {self.settings.gateway_port + 100}",
                    ) from error

    def _start(self, gateway: Process | None) -> None:
        settings = self.settings
        roles = [Role("gateway", outlives=True), Role("server", tells=True)]
        roles += [] if settings.spans_url else [Role("store")]
        roles += [Role("worker")]
        self._processes = {role.name: Process(role, settings) for role in roles}
        if gateway is not None:
            self._processes["gateway"] = gateway
            self._say(f"  took over the gateway that was still serving (process {gateway.pid})")
        for process in self._processes.values():
            if process.pid == 0:
                process.start()
        self._keeper = EngineKeeper(settings)

    def _turn(self) -> None:
        for process in self._processes.values():
            if words := process.turn():
                self._say(f"  {words}")
        self._hear_server()
        if not self.ready_after:
            self._look_for_ready()
        if time.monotonic() - self._engines_at >= ENGINES:
            self._engines_at = time.monotonic()
            self._tick_engines()

    def _look_for_ready(self) -> None:
        waited = time.monotonic() - self.began
        # the server is asked first: it takes longest, and then the gateway is asked only once or twice
        if answers(self.settings.server_url) and answers(self.settings.gateway_url):
            self.ready_after = time.monotonic() - self.began
            self._say(self._banner())
        elif waited > PATIENCE:
            self.began += PATIENCE
            self._say(f"  not ready after {PATIENCE:.0f} s; {self.settings.folder.logs} says why")

    def _banner(self) -> str:
        settings = self.settings
        return (
            f"\nNoria is ready in {self.ready_after:.1f} s\n"
            f"  pages and API   {settings.server_url}\n"
            f"  model calls     {settings.gateway_url}/v1\n"
            f"  data and logs   {settings.data}\n"
            "Ctrl-C ends it.\n"
        )

    def _hear_server(self) -> None:
        """The server says here what the first admin's login is; it goes to the terminal and nowhere else."""
        if said := self._processes["server"].heard():
            login = json.loads(said)
            self._say(describe(login["email"], login["password"], login["key"]))

    def _tick_engines(self) -> None:
        path = self.settings.folder.snapshot
        with suppress(FileNotFoundError):
            changed = path.stat().st_mtime_ns
            if changed != self._snapshot_seen:
                self._snapshot_seen = changed
                try:
                    self._snapshot = snapshot.read(path) or self._snapshot
                except (ValueError, KeyError, TypeError):
                    self._say(f"  {path} is damaged; the server will write it again")
        if self._keeper is not None:
            try:
                self._keeper.tick(self._snapshot)
            except (NoriaError, OSError) as error:
                self._say(f"  local engines: {error}")

    def _end(self) -> None:
        """Ask in order, wait a little, then insist."""
        for names, seconds in ENDING:
            group = [self._processes[name] for name in names if name in self._processes]
            for process in group:
                process.ask_to_end()
            deadline = time.monotonic() + seconds
            while any(process.alive() for process in group) and time.monotonic() < deadline and self._stop < 2:
                time.sleep(0.02)
            for process in group:
                process.kill()
            if names == ("worker",) and self._keeper is not None:
                self._keeper.stop()
        self._say("Noria has ended.")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop += 1

    def _say(self, words: Any) -> None:
        with suppress(OSError):  # a terminal that went away must not keep the rest from ending
            print(words, file=sys.stdout, flush=True)
