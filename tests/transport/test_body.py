"""Bodies: streams, encodings and size, on both engines."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import socket
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from genkit import errors
from tests.farend import Call, FarEnd, answer

from .conftest import Engine

EVENT = b"data: {}\n\n"


def stream_of(*chunks: bytes) -> Any:
    def script(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        for chunk in chunks:
            call.chunk(chunk)
        call.end()

    return script


class TestStreaming:
    def test_chunks_come_as_they_arrive(self, engine: Engine) -> None:
        go = threading.Event()

        def script(call: Call) -> None:
            call.head()
            call.chunk(b"one")
            go.wait(5)
            call.chunk(b"two")
            call.end()

        with FarEnd(script) as far:
            stream = engine.open(far.url)
            assert next(stream) == b"one"
            go.set()
            assert list(stream) == [b"two"]

    def test_read_returns_the_rest(self, engine: Engine) -> None:
        with FarEnd(stream_of(b"a", b"b", b"c")) as far:
            stream = engine.open(far.url)
            first = next(stream)
            assert first + stream.read() == b"abc"
            assert stream.read() == b""

    def test_a_stream_read_to_its_end_gives_its_connection_back(self, engine: Engine) -> None:
        with FarEnd(stream_of(EVENT)) as far:
            for _ in range(5):
                list(engine.open(far.url))
        assert far.connections == 1

    def test_a_stream_closed_early_closes_its_connection(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.drip(EVENT))) as far:
            stream = engine.open(far.url)
            next(stream)
            stream.close()
            stream.close()
            assert far.hung_up.wait(2)
            with pytest.raises(errors.StreamClosed):
                next(stream)

    def test_a_finished_stream_keeps_its_connection_where_the_body_ends_soon(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head()
            call.chunk(b"data: [DONE]\n\n")
            call.sleep(0.01)
            call.end()

        with FarEnd(script) as far:
            for _ in range(3):
                stream = engine.open(far.url)
                next(stream)
                stream.finish()
        assert far.connections == 1

    def test_a_finished_stream_does_not_wait_for_a_server_that_does_not_end(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            stream = engine.open(far.url)
            next(stream)
            began = time.monotonic()
            stream.finish()
            assert time.monotonic() - began < 1
            assert far.hung_up.wait(2)

    def test_a_finished_stream_leaves_a_server_that_goes_on(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.drip(b"x" * 10_000, every=0))) as far:
            stream = engine.open(far.url)
            next(stream)
            stream.finish()
            assert far.hung_up.wait(2)

    def test_what_arrived_before_a_cut_is_read_first(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head()
            call.chunk(b"one")
            call.chunk(b"two")
            call.hang_up()

        with FarEnd(script) as far:
            stream = engine.open(far.url)
            time.sleep(0.05)
            got: list[bytes] = []
            with pytest.raises(errors.ConnectionFailed):
                got.extend(stream)
        assert b"".join(got) == b"onetwo"

    def test_a_slow_reader_loses_nothing_when_the_server_hangs_up(self, engine: Engine) -> None:
        pieces = [b"%06d" % i * 1000 for i in range(200)]

        def script(call: Call) -> None:
            call.head()
            for piece in pieces:
                call.chunk(piece)
            call.hang_up()

        with FarEnd(script) as far:
            stream = engine.open(far.url)
            got = [next(stream)]
            time.sleep(0.1)
            with pytest.raises(errors.ConnectionFailed):
                got.extend(stream)
        assert b"".join(got) == b"".join(pieces)

    def test_a_failure_is_raised_again_and_never_looks_like_an_end(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(b"x"), call.hang_up())) as far:
            stream = engine.open(far.url)
            for _ in range(2):
                with pytest.raises(errors.ConnectionFailed):
                    list(stream)

    def test_a_thousand_streams_one_after_another_leave_no_open_files(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.chunk(EVENT), call.hold())) as far:
            for i in range(1000):
                stream = engine.open(far.url)
                next(stream)
                stream.close()
                if i == 100:
                    engine.run(asyncio.sleep(0)) if engine.asynchronous else None
                    mine = _client_sockets(far)
            if engine.asynchronous:
                engine.run(asyncio.sleep(0))
            assert _client_sockets(far) <= max(mine, 2)
        assert far.connections == 1000

    def test_streams_dropped_without_closing_leave_no_open_files(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            for _ in range(30):
                next(engine.open(far.url))
            gc.collect()
            if engine.asynchronous:
                engine.run(asyncio.sleep(0.01))
            assert _client_sockets(far) <= 2
            with FarEnd(answer(b"still")) as other:
                assert engine.send(other.url).content == b"still"


def _client_sockets(far: FarEnd) -> int:
    """Count this process's sockets that are connected to the far end."""
    count = 0
    for name in Path("/proc/self/fd").iterdir():
        try:
            if not str(name.readlink()).startswith("socket:"):
                continue
            duplicate = socket.socket(fileno=os.dup(int(name.name)))
        except OSError:
            continue
        with duplicate:
            try:
                count += duplicate.getpeername()[1] == far.port
            except (OSError, IndexError):
                continue
    return count


