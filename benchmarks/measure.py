"""One measurement of one library, in a process of its own: `python -m benchmarks.measure SUBJECT ROW`.

The far end's address comes on standard input. CPU is that of this process, user and system, all threads. What is
measured runs in blocks and the best block counts: what else runs on the machine can only add. Answers are checked. The
result is one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from .farend import DIMENSIONS, TEXT, text_of
from .subjects import Api, Subject, load

Figures: TypeAlias = dict[str, float]
BLOCKS = 9


class Bench:
    """What a row is measured with: the subject's class and the far end's address."""

    def __init__(self, subject: str, far_end: dict[str, Any]) -> None:
        self._subject = load(subject)
        self._far_end = far_end

    def client(self, mode: str, n: int = 0, *, api: Api = "chat", tls: bool = False) -> Subject:
        """Return a client whose base URL asks the far end for `mode`."""
        host = f"https://127.0.0.1:{self._far_end['tls_port']}" if tls else f"http://127.0.0.1:{self._far_end['port']}"
        ca = self._far_end["ca_file"] if tls else None
        version = "/v1" if api in ("chat", "responses") else ""
        return self._subject(f"{host}/{mode}-{n}{version}", api=api, ca=ca)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _slope(values: list[float]) -> float:
    """Return the least-squares slope per step."""
    middle, mean = (len(values) - 1) / 2, statistics.fmean(values)
    above = sum((i - middle) * (value - mean) for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))


def _check(got: str, expected: str) -> None:
    if got != expected:
        raise AssertionError(f"the answer is wrong: {got[:80]!r} ({len(got)} characters, {len(expected)} expected)")


# Calls


def _calls(client: Subject, *, warm: int = 30, per_block: int = 40) -> Figures:
    for _ in range(warm):
        _check(client.call(), TEXT)
    cpu, wall = [], []
    for _ in range(BLOCKS):
        c, w = time.process_time(), time.perf_counter()
        for _ in range(per_block):
            client.call()
        cpu.append((time.process_time() - c) / per_block)
        wall.append((time.perf_counter() - w) / per_block)
    client.close()
    return {"cpu_us": min(cpu) * 1e6, "wall_us": min(wall) * 1e6}


def sync_chat(bench: Bench) -> Figures:
    return _calls(bench.client("whole"))


def sync_responses(bench: Bench) -> Figures:
    return _calls(bench.client("whole", api="responses"))


def tls_sync(bench: Bench) -> Figures:
    return _calls(bench.client("whole", tls=True))


def sync_embed(bench: Bench) -> Figures:
    client = bench.client("whole")
    texts = [f"text number {i}" for i in range(8)]
    for _ in range(10):
        if client.embed(texts) != 8 * DIMENSIONS:
            raise AssertionError("the vectors are wrong")
    cpu = []
    for _ in range(BLOCKS):
        c = time.process_time()
        for _ in range(20):
            client.embed(texts)
        cpu.append((time.process_time() - c) / 20)
    client.close()
    return {"cpu_us": min(cpu) * 1e6}


async def _in_flight(client: Subject, workers: int, total: int) -> None:
    """Make `total` calls, `workers` of them at a time."""
    numbers = iter(range(total))

    async def work() -> None:
        for _ in numbers:
            await client.acall()

    await asyncio.gather(*[work() for _ in range(workers)])


async def _acalls(client: Subject, workers: int, per_block: int, *, blocks: int = 5) -> Figures:
    _check(await client.acall(), TEXT)
    await _in_flight(client, workers, 2 * workers)
    cpu, wall = [], []
    for _ in range(blocks):
        c, w = time.process_time(), time.perf_counter()
        await _in_flight(client, workers, per_block)
        cpu.append((time.process_time() - c) / per_block)
        wall.append((time.perf_counter() - w) / per_block)
    await client.aclose()
    best = min(cpu)
    return {"cpu_us": best * 1e6, "per_cpu_s": 1 / best, "per_s": 1 / min(wall)}


def async_1(bench: Bench) -> Figures:
    return asyncio.run(_acalls(bench.client("whole"), 1, 100))


def async_64(bench: Bench) -> Figures:
    return asyncio.run(_acalls(bench.client("whole"), 64, 512))


def async_512(bench: Bench) -> Figures:
    return asyncio.run(_acalls(bench.client("whole"), 512, 1024))


def async_64_responses(bench: Bench) -> Figures:
    return asyncio.run(_acalls(bench.client("whole", api="responses"), 64, 512))


def tls_async_64(bench: Bench) -> Figures:
    return asyncio.run(_acalls(bench.client("whole", tls=True), 64, 512))


# Streams


def _streams(client: Subject, pieces: int, *, per_block: int = 2) -> Figures:
    _check("".join(client.stream()), text_of(pieces))
    cpu = []
    for _ in range(BLOCKS):
        c = time.process_time()
        for _ in range(per_block):
            for _ in client.stream():
                pass
        cpu.append((time.process_time() - c) / per_block / pieces)
    client.close()
    return {"cpu_us": min(cpu) * 1e6}


async def _astreams(client: Subject, pieces: int, *, per_block: int = 2) -> Figures:
    _check("".join([piece async for piece in client.astream()]), text_of(pieces))
    cpu = []
    for _ in range(BLOCKS):
        c = time.process_time()
        for _ in range(per_block):
            async for _ in client.astream():
                pass
        cpu.append((time.process_time() - c) / per_block / pieces)
    await client.aclose()
    return {"cpu_us": min(cpu) * 1e6}


def _stream_row(
    mode: str, *, is_async: bool = False, api: Api = "chat", tls: bool = False
) -> Callable[[Bench], Figures]:
    pieces, per_block = (1000, 2) if mode in ("whole", "burst") else (300, 1)

    def row(bench: Bench) -> Figures:
        client = bench.client(mode, pieces, api=api, tls=tls)
        if is_async:
            return asyncio.run(_astreams(client, pieces, per_block=per_block))
        return _streams(client, pieces, per_block=per_block)

    return row


# A consumer that is slower than the far end

SLOW_PIECES = 40_000
STALL_S = 1.0


class _Slow:
    """Memory while a stream of some 9 MB is consumed late: at a standstill, and at its highest."""

    def __init__(self) -> None:
        gc.collect()
        self._before = _rss_mb()
        self._stalled = 0.0
        _forget_peak()

    def stalled(self) -> None:
        self._stalled = _rss_mb() - self._before

    def figures(self, characters: int) -> Figures:
        if characters != len(text_of(SLOW_PIECES)):
            raise AssertionError(f"{characters} characters arrived")
        return {"stalled_mb": self._stalled, "peak_mb": _peak_mb() - self._before}


def slow_sync(bench: Bench) -> Figures:
    client = bench.client("burst", SLOW_PIECES)
    client.call()
    for _ in bench.client("burst", 20).stream():
        pass
    slow, characters = _Slow(), 0
    for i, piece in enumerate(client.stream()):
        characters += len(piece)
        if i == 10:
            time.sleep(STALL_S)
            slow.stalled()
        elif i % 500 == 0:
            time.sleep(0.005)
    return slow.figures(characters)


async def _slow_async(bench: Bench) -> Figures:
    client, short = bench.client("burst", SLOW_PIECES), bench.client("burst", 20)
    await client.acall()
    async for _ in short.astream():
        pass
    slow, characters, i = _Slow(), 0, 0
    async for piece in client.astream():
        characters += len(piece)
        if i == 10:
            await asyncio.sleep(STALL_S)
            slow.stalled()
        elif i % 500 == 0:
            await asyncio.sleep(0.005)
        i += 1
    await client.aclose()
    await short.aclose()
    return slow.figures(characters)


def slow_async(bench: Bench) -> Figures:
    return asyncio.run(_slow_async(bench))


# Memory

IN_FLIGHT = 1000


async def _waves(client: Subject) -> Figures:
    """Hold a thousand calls in flight, three times; idle is after a few calls one after another."""
    for _ in range(5):
        await client.acall()
    gc.collect()
    idle = _rss_mb()
    grown = []
    for _ in range(3):
        _forget_peak()
        answers = await asyncio.gather(*[client.acall() for _ in range(IN_FLIGHT)])
        _check(answers[-1], TEXT)
        grown.append(_peak_mb() - idle)
    await client.aclose()
    return {"first_mb": grown[0], "third_mb": grown[2]}


def memory_in_flight(bench: Bench) -> Figures:
    return asyncio.run(_waves(bench.client("late", 1500)))


def _flat(once: Callable[[], object], total: int, *, steps: int = 20) -> Figures:
    """Return how memory grows over `total` repetitions, the first fifth being warm-up."""
    rss, files = [], _open_files()
    for _ in range(steps):
        for _ in range(total // steps):
            once()
        rss.append(_rss_mb())
    return _growth(rss, files, total // steps)


async def _aflat(once: Callable[[], Awaitable[object]], total: int, *, steps: int = 20) -> Figures:
    rss, files = [], _open_files()
    for _ in range(steps):
        for _ in range(total // steps):
            await once()
        rss.append(_rss_mb())
    return _growth(rss, files, total // steps)


def _growth(rss: list[float], files: int, per_step: int) -> Figures:
    warm = rss[len(rss) // 5 :]
    return {
        "kb_per_1000": _slope(warm) * 1024 * 1000 / per_step,
        "grown_mb": warm[-1] - warm[0],
        "end_mb": rss[-1],
        "files": float(_open_files() - files),
    }


def memory_streams(bench: Bench) -> Figures:
    client = bench.client("whole", 20)
    expected = text_of(20)
    return _flat(lambda: _check("".join(client.stream()), expected), 10_000)


def memory_calls(bench: Bench) -> Figures:
    client = bench.client("whole")
    return _flat(lambda: _check(client.call(), TEXT), 10_000)


def memory_async_streams(bench: Bench) -> Figures:
    client = bench.client("whole", 20)
    expected = text_of(20)

    async def once() -> None:
        _check("".join([piece async for piece in client.astream()]), expected)

    async def run() -> Figures:
        return await _aflat(once, 10_000)

    return asyncio.run(run())


def memory_left_streams(bench: Bench) -> Figures:
    """Streams that the caller leaves after the third piece."""
    client = bench.client("burst", 200)

    def once() -> None:
        with contextlib.closing(client.stream()) as pieces:  # type: ignore[type-var]  # a generator
            for _, _ in zip(range(3), pieces, strict=False):
                pass

    return _flat(once, 2_000)


def memory_loops(bench: Bench) -> Figures:
    """One client used in 300 event loops one after another."""
    client = bench.client("whole")

    def once() -> None:
        asyncio.run(_one(client.acall()))

    return _flat(once, 300)


async def _one(call: Coroutine[Any, Any, str]) -> None:
    _check(await call, TEXT)


def _vendor_rows(name: str, api: Api) -> dict[str, Callable[[Bench], Figures]]:
    """Return the rows of another vendor's wire: calls, and streams in each way they may arrive."""

    def calls(bench: Bench) -> Figures:
        return _calls(bench.client("whole", api=api))

    def in_flight(workers: int) -> Callable[[Bench], Figures]:
        total = 512 if workers < 512 else 1024
        return lambda bench: asyncio.run(_acalls(bench.client("whole", api=api), workers, total))

    rows: dict[str, Callable[[Bench], Figures]] = {
        f"{name}_sync": calls,
        f"{name}_async_64": in_flight(64),
        f"{name}_async_512": in_flight(512),
    }
    for mode in ("steady", "paced", "burst", "whole"):
        rows[f"{name}_stream_{mode}"] = _stream_row(mode, api=api)
        rows[f"{name}_astream_{mode}"] = _stream_row(mode, is_async=True, api=api)
    return rows


