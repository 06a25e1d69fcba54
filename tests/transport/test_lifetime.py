"""Closing from elsewhere, loops, threads, processes and the end of the interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trustme

from genkit import errors
from genkit.transport import Abort, HttpRequest, Transport, aio
from genkit.transport.timer import Timer
from genkit.types import Timeouts
from tests.farend import Call, FarEnd, answer

from .conftest import FAST, Engine

EVENT = b"data: {}\n\n"


def stream_of(*chunks: bytes) -> Any:
    def script(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        for chunk in chunks:
            call.chunk(chunk)
        call.end()

    return script


@contextlib.contextmanager
def _silent(*, accepting: bool) -> Iterator[int]:
    """Give the port of a listener whose connections get no byte, or do not even come about."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(50 if accepting else 0)
        for _ in range(0 if accepting else 4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


class TestClosingFromElsewhere:
    def test_another_thread_ends_a_read_at_once(self) -> None:
        transport = Transport()
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            stream = transport.open(HttpRequest(far.url, {}), FAST)
            next(stream)
            closer = threading.Timer(0.05, stream.close)
            closer.start()
            began = time.monotonic()
            with pytest.raises(errors.StreamClosed):
                next(stream)
            assert time.monotonic() - began < 1
            assert far.hung_up.wait(2)
            closer.join()
        transport.close()

    def test_another_thread_ends_a_read_under_tls_at_once(self, server_tls: Any, client_tls: Any) -> None:
        transport = Transport(ca=client_tls)
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold()), tls=server_tls) as far:
            stream = transport.open(HttpRequest(far.url, {}), FAST)
            next(stream)
            closer = threading.Timer(0.05, stream.close)
            closer.start()
            with pytest.raises(errors.StreamClosed):
                next(stream)
            closer.join()
        transport.close()

    def test_a_read_ended_by_another_thread_is_no_end_of_an_unbounded_body(self) -> None:
        transport = Transport()
        with FarEnd(lambda call: (call.send(b"HTTP/1.1 200 OK\r\n\r\nhalf"), call.hold())) as far:
            stream = transport.open(HttpRequest(far.url, {}), FAST)
            assert next(stream) == b"half"
            closer = threading.Timer(0.05, stream.close)
            closer.start()
            with pytest.raises(errors.StreamClosed):
                next(stream)
            closer.join()
        transport.close()

    def test_closing_races_with_reading_without_harm_to_other_requests(self) -> None:
        transport = Transport()

        def script(call: Call) -> None:
            if call.request.target == "/plain":
                call.answer(b"plain")
            else:
                call.head()
                for _ in range(20):
                    call.chunk(EVENT)
                call.end()

        with FarEnd(script) as far:
            for i in range(200):
                stream = transport.open(HttpRequest(far.url, {}), FAST)
                closer = threading.Thread(target=lambda s=stream, i=i: (time.sleep(i % 10 * 1e-4), s.close()))
                closer.start()
                with contextlib.suppress(errors.StreamClosed):
                    list(stream)
                assert transport.send(HttpRequest(f"{far.url}/plain", {}), FAST).content == b"plain"
                closer.join()
        transport.close()

    def test_closing_the_transport_ends_the_reads_of_its_threads(self) -> None:
        transport = Transport()
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            stream = transport.open(HttpRequest(far.url, {}), FAST)
            next(stream)
            closer = threading.Timer(0.05, transport.close)
            closer.start()
            with pytest.raises(errors.StreamClosed):
                next(stream)
            closer.join()

    @pytest.mark.parametrize("how", ["abort", "transport"])
    @pytest.mark.parametrize("phase", ["connect", "handshake", "head"])
    def test_another_thread_ends_a_call_at_once_whatever_it_waits_for(self, phase: str, how: str) -> None:
        transport, abort = Transport(), Abort()
        with _silent(accepting=phase != "connect") as port:
            url = f"{'https' if phase == 'handshake' else 'http'}://127.0.0.1:{port}"
            closer = threading.Timer(0.1, abort.close if how == "abort" else transport.close)
            closer.start()
            began = time.monotonic()
            with pytest.raises(errors.StreamClosed):
                transport.open(HttpRequest(url, {}), Timeouts(connect=3, first=3), abort=abort)
            assert time.monotonic() - began < 1
            closer.join()
        transport.close()

    def test_closing_a_transport_under_load_gives_answers_or_stream_closed_and_nothing_else(self) -> None:
        transport, stop = Transport(), threading.Event()
        strange: list[BaseException] = []
        ends: list[str] = []

        def work() -> None:
            while not stop.is_set():
                try:
                    transport.send(HttpRequest(far.url, {}), FAST)
                    ends.append("answer")
                except errors.StreamClosed:
                    ends.append("closed")
                except Exception as error:  # noqa: BLE001  # whatever it is, it is shown below
                    strange.append(error)

        with FarEnd(stream_of(*[EVENT] * 10)) as far:
            threads = [threading.Thread(target=work) for _ in range(6)]
            for thread in threads:
                thread.start()
            for _ in range(100):
                time.sleep(0.003)
                transport.close()
            stop.set()
            for thread in threads:
                thread.join()
        transport.close()
        assert strange == []
        assert {"answer", "closed"} == set(ends)

    @pytest.mark.parametrize("how", ["close", "aclose", "transport"])
    def test_another_task_ends_a_read_at_once(self, how: str) -> None:
        async def main(url: str) -> None:
            transport = Transport()
            stream = await transport.aopen(HttpRequest(url, {}), FAST)
            await anext(stream)
            reader = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
            await asyncio.sleep(0.02)
            if how == "close":
                stream.close()
            elif how == "aclose":
                await stream.aclose()
            else:
                await transport.aclose()
            with pytest.raises(errors.StreamClosed):
                await asyncio.wait_for(reader, 1)
            await transport.aclose()

        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            asyncio.run(main(far.url))
            assert far.hung_up.wait(2)

    def test_a_cancelled_read_closes_its_connection(self) -> None:
        async def main(url: str) -> None:
            transport = Transport()
            stream = await transport.aopen(HttpRequest(url, {}), FAST)
            await anext(stream)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            with pytest.raises(errors.StreamClosed):
                await anext(stream)

        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            asyncio.run(main(far.url))
            assert far.hung_up.wait(2)

    @pytest.mark.parametrize("script", [lambda call: call.hold(), lambda call: (call.head(length=9), call.hold())])
    def test_a_cancelled_call_closes_its_connection_and_stays_cancelled(self, script: Any) -> None:
        async def main(url: str) -> None:
            transport = Transport()
            call = asyncio.create_task(transport.asend(HttpRequest(url, {}), FAST))
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert far.hung_up.wait(2)

        with FarEnd(script) as far:
            asyncio.run(main(far.url))

    def test_a_time_limit_of_the_caller_stays_the_callers(self) -> None:
        async def main(url: str) -> None:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await Transport().asend(HttpRequest(url, {}), FAST)
            assert not isinstance(caught.value, errors.GenkitError)

        with FarEnd(lambda call: call.hold()) as far:
            asyncio.run(main(far.url))

    @pytest.mark.parametrize("script", [lambda call: call.hold(), lambda call: (call.head(length=9), call.hold())])
    def test_a_task_goes_on_uncancelled_after_a_time_limit_of_the_call(self, script: Any) -> None:
        async def main(url: str) -> None:
            async with asyncio.timeout(5):
                with pytest.raises(errors.Timeout):
                    await Transport().asend(HttpRequest(url, {}), Timeouts(first=0.05))
                task = asyncio.current_task()
                assert task is not None
                assert task.cancelling() == 0
                await asyncio.sleep(0)

        with FarEnd(script) as far:
            asyncio.run(main(far.url))

    def test_a_cancellation_in_the_moment_of_the_time_limit_stays_one(self) -> None:
        async def main(url: str) -> None:
            call = asyncio.create_task(Transport().asend(HttpRequest(url, {}), Timeouts(first=0.05)))
            ring = Timer._ring

            def ring_and_cancel(timer: Timer) -> None:
                ring(timer)
                call.cancel()

            with patch.object(Timer, "_ring", ring_and_cancel), pytest.raises(asyncio.CancelledError):
                await call
            assert call.cancelling() == 1

        with FarEnd(lambda call: call.hold()) as far:
            asyncio.run(main(far.url))

    def test_a_time_limit_that_aiohttp_answers_with_an_error_of_its_own_is_a_timeout(self) -> None:
        async def main(url: str) -> None:
            transport = Transport()
            with patch.object(aio._Connector, "_create_connection", slow_connection), pytest.raises(errors.Timeout):
                await transport.asend(HttpRequest(url, {}), Timeouts(connect=0.05))
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

        async def slow_connection(*_: Any) -> Any:
            exchange = aio._current()
            assert exchange is not None
            exchange.connecting()
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                raise OSError("gone") from None

        with FarEnd(lambda call: call.hold()) as far:
            asyncio.run(main(far.url))


