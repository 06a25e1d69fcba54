"""A backend that takes no URLs: their bytes are fetched before it encodes, in each way of asking."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from genkit import LLM, Document, Image, Message
from genkit.backends.wire import WireRequest
from genkit.errors import ConfigError, InvalidRequest, StreamClosed, Timeout, Unsupported
from genkit.types import FetchPolicy, Media, Request, Settings, ToolResult
from tests.backends.test_wire import SSE, Toy
from tests.farend import Call, FarEnd, answer

PNG = b"\x89PNG\r\n\x1a\n and so on"
PDF = b"%PDF-1.7 and so on"
LOCAL = FetchPolicy(allow_private=True)


class Bytes(Toy):
    """Takes media by value only, and shows in its body what it got."""

    fetch = LOCAL

    def fetches(self, part: Media, model: str) -> bool:
        return not (part.url or "").startswith("s3:")

    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        wire = super().encode(request, stream=stream)
        wire.body["media"] = [_encoded(part) for message in request.messages for part in message.parts]
        return wire


def _encoded(part: Any) -> Any:
    if isinstance(part, ToolResult):
        return [_encoded(inner) for inner in part.parts]
    if isinstance(part, Media):
        return [part.mime, base64.b64encode(part.data).decode() if part.data is not None else part.url]
    return None


def serve(call: Call) -> None:
    path = call.request.target
    if path.startswith("/ask") and b'"stream":true' in call.request.body:
        call.head(200, SSE)
        call.chunk(b'data: {"text": "a"}\n\ndata: {"end": true}\n\n')
        call.end()
    elif path.startswith("/ask"):
        call.answer(b'{"text": "a"}')
    elif path.startswith("/silent"):
        call.hold()
    else:
        call.answer(PDF if ".pdf" in path else PNG, headers={"content-type": "application/octet-stream"})


def request(*parts: Any, **settings: Any) -> Request:
    return Request(model="m", messages=(Message.user("see", *parts),), settings=Settings(**settings))


def ask(backend: Toy, what: Request) -> None:
    backend.generate(what)


def aask(backend: Toy, what: Request) -> None:
    asyncio.run(backend.agenerate(what))


def stream(backend: Toy, what: Request) -> None:
    assert [event.kind for event in backend.stream(what)][-1] == "done"


def astream(backend: Toy, what: Request) -> None:
    async def read() -> None:
        assert [event.kind async for event in backend.astream(what)][-1] == "done"

    asyncio.run(read())


EVERY_WAY = pytest.mark.parametrize("way", [ask, aask, stream, astream])
Way = Callable[[Toy, Request], None]


@EVERY_WAY
def test_the_bytes_of_a_url_stand_in_its_place(way: Way) -> None:
    with FarEnd(serve) as far:
        way(Bytes(far.url), request(Image(url=f"{far.url}/a.png?key=1")))
        fetched, asked = far.requests
    assert (fetched.method, fetched.target) == ("GET", "/a.png?key=1")
    assert base64.b64encode(PNG) in asked.body
    assert b"image/png" in asked.body


@EVERY_WAY
def test_no_credential_goes_along(way: Way) -> None:
    with FarEnd(serve) as far:
        way(Bytes(far.url), request(Image(url=f"{far.url}/a.png")))
        fetched, asked = far.requests
    assert asked.headers["authorization"] == "Bearer key"
    assert fetched.headers.keys() == {"host", "accept", "accept-encoding", "user-agent"}


@EVERY_WAY
def test_a_url_that_occurs_several_times_is_fetched_once(way: Way) -> None:
    with FarEnd(serve) as far:
        url = f"{far.url}/a.png"
        way(Bytes(far.url), request(Image(url=url), Image(url=url), Document(url=f"{far.url}/b.pdf")))
        assert sorted(seen.target for seen in far.requests) == ["/a.png", "/ask", "/b.pdf"]
        assert far.requests[-1].body.count(base64.b64encode(PNG)) == 2


@pytest.mark.parametrize("way", [ask, aask])
def test_media_of_earlier_turns_and_of_tool_results_are_fetched_too(way: Way) -> None:
    with FarEnd(serve) as far:
        result = ToolResult(id="1", parts=(Image(url=f"{far.url}/b.png"),))
        messages = (Message.user(Image(url=f"{far.url}/a.png")), Message.tool(result), Message.user("so?"))
        way(Bytes(far.url), Request(model="m", messages=messages))
        assert far.requests[-1].body.count(base64.b64encode(PNG)) == 2


@pytest.mark.parametrize("way", [ask, aask])
def test_at_most_four_are_fetched_at_once(way: Way) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def count(call: Call) -> None:
        if call.request.target == "/ask":
            return serve(call)
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        call.sleep(0.05)
        with lock:
            running[0] -= 1
        return serve(call)

    with FarEnd(count) as far:
        way(Bytes(far.url), request(*[Image(url=f"{far.url}/{i}.png") for i in range(10)]))
    assert most[0] == 4


def test_what_the_backend_takes_is_left_alone() -> None:
    with FarEnd(serve) as far:
        Bytes(far.url).generate(request(Image(url="s3://bucket/a.png"), Image(data=PNG)))
        assert len(far.requests) == 1
        assert b"s3://bucket/a.png" in far.requests[0].body


@pytest.mark.parametrize("policy", [LOCAL, False])
def test_a_data_uri_needs_no_fetching(policy: Any) -> None:
    with FarEnd(serve) as far:
        backend = Bytes(far.url)
        backend.fetch = policy
        backend.generate(request(Image(url=f"data:image/png;base64,{base64.b64encode(PNG).decode()}")))
        assert base64.b64encode(PNG) in far.requests[0].body
        assert len(far.requests) == 1


def test_nothing_is_fetched_where_the_user_says_so() -> None:
    with FarEnd(serve) as far:
        backend = Bytes(far.url)
        backend.fetch = False
        backend.generate(request(Image(url=f"{far.url}/a.png")))
        assert [seen.target for seen in far.requests] == ["/ask"]


def test_a_request_is_not_changed_by_fetching() -> None:
    with FarEnd(serve) as far:
        asked = request(Image(url=f"{far.url}/a.png"))
        before = asked.model_dump_json()
        Bytes(far.url).generate(asked)
    assert asked.model_dump_json() == before


@EVERY_WAY
def test_fetching_counts_against_the_time_of_the_call(way: Way) -> None:
    with FarEnd(serve) as far, pytest.raises(Timeout) as caught:
        way(Bytes(far.url), request(Image(url=f"{far.url}/silent"), timeout=0.2))
    assert caught.value.phase == "total"
    assert not caught.value.sent


@pytest.mark.parametrize("way", [stream, astream])
def test_a_stream_fetches_nothing_before_it_is_read(way: Way) -> None:
    with FarEnd(serve) as far:
        backend = Bytes(far.url)
        backend.stream(request(Image(url=f"{far.url}/a.png"))).close()  # type: ignore[attr-defined]
        assert far.requests == []


def arrived(far: FarEnd) -> None:
    """Wait until the far end has a request."""
    until = time.monotonic() + 10
    while not far.requests and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize("count", [1, 3])
def test_closing_a_stream_ends_its_fetching_at_once(count: int) -> None:
    with FarEnd(serve) as far:
        backend = Bytes(far.url)
        events: Any = backend.stream(request(*[Image(url=f"{far.url}/silent{i}") for i in range(count)]))
        threading.Thread(target=lambda: (arrived(far), events.close())).start()
        with pytest.raises(StreamClosed):
            next(events)
        assert far.hung_up.wait(5)
        assert events.partial().complete is False


def test_cancelling_an_async_stream_ends_its_fetching_at_once() -> None:
    async def read(far: FarEnd) -> None:
        events: Any = Bytes(far.url).astream(request(Image(url=f"{far.url}/silent"), Image(url=f"{far.url}/silent2")))
        task = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(arrived, far)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FarEnd(serve) as far:
        asyncio.run(read(far))
        assert far.hung_up.wait(5)


def test_closing_an_async_stream_from_another_task_ends_its_fetching() -> None:
    async def read(far: FarEnd) -> None:
        events: Any = Bytes(far.url).astream(request(Image(url=f"{far.url}/silent")))
        task = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(arrived, far)
        await events.aclose()
        with pytest.raises(StreamClosed):
            await task

    with FarEnd(serve) as far:
        asyncio.run(read(far))


@pytest.mark.parametrize("way", [ask, aask])
def test_the_first_failure_ends_the_other_fetches(way: Way) -> None:
    def script(call: Call) -> None:
        if "missing" in call.request.target:
            call.answer(status=404)
        else:
            serve(call)

    with FarEnd(script) as far, pytest.raises(InvalidRequest, match="status 404"):
        way(Bytes(far.url), request(Image(url=f"{far.url}/silent"), Image(url=f"{far.url}/missing")))


def test_a_plan_shows_where_the_bytes_would_stand_and_fetches_nothing() -> None:
    with FarEnd(serve) as far:
        plan = Bytes(far.url).plan(request(Image(url=f"{far.url}/a.png?key=secret"), Image(url=f"{far.url}/b")))
        assert far.requests == []
    assert plan.body["media"][1:] == [
        ["image/png", f"<the bytes of {far.url}/a.png?...>"],
        ["image/jpeg", f"<the bytes of {far.url}/b>"],
    ]
    assert [(note.kind, note.subject) for note in plan.warnings] == [("note", "image")] * 2
    assert "image/png, as its ending says, is shown" in plan.warnings[0].message
    assert plan.warnings[1].message.endswith("; image/jpeg is shown")


def test_a_plan_has_no_note_on_a_type_that_was_given() -> None:
    plan = Bytes("http://127.0.0.1:1").plan(request(Image(url="http://127.0.0.1:2/a.jpg", mime="image/png")))
    assert (plan.body["media"][1][0], plan.warnings) == ("image/png", ())


def test_the_policy_is_an_option_of_every_llm_on_the_wire() -> None:
    backend: Any = LLM("ollama:x", fetch=FetchPolicy(max_bytes=5))._core.source()
    assert backend.fetch == FetchPolicy(max_bytes=5)
    backend = LLM("ollama:x", fetch=False)._core.source()
    assert backend.fetch is False
    with pytest.raises(ConfigError, match="FetchPolicy"):
        LLM("ollama:x", fetch="yes")._core.source()  # type: ignore[arg-type]


def test_what_must_not_be_fetched_for_a_model_is_not_for_its_fallback() -> None:
    with FarEnd(answer(b"{}", status=500)) as far:
        llm = LLM("vllm:x", base_url=far.url, retries=0, fetch=False, fallback=["ollama:llava"])
        with pytest.raises(Unsupported, match="by URL"):
            llm.generate(["?", Image(f"{far.url}/a.png")])
        assert [seen.method for seen in far.requests] == ["POST"]


def test_a_plan_and_a_check_refuse_what_would_not_be_fetched() -> None:
    llm = LLM("ollama:llava")
    prompt = ["?", Image("http://10.0.0.1/a.png")]
    with pytest.raises(InvalidRequest, match="private network"):
        llm.plan(prompt)
    assert [(found.kind, found.subject) for found in llm.check(prompt)] == [("error", "InvalidRequest")]
