"""What is measured, shown and wanted: the lines of the table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EVERYBODY", "FORBIDDEN", "LINES", "Line"]

EVERYBODY = ("genkit", "openai", "engine")
_ASYNC = (*EVERYBODY, "openai_aiohttp")
_PAIR = ("genkit", "openai")

# What `from genkit import LLM` must not load.
FORBIDDEN = (
    "aiohttp",
    "boto3",
    "botocore",
    "genai_prices",
    "google.genai",
    "httpcore2",
    "httpx",
    "httpx2",
    "numpy",
    "openai",
    "torch",
    "transformers",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        row: The measurement it comes from.
        figure: Its name in the measurement's result.
        digits: Decimals shown.
        most: Highest value that meets the goal; `least` the lowest.
        most_ratio: Highest ratio to the vendor's SDK (for the import, to pydantic's) that meets the goal.
        once: Measured in one round only: it is long, and does not depend on the clock.
    """

    group: str
    row: str
    title: str
    figure: str = "cpu_us"
    unit: str = "us"
    digits: int = 0
    most: float | None = None
    least: float | None = None
    most_ratio: float | None = None
    subjects: tuple[str, ...] = EVERYBODY
    once: bool = False

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        limits = ((self.most_ratio, "<= {:g}x"), (self.most, "<= {:g} " + self.unit), (self.least, ">= {:,.0f}"))
        return ", ".join(form.format(limit) for limit, form in limits if limit is not None)

    def verdict(self, value: float, ratio: float | None) -> str:
        """Say whether the goal is met, or by how much it is not."""
        misses = []
        if self.most_ratio is not None and ratio is not None and ratio > self.most_ratio:
            misses.append(f"{ratio / self.most_ratio:.2f} times the goal")
        if self.most is not None and value > self.most:
            misses.append(f"{value - self.most:.{max(self.digits, 1)}f} {self.unit} above")
        if self.least is not None and value < self.least:
            misses.append(f"{self.least - value:,.0f} below")
        if not self.goal:
            return ""
        return "no: " + ", ".join(misses) if misses else "yes"


def _stream(row: str, title: str, *, goal: bool = True, group: str = "stream") -> Line:
    return Line(group, row, title, digits=1, most_ratio=0.2 if goal else None)


def _flat(row: str, title: str) -> Line:
    # 16 bytes per repetition: below what one leaked object takes.
    return Line("memory", row, title, "kb_per_1000", "KB per 1,000", 1, most=16.0, subjects=_PAIR, once=True)


def _vendor(name: str, title: str, sdk: str, calls: float, many: float, stream: float, astream: float) -> list[Line]:
    """Return the lines of another vendor: goals are ratios to its SDK."""
    pair = ("genkit", sdk)
    lines = [
        Line(name, f"{name}_sync", f"{title}: sync call", most_ratio=calls, subjects=pair),
        Line(name, f"{name}_async_64", f"{title}: async call, 64 in flight", most_ratio=many, subjects=pair),
        Line(
            name, f"{name}_async_64", "the same, calls per second of CPU", "per_cpu_s", "/s", least=3000, subjects=pair
        ),
        Line(name, f"{name}_async_512", f"{title}: async call, 512 in flight", most_ratio=many, subjects=pair),
        Line(
            name, f"{name}_async_512", "the same, calls per second of CPU", "per_cpu_s", "/s", least=3000, subjects=pair
        ),
    ]
    for mode, how in _ARRIVALS.items():
        for kind, goal in (("stream", stream), ("astream", astream)):
            word = "async" if kind == "astream" else "sync"
            row = f"{name}_{kind}_{mode}"
            lines.append(Line(name, row, f"{title}: {word} chunk, {how}", digits=1, most_ratio=goal, subjects=pair))
    return lines


_ARRIVALS = {
    "steady": "sent one by one, 0.3 ms apart",
    "paced": "sent one by one, 1 ms apart",
    "burst": "sent one by one without pause",
    "whole": "stream in one write",
}

