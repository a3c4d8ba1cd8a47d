"""Where things lie in the data folder. Pure path arithmetic: nothing here touches the disk."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folder:
    """The layout of one data folder; every path that more than one process uses is named here."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor; names its process id."""
        return self.root / "noria.lock"

    @property
    def secret(self) -> Path:
        """The key file (mode 600) under which provider keys are sealed."""
        return self.root / "secret.key"

    @property
    def records(self) -> Path:
        """The SQLite database of records, when no other database is configured."""
        return self.root / "records.db"

    @property
    def prices(self) -> Path:
        """Prices of the installation's own, over those that Noria knows (docs/prices.md); need not be there."""
        return self.root / "prices.toml"

    @property
    def spans(self) -> Path:
        """chDB's folder; only the store process opens it."""
        return self.root / "spans"

    @property
    def spans_lock(self) -> Path:
        """Held by the store process."""
        return self.root / "spans.lock"

    @property
    def files(self) -> Path:
        """Content-addressed files: dataset parts, artifacts."""
        return self.root / "files"

    @property
    def media(self) -> Path:
        """Bytes of media files, content-addressed and apart from `files`: what is erased here is nobody else's."""
        return self.root / "media"

    @property
    def media_gate(self) -> Path:
        """Locked while a media file is announced, kept or removed."""
        return self.run / "media.lock"

    @property
    def models(self) -> Path:
        """Model files that engines and trainers map: converted base models, adapters by digest."""
        return self.root / "models"

    @property
    def work(self) -> Path:
        """Scratch of running jobs (checkpoints), one folder a job."""
        return self.root / "work"

    @property
    def journal(self) -> Path:
        """Span and score journals, one folder for each writing process."""
        return self.root / "journal"

    @property
    def carrying(self) -> Path:
        """Locked while a batch of a journal goes into the span store, and by a backup while it takes both as they are."""
        return self.journal / "carrying.lock"

    @property
    def responses(self) -> Path:
        """Responses that the gateway keeps for GET and previous_response_id: day/last two digits/id.json, mode 600."""
        return self.root / "responses"

    @property
    def recordings(self) -> Path:
        """Sealed calls to providers, one folder for each recording (noria.registry.recording)."""
        return self.root / "recordings"

    @property
    def run(self) -> Path:
        """What running processes tell each other; worthless after a stop, except the snapshot."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def snapshot(self) -> Path:
        """What the gateway serves from: noria.registry.snapshot.Snapshot as JSON, replaced atomically."""
        return self.run / "snapshot.json"

    @property
    def recording(self) -> Path:
        """What gateways are to record now: noria.registry.recording.Order as JSON, or {}."""
        return self.run / "recording.json"

    @property
    def counters(self) -> Path:
        """What keys, endpoints and projects have used of their limits; shared by the gateways of this machine."""
        return self.root / "counters.bin"

    @property
    def room(self) -> Path:
        """What spans and journals take of the disk, as the worker last saw it: noria.tracing.room.Room as JSON."""
        return self.run / "room.json"

    @property
    def engines(self) -> Path:
        """Local engines that run now: {engine key: {"url", "state", "pid", "error"}}, replaced atomically."""
        return self.run / "engines.json"

    @property
    def store(self) -> Path:
        """Where the store process listens and the secret it wants: {"url", "password", "pid"}, mode 600."""
        return self.run / "store.json"
