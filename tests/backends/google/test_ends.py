"""How streams end: with the body, with an error in it, or never."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from genkit.backends.google import Google
from genkit.errors import BadResponse, QuotaExhausted, RateLimited, StreamInterrupted, Timeout
from genkit.types import Done, Response, Timeouts
from tests.backends.google.cases import candidate, chunk, request, whole
from tests.farend import Call, FarEnd, Script

SSE = {"content-type": "text/event-stream"}
BUSY = {"error": {"code": 429, "message": "too many", "status": "RESOURCE_EXHAUSTED"}}


def brought(*chunks: dict[str, Any], reset: bool = False) -> Script:
    """Return a far end that sends chunks, and then nothing."""

    def tell(call: Call) -> None:
        call.head(200, SSE)
        for one in chunks:
            call.chunk(b"data: " + json.dumps(one).encode() + b"\r\n\r\n")
        if reset:
            call.hang_up()
        else:
            call.hold(5)

    return tell


def read(far: FarEnd, *, asynchronous: bool = False, **fields: Any) -> Response[Any]:
    """Return the response at the end of a stream."""
    asked = request(timeout=Timeouts(idle=0.2), **fields)

    async def go() -> list[Any]:
        backend = Google(base_url=far.url, api_key="k")
        try:
            return [event async for event in backend.astream(asked)]
        finally:
            await backend.aclose()

    backend = Google(base_url=far.url, api_key="k")
    last = asyncio.run(go())[-1] if asynchronous else list(backend.stream(asked))[-1]
    backend.close()
    assert isinstance(last, Done)
    return last.response


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_that_was_whole_outlives_its_connection(asynchronous: bool, reset: bool) -> None:
    with FarEnd(brought(chunk({"text": "Hi"}, finish="STOP"), reset=reset)) as far:
        response = read(far, asynchronous=asynchronous)
    assert (response.text, response.finish, response.complete) == ("Hi", "stop", True)
    assert [(note.kind, note.subject) for note in response.warnings] == [("note", "stream")]


def test_an_answer_without_its_end_does_not() -> None:
    with FarEnd(brought(chunk({"text": "Hi"}))) as far, pytest.raises(Timeout):
        read(far)


def test_one_of_two_answers_does_not_either() -> None:
    with FarEnd(brought(chunk({"text": "Hi"}, finish="STOP"), reset=True)) as far, pytest.raises(StreamInterrupted):
        read(far, n=2)


def ended(*pieces: bytes) -> Script:
    """Return a far end that sends bytes, and ends its answer."""

    def tell(call: Call) -> None:
        call.head(200, SSE)
        for piece in pieces:
            call.chunk(piece)
        call.end()

    return tell


def event(**said: Any) -> bytes:
    """Return the line of an event, without the blank line that ends it."""
    return b"data: " + json.dumps(chunk({"text": "Hi"}, **said)).encode()


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_event_without_a_blank_line_at_the_end_counts(end: bytes, asynchronous: bool) -> None:
    with FarEnd(ended(event() + b"\n\n", event(finish="STOP") + end)) as far:
        assert read(far, asynchronous=asynchronous).text == "HiHi"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_error_that_stands_bare_in_a_stream_is_that_error(indent: int | None, end: str, asynchronous: bool) -> None:
    bare = (json.dumps(BUSY, indent=indent) + end).encode()
    with FarEnd(ended(event() + b"\n\n", bare)) as far, pytest.raises(RateLimited, match="too many") as caught:
        read(far, asynchronous=asynchronous)
    assert caught.value.response is not None
    assert caught.value.response.text == "Hi"


@pytest.mark.parametrize("left", [b"data: {", b"{", b"{" + b"x" * 200_000 + b"\n\n", b": ping\n", b"data: 1"])
def test_what_is_left_of_a_broken_event_is_no_event(left: bytes) -> None:
    with FarEnd(ended(event() + b"\n\n", left)) as far, pytest.raises(StreamInterrupted):
        read(far)


def test_an_error_in_a_list_is_that_error_in_place_of_a_stream_and_of_an_answer() -> None:
    with FarEnd(lambda call: call.answer(json.dumps([BUSY]).encode())) as far:
        backend = Google(base_url=far.url, api_key="k")
        with pytest.raises(RateLimited, match="too many"):
            list(backend.stream(request()))
        with pytest.raises(RateLimited, match="too many"):
            backend.generate(request())
        backend.close()


@pytest.mark.parametrize("content", [b"[1]", b"[", b"[{}]"])
def test_a_list_without_an_error_is_a_bad_response(content: bytes) -> None:
    with FarEnd(lambda call: call.answer(content)) as far:
        backend = Google(base_url=far.url, api_key="k")
        with pytest.raises(BadResponse):
            list(backend.stream(request()))
        backend.close()


def test_an_error_of_a_day_inside_a_stream_is_a_quota() -> None:
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDay"}]}
    error = {"error": {"message": "no more", "status": "RESOURCE_EXHAUSTED", "details": [quota]}}
    with FarEnd(brought(whole(candidate({"text": "a"}, finish=None)), error)) as far, pytest.raises(QuotaExhausted):
        read(far)