class TestEncoding:
    @pytest.mark.parametrize(
        ("encoding", "encode"),
        [
            ("gzip", gzip.compress),
            ("x-gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("deflate", lambda body: zlib.compress(body)[2:-4]),
            ("gzip", lambda body: gzip.compress(body[:10]) + gzip.compress(body[10:])),
            ("identity", lambda body: body),
        ],
        ids=["gzip", "x-gzip", "zlib", "raw-deflate", "members", "identity"],
    )
    @pytest.mark.parametrize("piece", [1, 7, 100_000])
    def test_content_encodings_are_undone_once(self, engine: Engine, encoding: str, encode: Any, piece: int) -> None:
        body = b"twice gzipped? " + gzip.compress(b"inner") + bytes(range(256))
        wire = encode(body)

        def script(call: Call) -> None:
            call.head(200, {"content-encoding": encoding})
            for start in range(0, len(wire), piece):
                call.chunk(wire[start : start + piece])
            call.end()

        with FarEnd(script) as far:
            assert engine.send(far.url).content == body
            assert engine.open(far.url).read() == body

    def test_gzip_is_asked_for(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(far.url)
        assert far.requests[0].headers["accept-encoding"] == "gzip, deflate"

    @pytest.mark.parametrize("wire", [b"not gzip at all", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"x")[:1]])
    def test_a_body_that_does_not_decode_is_a_bad_response(self, engine: Engine, wire: bytes) -> None:
        with (
            FarEnd(answer(wire, headers={"content-encoding": "gzip"})) as far,
            pytest.raises(errors.BadResponse, match="gzip"),
        ):
            engine.send(far.url)

    def test_an_encoding_nobody_asked_for_is_a_bad_response(self, engine: Engine) -> None:
        with (
            FarEnd(answer(b"x", headers={"content-encoding": "br"})) as far,
            pytest.raises(errors.BadResponse, match="'br'"),
        ):
            engine.send(far.url)

    def test_an_empty_body_with_an_encoding_is_empty(self, engine: Engine) -> None:
        with FarEnd(answer(b"", headers={"content-encoding": "gzip"})) as far:
            assert engine.send(far.url).content == b""


class TestSizeLimit:
    def test_a_body_up_to_the_limit_is_read(self, engine: Engine) -> None:
        engine.use(max_bytes=1000)
        with FarEnd(answer(b"x" * 1000)) as far:
            assert len(engine.send(far.url).content) == 1000

    @pytest.mark.parametrize("compressed", [False, True])
    def test_a_body_over_the_limit_is_a_bad_response(self, engine: Engine, compressed: bool) -> None:
        engine.use(max_bytes=1000)
        body = gzip.compress(b"x" * 10_000_000) if compressed else b"x" * 1001
        with FarEnd(answer(body, headers={"content-encoding": "gzip"} if compressed else {})) as far:
            with pytest.raises(errors.BadResponse, match="limit of 1000 bytes"):
                engine.send(far.url)
            with pytest.raises(errors.BadResponse, match="limit of 1000 bytes"):
                list(engine.open(far.url))

    def test_an_endless_answer_ends_at_the_limit(self, engine: Engine) -> None:
        engine.use(max_bytes=100_000)
        with FarEnd(lambda call: (call.head(), call.drip(b"x" * 10_000, every=0))) as far:
            with pytest.raises(errors.BadResponse):
                engine.send(far.url)
            assert far.hung_up.wait(2)
