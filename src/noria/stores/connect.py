"""Opens the stores that the settings name. The only place that reads a store URL."""

from functools import cached_property

from noria.core.settings import Settings
from noria.stores import ports
from noria.stores.sql import Database, sqlite_url


class Stores:
    """All stores of one process, each opened when it is first used. Share one instance per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """Records."""
        return Database(self.settings.database_url or sqlite_url(self.settings.folder.records))

    @cached_property
    def files(self) -> ports.Files:
        """Content-addressed files."""
        from noria.stores.embedded.files import FolderFiles

        return FolderFiles(self.settings.folder.files)

    @cached_property
    def media(self) -> ports.Files:
        """Bytes of media files, in a place of their own: removing one takes nothing from a dataset or a model."""
        from noria.stores.embedded.files import FolderFiles

        return FolderFiles(self.settings.folder.media)

    @cached_property
    def spans(self) -> ports.Spans:
        """Spans and scores."""
        from noria.stores.spans import open_spans

        return open_spans(self.settings)

    @cached_property
    def journal(self) -> ports.Journal:
        """Records of this process (feedback, scores) on their way into the span store: kept when append returns."""
        from noria.stores.journal import JournalWriter

        return JournalWriter(self.settings.folder.journal / "server", reserve_bytes=self.settings.journal_reserve_bytes)

    def close(self) -> None:
        """Close what was opened."""
        if "journal" in self.__dict__:
            self.journal.close()
        if "database" in self.__dict__:
            self.database.close()
        if "spans" in self.__dict__:
            self.spans.close()
