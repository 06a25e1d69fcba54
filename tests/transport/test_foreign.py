"""Clients of httpx and httpx2 that the user hands over."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest

from genkit import errors
from genkit.transport import HttpRequest, Transport
from genkit.types import Timeouts
from tests.farend import Call, FarEnd, answer

from .conftest import Engine

EVENT = b"data: {}\n\n"


@pytest.fixture(params=["sync", "async"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = Engine(asynchronous=request.param == "async")
    yield made
    made.end()


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def foreign(engine: Engine, library: Any) -> Iterator[Engine]:
    client = library.AsyncClient(trust_env=False) if engine.asynchronous else library.Client(trust_env=False)
    engine.use(http_client=client)
    yield engine
    engine.run(client.aclose()) if engine.asynchronous else client.close()


def test_an_answer_has_status_headers_and_content(foreign: Engine) -> None:
    with FarEnd(answer(b"hello", status=404, headers={"X-One": "1", "content-type": "a/b"})) as far:
        got = foreign.send(f"{far.url}/x", content=b"body", headers={"x-key": "v"})
    assert (got.status, got.content, got.headers["x-one"]) == (404, b"hello", "1")
    assert (far.requests[0].body, far.requests[0].headers["x-key"]) == (b"body", "v")


@pytest.mark.parametrize("path", ["/model/a%3A0/converse", "/a%2Fb?q=%2B+", "/x'(){}"])
def test_the_path_is_sent_byte_for_byte(foreign: Engine, path: str) -> None:
    with FarEnd(answer()) as far:
        foreign.send(far.url + path)
    assert far.requests[0].target == path


def test_connections_are_reused(foreign: Engine) -> None:
    with FarEnd(answer()) as far:
        for _ in range(3):
            foreign.send(far.url)
            foreign.open(far.url).read()
    assert far.connections == 1


def test_gzip_is_undone_once(foreign: Engine) -> None:
    body = gzip.compress(b"inner")
    with FarEnd(answer(gzip.compress(body), headers={"content-encoding": "gzip"})) as far:
        assert foreign.send(far.url).content == body


def test_a_stream_comes_as_it_arrives(foreign: Engine) -> None:
    go = threading.Event()

    def script(call: Call) -> None:
        call.head()
        call.chunk(b"one")
        go.wait(5)
        call.chunk(b"two")
        call.end()

    with FarEnd(script) as far:
        stream = foreign.open(far.url)
        assert next(stream) == b"one"
        go.set()
        assert list(stream) == [b"two"]


def test_a_redirect_is_refused_even_where_the_client_would_follow(engine: Engine, library: Any) -> None:
    kind = library.AsyncClient if engine.asynchronous else library.Client
    client = kind(follow_redirects=True, trust_env=False)
    engine.use(http_client=client)
    with (
        FarEnd(answer(b"", status=307, headers={"location": "http://other.example/"})) as far,
        pytest.raises(errors.BadResponse, match=r"other\.example"),
    ):
        engine.send(far.url)
    engine.run(client.aclose()) if engine.asynchronous else client.close()


def test_event_hooks_of_the_client_run_and_may_read_the_body(engine: Engine, library: Any) -> None:
    seen: list[object] = []

    def request_hook(request: Any) -> None:
        request.headers["x-hook"] = "1"

    def response_hook(response: Any) -> None:
        seen.append(response.read())

    async def arequest_hook(request: Any) -> None:
        request_hook(request)

    async def aresponse_hook(response: Any) -> None:
        seen.append(await response.aread())

    if engine.asynchronous:
        client = library.AsyncClient(event_hooks={"request": [arequest_hook], "response": [aresponse_hook]})
    else:
        client = library.Client(event_hooks={"request": [request_hook], "response": [response_hook]})
    engine.use(http_client=client)
    with FarEnd(answer(b"body")) as far:
        assert engine.send(far.url).content == b"body"
    assert seen == [b"body"]
    assert far.requests[0].headers["x-hook"] == "1"
    engine.run(client.aclose()) if engine.asynchronous else client.close()


def test_an_exception_of_a_hook_reaches_the_caller_as_it_is(library: Any) -> None:
    def hook(request: Any) -> None:
        raise KeyError("mine")

    with library.Client(event_hooks={"request": [hook]}) as client, pytest.raises(KeyError, match="mine"):
        Transport(http_client=client).send(HttpRequest("http://127.0.0.1:1", {}), Timeouts())


def test_a_client_is_left_open(library: Any) -> None:
    with FarEnd(answer(b"ok")) as far, library.Client() as client:
        transport = Transport(http_client=client)
        transport.send(HttpRequest(far.url, {}), Timeouts())
        transport.close()
        assert client.get(far.url).content == b"ok"


def test_a_client_of_the_wrong_kind_is_a_config_error(library: Any) -> None:
    with library.Client() as client, pytest.raises(errors.ConfigError, match="pass an AsyncClient"):
        asyncio.run(Transport(http_client=client).asend(HttpRequest("http://127.0.0.1:1", {}), Timeouts()))
    client = library.AsyncClient()
    with pytest.raises(errors.ConfigError, match="pass a Client"):
        Transport(http_client=client).send(HttpRequest("http://127.0.0.1:1", {}), Timeouts())
    asyncio.run(client.aclose())


def test_what_is_no_client_is_a_config_error() -> None:
    with pytest.raises(errors.ConfigError, match=r"builtins\.dict"):
        Transport(http_client={})


def test_a_subclass_of_a_client_is_accepted() -> None:
    class Mine(httpx.Client):
        pass

    with FarEnd(answer(b"ok")) as far, Mine() as client:
        assert Transport(http_client=client).send(HttpRequest(far.url, {}), Timeouts()).content == b"ok"


def test_a_closed_client_is_a_config_error(library: Any) -> None:
    client = library.Client()
    client.close()
    with pytest.raises(errors.ConfigError, match="closed"):
        Transport(http_client=client).send(HttpRequest("http://127.0.0.1:1", {}), Timeouts())


def test_a_refused_connection_is_connection_failed_and_nothing_was_sent(foreign: Engine) -> None:
    with pytest.raises(errors.ConnectionFailed) as caught:
        foreign.send("http://127.0.0.1:1")
    assert not caught.value.sent


def test_a_wrong_certificate_is_connection_failed(foreign: Engine, server_tls: Any) -> None:
    with FarEnd(answer(), tls=server_tls) as far, pytest.raises(errors.ConnectionFailed, match="TLS") as caught:
        foreign.send(far.url)
    assert not caught.value.sent
    assert not caught.value.retryable


def test_an_answer_that_says_twice_where_it_ends_is_a_bad_response(foreign: Engine) -> None:
    def script(call: Call) -> None:
        call.head(200, {"content-length": "2"})
        call.chunk(b"{}")
        call.end()

    with FarEnd(script) as far, pytest.raises(errors.BadResponse, match="content-length and a transfer-encoding"):
        foreign.send(far.url)


def test_a_connection_closed_without_an_answer_is_connection_failed(foreign: Engine) -> None:
    with FarEnd(lambda call: call.hang_up()) as far, pytest.raises(errors.ConnectionFailed) as caught:
        foreign.send(far.url)
    assert caught.value.sent


def test_a_body_cut_short_is_connection_failed(foreign: Engine) -> None:
    with (
        FarEnd(lambda call: (call.head(), call.chunk(b"x"), call.hang_up())) as far,
        pytest.raises(errors.ConnectionFailed, match="broke off"),
    ):
        foreign.send(far.url)


def test_what_is_not_http_is_a_bad_response(foreign: Engine) -> None:
    with (
        FarEnd(lambda call: (call.send(b"garbage\r\n\r\n"), call.hold())) as far,
        pytest.raises(errors.BadResponse),
    ):
        foreign.send(far.url)


def test_a_body_that_does_not_decode_is_a_bad_response(foreign: Engine) -> None:
    with FarEnd(answer(b"no gzip", headers={"content-encoding": "gzip"})) as far, pytest.raises(errors.BadResponse):
        foreign.send(far.url)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_body_cut_inside_its_encoding_or_in_one_not_asked_for_is_a_bad_response(
    foreign: Engine, encoding: str
) -> None:
    body = gzip.compress(b'{"a": "%s"}' % (b"xyz" * 4000))[:-10]
    with (
        FarEnd(answer(body, headers={"content-encoding": encoding})) as far,
        pytest.raises(errors.BadResponse, match=r"encoding|too early"),
    ):
        foreign.send(far.url)
    assert far.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_a_decoded_body_is_bounded(foreign: Engine, library: Any) -> None:
    kind = library.AsyncClient if foreign.asynchronous else library.Client
    client = kind(trust_env=False)
    foreign.use(http_client=client, max_bytes=1000)
    body = gzip.compress(b"0" * 100_000)
    with (
        FarEnd(answer(body, headers={"content-encoding": "gzip"})) as far,
        pytest.raises(errors.BadResponse, match="limit"),
    ):
        foreign.send(far.url)
    foreign.run(client.aclose()) if foreign.asynchronous else client.close()


def test_a_client_without_a_network_may_answer_with_an_encoded_body(library: Any) -> None:
    def respond(_: Any) -> Any:
        return library.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(b"ok"))

    with library.Client(transport=library.MockTransport(respond)) as client:
        got = Transport(http_client=client).send(HttpRequest("http://h.invalid", {}), Timeouts())
    assert got.content == b"ok"


def test_a_body_over_the_limit_is_a_bad_response(library: Any) -> None:
    with (
        FarEnd(answer(b"x" * 1001)) as far,
        library.Client() as client,
        pytest.raises(errors.BadResponse, match="limit"),
    ):
        Transport(http_client=client, max_bytes=1000).send(HttpRequest(far.url, {}), Timeouts())


def test_no_answer_in_time_is_a_timeout_of_phase_first(foreign: Engine) -> None:
    with FarEnd(lambda call: call.hold()) as far, pytest.raises(errors.Timeout) as caught:
        foreign.send(far.url, Timeouts(first=0.1))
    assert (caught.value.phase, caught.value.sent) == ("first", True)


def test_bytes_that_are_no_events_do_not_extend_the_limits(foreign: Engine) -> None:
    with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.drip(b": comment\n\n"))) as far:
        stream = foreign.open(far.url, Timeouts(first=5, idle=0.15))
        next(stream)
        stream.event()
        with pytest.raises(errors.Timeout) as caught:
            list(stream)
    assert caught.value.phase == "idle"


def test_a_silent_server_is_a_timeout(foreign: Engine) -> None:
    with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
        stream = foreign.open(far.url, Timeouts(first=0.2, idle=0.1))
        next(stream)
        stream.event()
        with pytest.raises(errors.Timeout) as caught:
            list(stream)
    assert caught.value.phase == "idle"


def test_the_total_limit_ends_a_stream(foreign: Engine) -> None:
    with FarEnd(lambda call: (call.head(), call.drip(EVENT))) as far:
        stream = foreign.open(far.url, Timeouts(total=0.2))
        with pytest.raises(errors.Timeout) as caught:
            list(stream)
    assert caught.value.phase == "total"


def test_a_stream_closed_early_closes_its_connection(foreign: Engine) -> None:
    with FarEnd(lambda call: (call.head(), call.drip(EVENT))) as far:
        stream = foreign.open(far.url)
        next(stream)
        stream.close()
        assert far.hung_up.wait(2)


def test_another_thread_ends_a_read_at_once(library: Any) -> None:
    with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far, library.Client() as client:
        stream = Transport(http_client=client).open(HttpRequest(far.url, {}), Timeouts())
        next(stream)
        closer = threading.Timer(0.05, stream.close)
        closer.start()
        began = time.monotonic()
        with pytest.raises(errors.StreamClosed):
            next(stream)
        assert time.monotonic() - began < 1
        closer.join()


def test_another_task_ends_a_read_at_once(library: Any) -> None:
    async def main(url: str) -> None:
        async with library.AsyncClient() as client:
            stream = await Transport(http_client=client).aopen(HttpRequest(url, {}), Timeouts())
            await anext(stream)

            async def read() -> bool:
                with pytest.raises(errors.StreamClosed):
                    await anext(stream)
                task = asyncio.current_task()
                return task is not None and not task.cancelling()

            reader = asyncio.create_task(read())
            await asyncio.sleep(0.05)
            await stream.aclose()
            assert await asyncio.wait_for(reader, 1)

    with FarEnd(lambda call: (call.head(), call.chunk(EVENT), call.hold())) as far:
        asyncio.run(main(far.url))
        assert far.hung_up.wait(2)