LINES = (
    Line(
        "import",
        "import",
        "`from genkit import LLM`, against `from pydantic import BaseModel`",
        "cpu_s",
        "s",
        3,
        most_ratio=2.0,
        subjects=("genkit", "pydantic", "openai"),
    ),
    Line("import", "import", "forbidden modules loaded by it", "forbidden", "modules", most=0, subjects=("genkit",)),
    Line("first", "first_sync", "process start to first answer, sync", "cpu_s", "s", 2, most=0.5),
    Line("first", "first_async", "process start to first answer, async", "cpu_s", "s", 2, most=0.5),
    Line("first", "first_sync", "memory then, sync", "rss_mb", "MB"),
    Line("first", "first_async", "memory then, async", "rss_mb", "MB"),
    Line("sync", "sync_chat", "sync call, chat", most_ratio=0.35),
    Line("sync", "sync_responses", "sync call, responses", most_ratio=0.35),
    Line("sync", "sync_embed", "sync call, 8 embeddings of 1,536"),
    Line("async", "async_1", "async call, one at a time", subjects=_ASYNC),
    Line("async", "async_64", "async call, 64 in flight", most_ratio=0.15, subjects=_ASYNC),
    Line("async", "async_64", "the same, calls per second of CPU", "per_cpu_s", "/s", least=3000, subjects=_ASYNC),
    Line("async", "async_64_responses", "async call, responses, 64 in flight", most_ratio=0.15, subjects=_ASYNC),
    Line("async", "async_512", "async call, 512 in flight", most_ratio=0.15, subjects=_ASYNC),
    Line("async", "async_512", "the same, calls per second of CPU", "per_cpu_s", "/s", least=3000, subjects=_ASYNC),
    _stream("stream_steady", "sync chunk, sent one by one, 0.3 ms apart"),
    _stream("stream_paced", "sync chunk, sent one by one, 1 ms apart"),
    _stream("stream_burst", "sync chunk, sent one by one without pause"),
    _stream("stream_whole", "sync chunk, stream in one write"),
    _stream("stream_responses_paced", "sync chunk, responses, 1 ms apart"),
    _stream("stream_responses_whole", "sync chunk, responses, in one write"),
    _stream("astream_steady", "async chunk, sent one by one, 0.3 ms apart"),
    _stream("astream_paced", "async chunk, sent one by one, 1 ms apart"),
    _stream("astream_burst", "async chunk, sent one by one without pause"),
    _stream("astream_whole", "async chunk, stream in one write"),
    _stream("astream_responses_paced", "async chunk, responses, 1 ms apart"),
    Line(
        "stream",
        "slow_sync",
        "a consumer at a standstill, 9 MB to come, sync: memory",
        "stalled_mb",
        "MB",
        1,
        most=2.0,
        subjects=_PAIR,
        once=True,
    ),
    Line("stream", "slow_sync", "the same, highest until the end", "peak_mb", "MB", 1, subjects=_PAIR, once=True),
    Line(
        "stream",
        "slow_async",
        "a consumer at a standstill, 9 MB to come, async: memory",
        "stalled_mb",
        "MB",
        1,
        most=2.0,
        subjects=_PAIR,
        once=True,
    ),
    Line("stream", "slow_async", "the same, highest until the end", "peak_mb", "MB", 1, subjects=_PAIR, once=True),
    Line("tls", "tls_sync", "sync call over TLS", most_ratio=0.35),
    Line("tls", "tls_async_64", "async call over TLS, 64 in flight", most_ratio=0.15),
    _stream("tls_stream_paced", "sync chunk over TLS, 1 ms apart", group="tls"),
    _stream("tls_astream_paced", "async chunk over TLS, 1 ms apart", group="tls"),
    *_vendor("gemini", "Gemini", "google", 0.4, 0.15, 0.2, 0.2),
    *_vendor("bedrock", "Bedrock", "boto3", 0.5, 0.3, 0.65, 0.4),
    Line("memory", "memory_in_flight", "1,000 calls in flight: growth over idle", "first_mb", "MB", 1, once=True),
    Line("memory", "memory_in_flight", "the third thousand: growth over idle", "third_mb", "MB", 1, once=True),
    _flat("memory_calls", "10,000 calls one after another"),
    _flat("memory_streams", "10,000 streams one after another, sync"),
    _flat("memory_async_streams", "10,000 streams one after another, async"),
    Line(
        "memory",
        "memory_left_streams",
        "2,000 streams left after the third piece: growth of the last 1,600",
        "grown_mb",
        "MB",
        1,
        most=0.5,
        subjects=_PAIR,
        once=True,
    ),
    Line(
        "memory",
        "memory_loops",
        "300 event loops one after another: growth of the last 240",
        "grown_mb",
        "MB",
        1,
        most=0.5,
        subjects=("genkit",),
        once=True,
    ),
    Line(
        "local",
        "local",
        "embedded model, first answer, conversion included",
        "first_s",
        "s",
        1,
        most=30.0,
        subjects=("genkit",),
        once=True,
    ),
    Line(
        "local",
        "local",
        "embedded model, answer of a later process",
        "later_s",
        "s",
        1,
        most=6.0,
        subjects=("genkit",),
        once=True,
    ),
)
