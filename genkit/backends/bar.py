"""The progress bar of a pull, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from .store import Progress

__all__ = ["drawn"]

_WORDS = {"wait": "Waiting", "download": "Downloading", "unpack": "Checking", "convert": "Converting"}


@contextmanager
def drawn() -> Iterator[Callable[[Progress], None]]:
    """Draw a bar for the time of the block; call what it gives with each progress."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(progress: Progress) -> None:
            words = f"{_WORDS[progress.stage]} {progress.note}".strip()
            bar.update(task, description=words, completed=progress.done, total=progress.total or None)

        yield report