ROWS: dict[str, Callable[[Bench], Figures]] = {
    "sync_chat": sync_chat,
    "sync_responses": sync_responses,
    "sync_embed": sync_embed,
    "async_1": async_1,
    "async_64": async_64,
    "async_64_responses": async_64_responses,
    "async_512": async_512,
    "stream_steady": _stream_row("steady"),
    "astream_steady": _stream_row("steady", is_async=True),
    "stream_paced": _stream_row("paced"),
    "stream_burst": _stream_row("burst"),
    "stream_whole": _stream_row("whole"),
    "stream_responses_paced": _stream_row("paced", api="responses"),
    "stream_responses_whole": _stream_row("whole", api="responses"),
    "astream_paced": _stream_row("paced", is_async=True),
    "astream_burst": _stream_row("burst", is_async=True),
    "astream_whole": _stream_row("whole", is_async=True),
    "astream_responses_paced": _stream_row("paced", is_async=True, api="responses"),
    "slow_sync": slow_sync,
    "slow_async": slow_async,
    "tls_sync": tls_sync,
    "tls_async_64": tls_async_64,
    "tls_stream_paced": _stream_row("paced", tls=True),
    "tls_astream_paced": _stream_row("paced", is_async=True, tls=True),
    "memory_in_flight": memory_in_flight,
    "memory_calls": memory_calls,
    "memory_streams": memory_streams,
    "memory_async_streams": memory_async_streams,
    "memory_left_streams": memory_left_streams,
    "memory_loops": memory_loops,
    **_vendor_rows("gemini", "gemini"),
    **_vendor_rows("bedrock", "converse"),
}


def main() -> None:
    """Measure one row and print its figures."""
    subject, row = sys.argv[1:]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(8192, hard)), hard))
    figures = ROWS[row](Bench(subject, json.load(sys.stdin)))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
