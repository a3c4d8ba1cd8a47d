"""What the demo prints: a sentence a step, a bar while something runs, tables at the end."""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

LOG_WIDTH = 120
Watch = Callable[[dict[str, Any]], None]


class Screen:
    """The terminal. On a terminal bars move; in a log only the sentences stand."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = LOG_WIDTH
        self._step = 0

    def step(self, title: str) -> None:
        """Begin the next step of the story."""
        self._step += 1
        self.console.print(f"\n[bold]{self._step}. {escape(title)}[/bold]")

    def say(self, text: str) -> None:
        """One sentence about what happened."""
        width = min(LOG_WIDTH, self.console.width)
        lines = textwrap.wrap(text, width - 4, break_long_words=False, break_on_hyphens=False)
        self.console.print(textwrap.indent(escape("\n".join(lines)), "   "))

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Callable[[int, int, str], None]]:
        """A bar; call the value with (done, total, note)."""
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(escape(title), total=total, note="")

            def move(done: int, total: int, note: str) -> None:
                progress.update(task, completed=done, total=total or None, note=escape(note))

            yield move

    @contextmanager
    def job(self, title: str) -> Iterator[Watch]:
        """A bar that follows a job's progress."""
        with self.bar(title) as move:
            yield lambda job: move(int(job.get("done") or 0), int(job.get("total") or 0), str(job.get("note") or ""))

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table; the first column is text, the others are figures."""
        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, collapse_padding=True
        )
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print()
        self.console.print(table)
