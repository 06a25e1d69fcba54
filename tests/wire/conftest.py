"""One replay server for the run, one conversation per cassette, and the table of what passed at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from . import cassettes


@dataclass
class Tally:
    """What was counted over the run: how many of what, by name."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, table: str, name: str) -> None:
        """Count one."""
        self.counts.setdefault(table, Counter())[name] += 1


TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Where the tests count."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


@pytest.fixture(scope="session")
def replay_server() -> Iterator[Any]:
    """The replay server; what it serves is loaded for each request."""
    if cassettes.ABSENT:
        pytest.skip(cassettes.ABSENT)
    with cassettes.replay_server().ReplayServer({"interactions": []}) as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    tally = config.stash.get(TALLY, None)
    if tally is None or not tally.counts:
        return
    terminalreporter.section("recorded traffic")
    tally.counts.setdefault("not yet", Counter({"nothing": 0}))
    for table, counter in tally.counts.items():
        terminalreporter.write_line(f"{table}:")
        for name, count in sorted(counter.items(), key=lambda item: (-item[1], item[0])):
            terminalreporter.write_line(f"  {count:5d}  {name}")
