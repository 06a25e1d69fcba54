"""What every backend behind HTTP does alike: sending, reading streams, and what an end means."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from genkit.backends.wire import Exchange, WireBackend, WireRequest, body_bytes, parse_object
from genkit.errors import (
    AuthenticationFailed,
    BadResponse,
    ConnectionFailed,
    GenkitError,
    InvalidRequest,
    ServerError,
    StreamClosed,
    StreamInterrupted,
    Timeout,
    from_status,
)
from genkit.events import Blocks
from genkit.policies import Control, Policy
from genkit.transport import HttpRequest, Transport
from genkit.transport.sse import SSEParser
from genkit.types import Done, Event, Features, Message, Request, Response, Settings, TextDelta, Timeouts, Usage
from tests.farend import Call, FarEnd, answer

REQUEST = Request(model="m", messages=(Message.user("hi"),))
SSE = {"content-type": "text/event-stream"}


class Toy(WireBackend):
    """Speaks a wire of its own: `{"text": ...}` pieces, then `{"end": true}`."""

    name = "toy"

    def __init__(self, url: str) -> None:
        self.url = url
        self.transport = Transport(trust_env=False)

    def features(self, model: str) -> Features:
        return Features()

    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        body = {"prompt": request.messages[0].text, "stream": stream}
        return WireRequest("/ask", body, request.model, "toy", "toy/toy", timeouts=request.settings.timeout)

    def decode(self, wire: WireRequest, data: dict[str, Any], exchange: Exchange) -> Response[Any]:
        if "error" in data:
            raise ServerError(data["error"], sent=True)
        return Response(
            message=Message.assistant(data["text"]),
            finish="stop",
            usage=Usage(input=1, output=1),
            timing=exchange.timing,
            request_id=exchange.headers.get("x-request-id"),
        )

    def decoder(self, wire: WireRequest) -> ToyDecoder:
        return ToyDecoder()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        return from_status(status, body.decode(), backend=self.name)

    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return HttpRequest(url=self.url + wire.path, headers={"authorization": "Bearer key"}, content=content)

    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        return self.url + wire.path, {"authorization": "Bearer <KEY>"}


class ToyDecoder:
    def __init__(self) -> None:
        self.finished = False
        self.blocks = Blocks()

    @property
    def complete(self) -> bool:
        return self.finished

    def feed(self, frame: Any) -> Sequence[Event]:
        data = json.loads(frame.data)
        if "error" in data:
            raise ServerError(data["error"], sent=True)
        if data.get("end"):
            self.finished = True
            return []
        return self.blocks.grow("text", data["text"])

    def end(self) -> Sequence[Event]:
        return self.blocks.end()

    def response(self, exchange: Exchange) -> Response[Any]:
        return Response(
            message=Message(role="assistant", parts=self.blocks.parts()),
            finish="stop" if self.finished else "other",
            usage=Usage(input=1, output=1) if self.finished else Usage(),
            timing=exchange.timing,
            request_id=exchange.headers.get("x-request-id"),
            complete=self.finished,
        )


def piece(text: str) -> bytes:
    return b"data: " + json.dumps({"text": text}).encode() + b"\n\n"


END = b'data: {"end": true}\n\n'


def plain(backend: Toy, request: Request = REQUEST) -> Response[Any]:
    return backend.generate(request)


def plain_async(backend: Toy, request: Request = REQUEST) -> Response[Any]:
    async def run() -> Response[Any]:
        try:
            return await backend.agenerate(request)
        finally:
            await backend.aclose()

    return asyncio.run(run())


def events(backend: Toy, request: Request = REQUEST) -> list[Event]:
    return list(backend.stream(request))


def events_async(backend: Toy, request: Request = REQUEST) -> list[Event]:
    async def run() -> list[Event]:
        try:
            return [event async for event in backend.astream(request)]
        finally:
            await backend.aclose()

    return asyncio.run(run())


PLAIN = pytest.mark.parametrize("ask", [plain, plain_async])
STREAMED = pytest.mark.parametrize("read", [events, events_async])
BOTH = pytest.mark.parametrize("ask", [plain, plain_async, events, events_async])
Ask = Callable[..., Any]


def streaming(*chunks: bytes, end: bool = True) -> Callable[[Call], None]:
    def script(call: Call) -> None:
        call.head(200, {**SSE, "x-request-id": "r1"})
        for chunk in chunks:
            call.chunk(chunk)
        if end:
            call.end()
        else:
            call.hang_up()

    return script


@PLAIN
def test_a_plain_call_is_sent_decoded_and_timed(ask: Ask) -> None:
    with FarEnd(answer(b'{"text": "hello"}', headers={"x-request-id": "r1"})) as far:
        response = ask(Toy(far.url))
    assert (response.text, response.request_id) == ("hello", "r1")
    assert response.timing.total > 0
    assert json.loads(far.requests[0].body) == {"prompt": "hi", "stream": False}


@STREAMED
@pytest.mark.parametrize("cut", [None, 1, 7])
def test_a_stream_gives_the_same_events_however_its_bytes_are_cut(read: Ask, cut: int | None) -> None:
    body = piece("héllo ") + b": comment\n\n" + piece("wörld") + END
    chunks = [body] if cut is None else [body[i : i + cut] for i in range(0, len(body), cut)]
    with FarEnd(streaming(*chunks)) as far:
        found = read(Toy(far.url))
    assert [event.text for event in found if isinstance(event, TextDelta)] == ["héllo ", "wörld"]
    assert isinstance(found[-1], Done)
    assert (found[-1].response.text, found[-1].response.request_id) == ("héllo wörld", "r1")
    timing = found[-1].response.timing
    assert timing is not None
    assert timing.first is not None
    assert timing.total is not None
    assert 0 < timing.first <= timing.total


@STREAMED
def test_a_stream_that_ends_without_its_terminator_is_interrupted_and_keeps_what_arrived(read: Ask) -> None:
    with FarEnd(streaming(piece("half"))) as far, pytest.raises(StreamInterrupted) as caught:
        read(Toy(far.url))
    assert caught.value.backend == "toy"
    assert caught.value.sent
    assert caught.value.response is not None
    assert (caught.value.response.text, caught.value.response.complete) == ("half", False)


@STREAMED
def test_a_stream_whose_connection_breaks_is_interrupted_with_the_cause(read: Ask) -> None:
    with FarEnd(streaming(piece("half"), end=False)) as far, pytest.raises(StreamInterrupted) as caught:
        read(Toy(far.url))
    assert isinstance(caught.value.__cause__, ConnectionFailed)
    assert caught.value.response is not None
    assert caught.value.response.text == "half"


@STREAMED
def test_a_connection_that_breaks_before_the_first_event_may_be_tried_again(read: Ask) -> None:
    with FarEnd(streaming(end=False)) as far, pytest.raises(ConnectionFailed) as caught:
        read(Toy(far.url))
    assert caught.value.retryable


@STREAMED
def test_an_error_inside_a_stream_keeps_what_arrived(read: Ask) -> None:
    script = streaming(piece("half"), b'data: {"error": "overloaded"}\n\n')
    with FarEnd(script) as far, pytest.raises(ServerError, match="overloaded") as caught:
        read(Toy(far.url))
    assert caught.value.response is not None
    assert caught.value.response.text == "half"


@STREAMED
def test_a_plain_answer_where_a_stream_was_asked_for_is_read_as_one(read: Ask) -> None:
    with FarEnd(answer(b'{"text": "all at once"}')) as far:
        found = read(Toy(far.url))
    assert [event.kind for event in found] == ["block_start", "text_delta", "block_end", "done"]


@BOTH
@pytest.mark.parametrize(
    ("body", "said"),
    [(b"<html>login</html>", "not JSON"), (b"[1]", "not an object"), (b'{"txt":1}', "KeyError")],
)
def test_an_answer_that_is_something_else_is_a_bad_response_that_quotes_it(ask: Ask, body: bytes, said: str) -> None:
    kind = "application/json" if body[:1] in b"{[" and body else "text/html"
    with FarEnd(answer(body, headers={"content-type": kind})) as far, pytest.raises(BadResponse, match=said) as caught:
        ask(Toy(far.url))
    assert caught.value.backend == "toy"
    assert body.decode() in str(caught.value)


@BOTH
def test_a_byte_order_mark_before_an_answer_is_passed_over(ask: Ask) -> None:
    with FarEnd(answer(b'\xef\xbb\xbf{"text": "hello"}')) as far:
        got = ask(Toy(far.url))
    assert (got[-1].response if isinstance(got, list) else got).text == "hello"


@PLAIN
def test_an_empty_answer_is_a_bad_response(ask: Ask) -> None:
    with FarEnd(answer(b"")) as far, pytest.raises(BadResponse, match="not JSON"):
        ask(Toy(far.url))


@STREAMED
@pytest.mark.parametrize("kind", ["text/event-stream", "application/problem+json", "application/octet-stream", "x/y"])
@pytest.mark.parametrize("cut", [1, 100])
def test_an_error_in_place_of_a_stream_is_read_whatever_its_content_type(read: Ask, kind: str, cut: int) -> None:
    body = b'\xef\xbb\xbf\n{"error": "no credit"}'

    def script(call: Call) -> None:
        call.head(200, {"content-type": kind})
        for i in range(0, len(body), cut):
            call.chunk(body[i : i + cut])
        call.end()

    with FarEnd(script) as far, pytest.raises(ServerError, match="no credit"):
        read(Toy(far.url))


def test_an_async_stream_closed_by_another_task_while_it_opens_ends_its_reader_at_once() -> None:
    waiting = threading.Event()

    def script(call: Call) -> None:
        waiting.set()
        call.hold()

    async def run(backend: Toy) -> None:
        stream: Any = backend.astream(REQUEST)
        reader = asyncio.create_task(anext(stream))
        assert await asyncio.to_thread(waiting.wait, 2)
        await stream.aclose()
        with pytest.raises(StreamClosed):
            await asyncio.wait_for(reader, 1)
        await backend.aclose()

    with FarEnd(script) as far:
        asyncio.run(run(Toy(far.url)))
        assert far.hung_up.wait(2)


@STREAMED
@pytest.mark.parametrize("frame", [b"data: not json\n\n", b'data: {"txt": 1}\n\n', b"data: [1]\n\n"])
def test_a_frame_that_cannot_be_read_is_a_bad_response(read: Ask, frame: bytes) -> None:
    with FarEnd(streaming(piece("a"), frame, END)) as far, pytest.raises(BadResponse) as caught:
        read(Toy(far.url))
    assert caught.value.response is not None
    assert caught.value.response.text == "a"


@STREAMED
def test_what_came_in_one_chunk_with_a_broken_frame_is_handed_out_before_the_error(read: Ask) -> None:
    class Strict(Toy):
        def parser(self) -> SSEParser:
            return SSEParser(max_event_bytes=100)

    def script(call: Call) -> None:
        call.head(200, SSE)
        call.chunk(piece("good") + b"data: " + b"x" * 101 + b"\n\n")
        call.hold()

    with FarEnd(script) as far:
        found = Strict(far.url).stream(REQUEST)
        assert [next(found).kind for _ in range(2)] == ["block_start", "text_delta"]
        with pytest.raises(BadResponse, match="limit of 100"):
            next(found)
    with FarEnd(script) as far, pytest.raises(BadResponse, match="limit of 100") as caught:
        read(Strict(far.url))
    assert caught.value.response is not None
    assert caught.value.response.text == "good"


@BOTH
def test_an_http_error_is_translated_with_its_body(ask: Ask) -> None:
    with FarEnd(answer(b"overloaded", status=503)) as far, pytest.raises(ServerError, match="overloaded") as caught:
        ask(Toy(far.url))
    assert (caught.value.status, caught.value.backend) == (503, "toy")


class Signed(Toy):
    """Has a new credential whenever one was refused."""

    def __init__(self, url: str, *, renews: bool = True) -> None:
        super().__init__(url)
        self.key, self.more = 1, renews

    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return HttpRequest(self.url + wire.path, {"authorization": f"Bearer {self.key}"}, content)

    def renews(self, request: HttpRequest, error: GenkitError) -> bool:
        assert request.headers["authorization"] == f"Bearer {self.key}"
        self.key += self.more
        return True


def guarded(good: str) -> Callable[[Call], None]:
    """Answer to one credential, in the way that was asked for."""

    def script(call: Call) -> None:
        if call.request.headers["authorization"] != good:
            call.answer(b"who are you?", status=401)
        elif json.loads(call.request.body)["stream"]:
            streaming(piece("hello"), END)(call)
        else:
            call.answer(b'{"text": "hello"}')

    return script


@BOTH
def test_a_credential_that_is_refused_is_replaced_and_the_request_sent_once_more(ask: Ask) -> None:
    with FarEnd(guarded("Bearer 2")) as far:
        got = ask(Signed(far.url))
    assert (got[-1].response if isinstance(got, list) else got).text == "hello"
    assert len(far.requests) == 2


@BOTH
@pytest.mark.parametrize(("renews", "times"), [(True, 2), (False, 1)])
def test_a_request_is_not_sent_a_third_time_or_as_it_was(ask: Ask, renews: bool, times: int) -> None:
    with FarEnd(guarded("Bearer 9")) as far, pytest.raises(AuthenticationFailed, match="who are you"):
        ask(Signed(far.url, renews=renews))
    assert len(far.requests) == times


@BOTH
def test_the_second_try_has_what_is_left_of_the_total_time(ask: Ask) -> None:
    def script(call: Call) -> None:
        if call.request.headers["authorization"] == "Bearer 1":
            time.sleep(0.3)
            call.answer(b"no", status=401)
        else:
            call.hold()

    limited = REQUEST.model_copy(update={"settings": Settings(timeout=0.5)})
    began = time.monotonic()
    with FarEnd(script) as far, pytest.raises(Timeout):
        ask(Signed(far.url), limited)
    assert time.monotonic() - began < 0.75


@STREAMED
def test_a_stream_of_comments_is_idle(read: Ask) -> None:
    def script(call: Call) -> None:
        call.head(200, SSE)
        call.chunk(piece("a"))
        call.drip(b": still here\n\n")

    limited = REQUEST.model_copy(update={"settings": Settings(timeout={"idle": 0.15})})
    with FarEnd(script) as far, pytest.raises(Timeout) as caught:
        read(Toy(far.url), limited)
    assert caught.value.phase == "idle"
    assert caught.value.response is not None
    assert caught.value.response.text == "a"


@STREAMED
def test_an_endless_stream_ends_with_the_total_time_limit(read: Ask) -> None:
    def script(call: Call) -> None:
        call.head(200, SSE)
        call.drip(piece("more "))

    limited = REQUEST.model_copy(update={"settings": Settings(timeout=0.2)})
    with FarEnd(script) as far, pytest.raises(Timeout) as caught:
        read(Toy(far.url), limited)
    assert caught.value.phase == "total"


def test_the_connection_is_used_again_after_a_whole_stream() -> None:
    with FarEnd(streaming(piece("a"), END)) as far:
        backend = Toy(far.url)
        for _ in range(3):
            events(backend)
        backend.close()
    assert far.connections == 1


@pytest.mark.parametrize("before_head", [True, False])
def test_a_stream_closed_from_another_thread_ends_its_reader_at_once(before_head: bool) -> None:
    waiting = threading.Event()

    def script(call: Call) -> None:
        if not before_head:
            call.head(200, SSE)
            call.chunk(piece("a"))
        waiting.set()
        call.hold()

    with FarEnd(script) as far:
        control, stack = Control(), Policy(Toy(far.url))
        caught: list[BaseException] = []

        def read() -> None:
            try:
                for _ in stack.open(REQUEST, control):
                    pass
            except StreamClosed as error:
                caught.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert waiting.wait(2)
        time.sleep(0.05)
        started = time.monotonic()
        control.close()
        thread.join(2)
        assert time.monotonic() - started < 0.5
        assert len(caught) == 1
        assert far.hung_up.wait(2)


def test_a_cancelled_task_closes_its_stream_while_it_opens() -> None:
    waiting = threading.Event()

    def script(call: Call) -> None:
        waiting.set()
        call.hold()

    async def run(backend: Toy) -> None:
        async def read() -> None:
            async for _ in backend.astream(REQUEST):
                pass

        task = asyncio.create_task(read())
        assert await asyncio.to_thread(waiting.wait, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await backend.aclose()

    with FarEnd(script) as far:
        asyncio.run(run(Toy(far.url)))
        assert far.hung_up.wait(2)


# ------------------------------------------------------------ what an error may show

SECRET = "SECRET-0123456789"


class Keyed(Toy):
    """Sends a key of some length."""

    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return HttpRequest(self.url + wire.path, {"authorization": f"Bearer {SECRET}"}, content)

    def may_wait(self) -> bool:
        return False


@BOTH
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, f"you sent Bearer {SECRET}"),
        (500, f'<pre>"authorization": "Bearer {SECRET}"</pre>'),
        (200, f"<html>authorization: Bearer {SECRET}</html>"),
        (200, f"<html>{'x' * 185}{SECRET}</html>"),
        (200, f'["{SECRET}"]'),
        (200, f'{{"txt": "{SECRET}"}}'),
        (200, f'{{"error": "your key {SECRET} is bad"}}'),
    ],
)
def test_a_credential_that_the_far_end_sends_back_is_not_shown(ask: Ask, status: int, body: str) -> None:
    with FarEnd(answer(body.encode(), status=status)) as far, pytest.raises(GenkitError) as caught:
        ask(Keyed(far.url))
    assert SECRET[:8] not in f"{caught.value} {caught.value!r} {caught.value.code}"
    assert "***" in str(caught.value)


@STREAMED
def test_a_credential_in_an_error_inside_a_stream_is_not_shown(read: Ask) -> None:
    error = f'data: {{"error": "your key {SECRET} is bad"}}\n\n'.encode()
    with FarEnd(streaming(piece("a"), error)) as far, pytest.raises(ServerError, match=r"your key \*\*\* is bad"):
        read(Keyed(far.url))


@BOTH
def test_a_long_message_of_the_vendor_keeps_its_beginning(ask: Ask) -> None:
    body = b"It began so. " + b"x" * 5_000_000
    with FarEnd(answer(body, status=400)) as far, pytest.raises(InvalidRequest, match=r"^It began so\.") as caught:
        ask(Toy(far.url))
    assert "... (5,000,013 characters in all)" in str(caught.value)
    assert len(str(caught.value)) < 2_100


@BOTH
def test_signing_that_takes_too_long_is_a_timeout(ask: Ask) -> None:
    go = threading.Event()

    class Slow(Toy):
        def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
            go.wait(10)
            return super().sign(wire, content)

        async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
            await asyncio.sleep(10)
            return super().sign(wire, content)

    request = REQUEST.model_copy(update={"settings": Settings(timeout=Timeouts(total=0.1))})
    with FarEnd(answer()) as far, pytest.raises(Timeout, match=r"no credential within 0\.1 s") as caught:
        ask(Slow(far.url), request)
    assert (caught.value.phase, caught.value.sent) == ("total", False)
    go.set()


@BOTH
def test_time_that_signing_takes_is_taken_off_the_total_limit(ask: Ask) -> None:
    class Slow(Toy):
        def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
            time.sleep(0.3)
            return super().sign(wire, content)

    request = REQUEST.model_copy(update={"settings": Settings(timeout=Timeouts(total=0.4))})
    with FarEnd(lambda call: call.hold()) as far:
        began = time.monotonic()
        with pytest.raises(Timeout) as caught:
            ask(Slow(far.url), request)
    assert 0.35 < time.monotonic() - began < 0.6
    assert caught.value.phase == "total"


def test_a_stream_closed_from_another_thread_while_it_is_signed_ends_its_reader() -> None:
    go, signing = threading.Event(), threading.Event()

    class Slow(Toy):
        def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
            signing.set()
            go.wait(10)
            return super().sign(wire, content)

    stream = Slow("http://127.0.0.1:1").stream(REQUEST)
    closer = threading.Thread(target=lambda: (signing.wait(5), stream.close()))  # type: ignore[attr-defined]  # a WireStream
    closer.start()
    began = time.monotonic()
    with pytest.raises(StreamClosed):
        next(stream)
    assert time.monotonic() - began < 2
    closer.join()
    go.set()


def test_a_plan_shows_the_request_without_the_credential_and_sends_nothing() -> None:
    with FarEnd(answer()) as far:
        plan = Toy(far.url).plan(REQUEST, stream=True)
    assert (plan.url, plan.body) == (f"{far.url}/ask", {"prompt": "hi", "stream": True})
    assert plan.headers == {"authorization": "Bearer <KEY>"}
    assert far.requests == []


# ------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (
            {"messages": [{"content": "ok"}, {"content": "a\ud800"}]},
            r"body\.messages\[1\]\.content holds a lone surrogate",
        ),
        ({"a": {"\udfff": 1}}, r"body\.a key holds a lone surrogate"),
        ({"temperature": float("nan")}, r"body\.temperature is nan"),
        ({"x": [float("inf")]}, r"body\.x\[0\] is inf"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(body: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest, match=where):
        body_bytes(body)


def test_the_words_nan_and_infinity_in_text_are_only_text() -> None:
    assert json.loads(body_bytes({"content": "NaN and Infinity"})) == {"content": "NaN and Infinity"}


def test_a_body_is_plain_utf_8_json() -> None:
    assert body_bytes({"a": "é\u2028\U0001f600"}) == '{"a":"é\u2028\U0001f600"}'.encode()


def test_a_long_page_is_quoted_only_at_its_beginning() -> None:
    with pytest.raises(BadResponse) as caught:
        parse_object(b"<html>" + b"x" * 10_000, {})
    assert len(str(caught.value)) < 500
