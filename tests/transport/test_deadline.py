"""The time limits, on both engines."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from genkit import errors
from genkit.types import Timeouts
from tests.farend import Call, FarEnd

from .conftest import Engine, Stream

EVENT = b"data: {}\n\n"


def _read_events(stream: Stream, within: float | None = None) -> None:
    for _ in stream:
        stream.event(within)


class TestTimeouts:
    def test_no_answer_in_time_is_a_timeout_of_phase_first(self, engine: Engine) -> None:
        with FarEnd(lambda call: call.hold()) as far:
            began = time.monotonic()
            with pytest.raises(errors.Timeout, match="first") as caught:
                engine.send(far.url, Timeouts(first=0.1))
            assert time.monotonic() - began < 1
            assert far.hung_up.wait(2)
        assert (caught.value.phase, caught.value.sent) == ("first", True)

    def test_a_first_event_that_does_not_come_is_a_timeout_of_phase_first(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.drip(b": keep-alive\n\n"))) as far:
            stream = engine.open(far.url, Timeouts(first=0.15, idle=0.05))
            began = time.monotonic()
            with pytest.raises(errors.Timeout) as caught:
                list(stream)
            assert time.monotonic() - began < 1
            assert far.hung_up.wait(2)
        assert caught.value.phase == "first"

    def test_the_rest_after_an_event_may_be_given_less_time(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head()
            call.chunk(EVENT)
            call.hold()

        with FarEnd(script) as far:
            stream = engine.open(far.url, Timeouts(idle=30))
            began = time.monotonic()
            with pytest.raises(errors.Timeout):
                _read_events(stream, within=0.05)
            assert time.monotonic() - began < 1

    def test_bytes_that_are_no_events_do_not_extend_the_idle_limit(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.drip(b": comment\n\n"))) as far:
            stream = engine.open(far.url, Timeouts(first=5, idle=0.15))
            next(stream)
            stream.event()
            began = time.monotonic()
            with pytest.raises(errors.Timeout) as caught:
                list(stream)
            assert 0.1 < time.monotonic() - began < 1
        assert caught.value.phase == "idle"

    def test_a_flood_of_bytes_that_are_no_events_does_not_extend_the_idle_limit(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.drip(b": comment\n\n" * 500, every=0))) as far:
            stream = engine.open(far.url, Timeouts(first=5, idle=0.15))
            next(stream)
            stream.event()
            with pytest.raises(errors.Timeout):
                list(stream)

    def test_each_event_restarts_the_idle_clock(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head()
            for _ in range(8):
                call.chunk(EVENT)
                call.sleep(0.05)
            call.end()

        with FarEnd(script) as far:
            stream = engine.open(far.url, Timeouts(first=5, idle=0.2))
            for _ in stream:
                stream.event()

    def test_a_silent_server_is_a_timeout_of_phase_idle(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            stream = engine.open(far.url, Timeouts(idle=0.1))
            next(stream)
            stream.event()
            with pytest.raises(errors.Timeout) as caught:
                next(stream)
        assert (caught.value.phase, caught.value.sent) == ("idle", True)

    def test_time_that_the_reader_spends_elsewhere_is_not_idle(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head()
            call.chunk(EVENT)
            call.sleep(0.25)
            call.chunk(EVENT)
            call.end()

        with FarEnd(script) as far:
            stream = engine.open(far.url, Timeouts(idle=0.15))
            next(stream)
            stream.event()
            if engine.asynchronous:
                engine.run(asyncio.sleep(0.2))
            else:
                time.sleep(0.2)
            assert list(stream) == [EVENT]

    def test_the_total_limit_ends_a_stream_full_of_events(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.head(), call.drip(EVENT))) as far:
            stream = engine.open(far.url, Timeouts(total=0.2))
            with pytest.raises(errors.Timeout) as caught:
                _read_events(stream)
        assert caught.value.phase == "total"

    def test_chunks_that_have_arrived_already_do_not_extend_a_limit(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2_000)
            call.end()

        with FarEnd(script) as far:
            stream = engine.open(far.url, Timeouts(total=0.2))
            time.sleep(0.3)
            with pytest.raises(errors.Timeout) as caught:
                list(stream)
        assert caught.value.phase == "total"

    def test_the_total_limit_ends_a_call_that_waits(self, engine: Engine) -> None:
        with FarEnd(lambda call: call.hold()) as far, pytest.raises(errors.Timeout) as caught:
            engine.send(far.url, Timeouts(total=0.1))
        assert caught.value.phase == "total"

    @pytest.mark.parametrize("where", ["head", "body"])
    def test_a_server_that_drips_bytes_does_not_extend_the_limit_of_a_call(self, engine: Engine, where: str) -> None:
        def script(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n" + (b"" if where == "head" else b"\r\n"))
            for _ in range(100):
                call.send(b"x: y\r\n" if where == "head" else b"z")
                call.sleep(0.02)

        with FarEnd(script) as far:
            began = time.monotonic()
            with pytest.raises(errors.Timeout) as caught:
                engine.send(far.url, Timeouts(first=0.2))
            assert time.monotonic() - began < 1
        assert caught.value.phase == "first"

    def test_a_connection_that_does_not_come_about_is_a_timeout_of_phase_connect(self, engine: Engine) -> None:
        # A listener whose backlog is full leaves further connections hanging.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            time.sleep(0.05)
            with pytest.raises(errors.Timeout) as caught:
                engine.send(f"http://127.0.0.1:{address[1]}", Timeouts(connect=0.15))
            for filler in fillers:
                filler.close()
        assert (caught.value.phase, caught.value.sent) == ("connect", False)

    def test_a_tls_handshake_that_does_not_come_about_is_a_timeout_of_phase_connect(self, engine: Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(errors.Timeout) as caught:
            engine.send(f"https://127.0.0.1:{silent.getsockname()[1]}", Timeouts(connect=0.15))
        assert (caught.value.phase, caught.value.sent) == ("connect", False)
        assert "connected, but no TLS within 0.15 s" in str(caught.value)

    def test_a_tunnel_that_does_not_come_about_is_not_taken_for_a_handshake(self, engine: Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            engine.use(proxy=f"http://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(errors.Timeout, match=r"no connection within 0\.15 s"):
                engine.send("https://127.0.0.1:1", Timeouts(connect=0.15))

    def test_a_server_that_does_not_read_a_large_body_is_a_timeout(self, engine: Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(errors.Timeout) as caught:
            engine.send(f"http://127.0.0.1:{deaf.getsockname()[1]}", Timeouts(first=0.2), content=b"x" * 20_000_000)
        assert (caught.value.phase, caught.value.sent) == ("first", True)

    def test_limits_belong_to_the_call_and_not_to_its_connection(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.sleep(0.2 if len(far.requests) > 1 else 0)
            call.answer()

        with FarEnd(script) as far:
            engine.send(far.url, Timeouts(first=0.1))
            engine.send(far.url, Timeouts(first=None, idle=None, connect=None))
        assert far.connections == 1

    def test_without_limits_a_slow_answer_is_awaited(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.sleep(0.1), call.answer())) as far:
            assert engine.send(far.url, Timeouts(connect=None, first=None, idle=None)).status == 200