class TestLoopsThreadsAndProcesses:
    def test_synchronous_calls_work_inside_a_running_loop(self) -> None:
        transport = Transport()

        async def main() -> bytes:
            return transport.send(HttpRequest(far.url, {}), FAST).content

        with FarEnd(answer(b"ok")) as far:
            assert asyncio.run(main()) == b"ok"
        transport.close()

    def test_a_transport_serves_several_loops_one_after_another_and_forgets_them(self) -> None:
        transport = Transport()

        async def main() -> None:
            for _ in range(2):
                await transport.asend(HttpRequest(far.url, {}), FAST)

        with FarEnd(answer()) as far:
            for _ in range(3):
                asyncio.run(main())
                assert not transport._async._pools
        assert far.connections == 3

    def test_a_loop_closed_without_notice_is_forgotten(self) -> None:
        transport = Transport()
        request = HttpRequest("http://127.0.0.1:1", {})

        async def main() -> None:
            with pytest.raises(errors.ConnectionFailed):
                await transport.asend(request, FAST)

        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            loop.close()
            assert len(transport._async._pools) == 1

    def test_loops_in_several_threads_share_a_transport(self) -> None:
        transport = Transport()
        got: list[bytes] = []

        async def main() -> None:
            answers = [transport.asend(HttpRequest(far.url, {}), FAST) for _ in range(10)]
            got.extend([answer.content for answer in await asyncio.gather(*answers)])

        with FarEnd(answer(b"ok")) as far:
            threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert got == [b"ok"] * 40

    def test_first_calls_at_once_in_one_loop_share_one_session(self) -> None:
        transport = Transport()

        async def main() -> None:
            await asyncio.gather(*[transport.asend(HttpRequest(far.url, {}), FAST) for _ in range(20)])
            assert len(transport._async._pools) == 1

        with FarEnd(answer()) as far, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(main())
            gc.collect()
        assert [str(warning.message) for warning in caught] == []

    def test_threads_share_a_transport(self) -> None:
        transport = Transport()
        got: list[bytes] = []

        def work() -> None:
            got.extend(transport.send(HttpRequest(far.url, {}, b"%d" % i), FAST).content for i in range(20))

        with FarEnd(lambda call: call.answer(call.request.body)) as far:
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(got) == sorted([b"%d" % i for i in range(20)] * 8)
        assert far.connections <= 8
        transport.close()

    def test_a_closed_transport_may_be_used_again(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(far.url)
            engine.run(engine.transport.aclose()) if engine.asynchronous else engine.transport.close()
            engine.send(far.url)
        assert far.connections == 2

    def test_a_transport_that_is_dropped_closes_its_connections(self) -> None:
        with FarEnd(lambda call: (call.answer(), call.hold())) as far:
            Transport().send(HttpRequest(far.url, {}), FAST)
            gc.collect()
            assert far.hung_up.wait(2)

    def test_a_new_transport_loads_no_http_library(self) -> None:
        code = """
            import sys
            from genkit.transport import Transport
            Transport(proxy="http://127.0.0.1:1", ca="/nowhere.pem")
            assert not {"httpcore2", "aiohttp", "httpx", "httpx2"} & set(sys.modules)
        """
        _run(code)


def _run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


PRELUDE = """
    import asyncio, atexit, os, sys
    from genkit.transport import HttpRequest, Transport
    from genkit.types import Timeouts
    transport, limits, request = Transport(), Timeouts(), HttpRequest(sys.argv[1], {})

    def ask():
        return transport.asend(request, limits)
"""


class TestExit:
    @pytest.mark.parametrize(
        "code",
        [
            "transport.send(request, limits)",
            "stream = transport.open(request, limits)",
            "stream = transport.open(request, limits); next(stream)",
            "asyncio.run(ask())",
            "stream = asyncio.run(transport.aopen(request, limits))",
            # Exit functions run in reverse order: the transport's before this one.
            "loop = asyncio.new_event_loop(); atexit.register(loop.close); loop.run_until_complete(ask())",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(ask()); loop.close()",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(ask()); loop.close(); asyncio.run(ask())",
        ],
    )
    def test_a_transport_never_closed_leaves_no_warning_at_exit(self, code: str) -> None:
        with FarEnd(stream_of(EVENT, EVENT)) as far:
            _run(f"{PRELUDE}\n    {code}", far.url)

    def test_a_loop_closed_without_notice_leaves_no_warning_under_tls(
        self, authority: trustme.CA, server_tls: ssl.SSLContext, tmp_path: Path
    ) -> None:
        code = """
            transport = Transport(ca=sys.argv[2])
            loop = asyncio.new_event_loop()
            loop.run_until_complete(ask())
            loop.close()
        """
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        with FarEnd(answer(), tls=server_tls) as far:
            url = f"https://localhost:{far.port}/"
            _run(textwrap.dedent(PRELUDE) + textwrap.dedent(code), url, str(tmp_path / "ca.pem"))

    def test_a_stream_left_open_in_a_loop_leaves_no_warning_at_exit(self) -> None:
        code = """
            async def main():
                stream = await transport.aopen(request, limits)
                await anext(stream)
                keep.append(stream)
            keep = []
            asyncio.run(main())
        """
        with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
            _run(textwrap.dedent(PRELUDE) + textwrap.dedent(code), far.url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class TestFork:
    CODE = """
        transport.send(request, limits)
        asyncio.run(transport.asend(request, limits))
        child = os.fork()
        transport.send(request, limits)
        asyncio.run(transport.asend(request, limits))
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """

    def test_a_forked_child_opens_connections_of_its_own(self) -> None:
        with FarEnd(lambda call: call.answer(call.request.target.encode())) as far:
            _run(textwrap.dedent(PRELUDE) + textwrap.dedent(self.CODE), far.url)
        # Kept by the parent: one synchronous connection; each asyncio.run has one; the child has two.
        assert far.connections == 5
        assert len(far.requests) == 6

    def test_a_child_forked_inside_a_loop_leaves_the_parents_loop_alone(self) -> None:
        code = """
            async def main():
                await transport.asend(request, limits)
                stream = await transport.aopen(request, limits)
                child = os.fork()
                if not child:
                    transport.send(request, limits)
                    import threading
                    thread = threading.Thread(target=lambda: asyncio.run(transport.asend(request, limits)))
                    thread.start(); thread.join()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
                assert await stream.read() == b"data: {}\\n\\n" * 2
                await transport.asend(request, limits)
            asyncio.run(main())
        """
        with FarEnd(stream_of(EVENT, EVENT)) as far:
            _run(textwrap.dedent(PRELUDE) + textwrap.dedent(code), far.url)

    def test_a_stream_of_the_parent_is_closed_in_the_child_alone(self) -> None:
        code = """
            from genkit import errors
            stream = transport.open(request, limits)
            next(stream)
            child = os.fork()
            if not child:
                try:
                    next(stream)
                except errors.StreamClosed:
                    os._exit(0)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
            assert stream.read() == b"data: {}\\n\\n"
        """

        def script(call: Call) -> None:
            call.head()
            call.chunk(EVENT)
            call.sleep(0.2)
            call.chunk(EVENT)
            call.end()

        with FarEnd(script) as far:
            _run(textwrap.dedent(PRELUDE) + textwrap.dedent(code), far.url)
