"""What must not depend on the interface that a request goes through: Chat Completions or Responses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from genkit.backends.openai import OpenAI, chat, responses
from genkit.backends.openai.counts import usage
from genkit.backends.openai.responses.answer import read_usage
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import BadResponse, GenkitError, InvalidRequest, RateLimited, Unsupported
from genkit.events import fold
from genkit.transport.sse import ServerSentEvent
from genkit.types import (
    BlockStart,
    Document,
    Event,
    Image,
    Message,
    Response,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from tests.backends.openai.chat_cases import answered, chunk, frame, request, subjects
from tests.farend import FarEnd, answer

BOTH = pytest.mark.parametrize("api", ["chat", "responses"])
ORIGIN = "openai/responses"
SSE = {"content-type": "text/event-stream"}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
CUSTOM = {
    "type": "custom_tool_call",
    "id": "ctc_1",
    "status": "completed",
    "call_id": "call_1",
    "name": "run",
    "input": '{"a": 1}',
}


def wire_of(api: str, *messages: Message | str, service: str = "openai", **fields: Any) -> WireRequest:
    encode = responses.encode if api == "responses" else chat.encode
    return encode(request(*messages, **fields), SERVICES[service], origin=f"{service}/{api}", stream=False)


def decode(data: dict[str, Any]) -> Response[Any]:
    wire = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin=ORIGIN)
    return responses.decode(wire, data, Exchange({"x-request-id": "req_1"}), backend="openai")


def whole(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "gpt-5", "status": "completed", "output": [*output], **fields}


def streamed(*events: dict[str, Any]) -> tuple[list[Event], Response[Any]]:
    wire = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin=ORIGIN)
    decoder = responses.Decoder(wire, backend="openai")
    found = [made for event in events for made in decoder.feed(ServerSentEvent(json.dumps(event).encode()))]
    return [*found, *decoder.end()], decoder.response(Exchange())


# ---------------------------------------------------------------- calls of custom tools


def test_a_custom_call_of_responses_that_goes_to_chat_is_reported() -> None:
    message = decode(whole(CUSTOM)).message
    result = Message.tool(ToolResult(id="call_1", parts=(Text(text="1"),)))
    wire = wire_of("chat", "Hi", message, result)
    assert [(warning.kind, warning.subject) for warning in wire.warnings] == [("changed", "tool_call")]
    assert wire.body["messages"][1]["tool_calls"][0]["type"] == "function"
    assert subjects(wire_of("responses", "Hi", message, result)) == []


def test_a_custom_call_of_chat_that_goes_to_responses_is_reported() -> None:
    custom = {"type": "custom", "id": "call_1", "custom": {"name": "run", "input": "1 + 1"}}
    message = answered({"tool_calls": [custom]}).message
    result = Message.tool(ToolResult(id="call_1", parts=(Text(text="2"),)))
    wire = wire_of("responses", "Hi", message, result)
    assert [(warning.kind, warning.subject) for warning in wire.warnings] == [("changed", "tool_call")]
    assert wire.body["input"][1]["type"] == "function_call"
    assert subjects(wire_of("chat", "Hi", message, result)) == []
    with pytest.raises(Unsupported, match="custom tool 'run'"):
        wire_of("responses", "Hi", message, result, on_unsupported="error")


# ---------------------------------------------------------------- settings that need tools


@BOTH
@pytest.mark.parametrize("setting", [{"tool_choice": "auto"}, {"tool_choice": "none"}, {"parallel_tool_calls": False}])
def test_what_is_said_of_tools_is_reported_where_there_are_none(api: str, setting: dict[str, Any]) -> None:
    (name,) = setting
    assert subjects(wire_of(api, "Hi", **setting)) == [name]
    assert subjects(wire_of(api, "Hi", on_unsupported="ignore", **setting)) == []
    for strict in ({"on_unsupported": "error"}, {"require": frozenset({name})}):
        with pytest.raises(Unsupported, match="the request has no tools"):
            wire_of(api, "Hi", **setting, **strict)


# ---------------------------------------------------------------- media


@BOTH
@pytest.mark.parametrize("part", [Image(url="https://x/y.png"), Document(data=b"%PDF-1", mime="application/pdf")])
def test_media_that_the_model_does_not_read_are_refused(api: str, part: Any) -> None:
    with pytest.raises(Unsupported, match=f"{part.kind} for this model"):
        wire_of(api, Message.user("what is it?", part), model="o3-mini")


@BOTH
def test_media_that_the_service_does_not_take_are_refused(api: str) -> None:
    part = Document(data=b"%PDF-1", mime="application/pdf")
    with pytest.raises(Unsupported, match="ollama takes no document"):
        wire_of(api, Message.user("what is it?", part), model="m", service="ollama")


@BOTH
def test_media_in_a_tools_result_are_refused_by_the_same_rule(api: str) -> None:
    call = Message.assistant(ToolCall(id="c", name="look", arguments={}))
    result = Message.tool(ToolResult(id="c", parts=(Image(url="https://x/y.png"),)))
    with pytest.raises(Unsupported, match="image for this model"):
        wire_of(api, "look", call, result, model="o3-mini")


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("details", "classes"),
    [
        ({"cached_tokens": 80, "cache_write_tokens": 80}, (0, 80, 20)),
        ({"cached_tokens": 500}, (0, 100, 0)),
        ({"cached_tokens": -5, "cache_write_tokens": "7"}, (100, 0, 0)),
        (None, (100, 0, 0)),
        ([1], (100, 0, 0)),
    ],
)
def test_token_classes_add_up_to_what_was_counted(details: Any, classes: tuple[int, ...]) -> None:
    said = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    for read in (usage(said), read_usage({"input_tokens": 100, "output_tokens": 5, "input_tokens_details": details})):
        assert (read.input, read.cache_read, read.cache_write) == classes
        assert read.total == 105


def test_reasoning_beyond_the_output_is_capped() -> None:
    read = read_usage({"input_tokens": 1, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 9}})
    assert (read.output, read.reasoning, read.total) == (0, 5, 6)


def test_an_answer_that_was_not_counted_is_unknown_and_not_nothing() -> None:
    for read in (usage({"prompt_tokens": 5}), read_usage({"input_tokens": 5})):
        assert (read.input, read.output) == (5, None)


def test_an_answer_that_was_counted_in_the_total_alone_is_what_that_has_beyond_the_prompt() -> None:
    read = usage({"prompt_tokens": 5, "total_tokens": 12})
    assert (read.input, read.output, read.reasoning) == (5, 7, 0)


# ---------------------------------------------------------------- custom tools


def test_a_call_of_a_custom_tool_is_a_tool_call_with_its_text_as_it_was_written() -> None:
    response = decode(whole(CUSTOM))
    (call,) = response.tool_calls
    assert (call.id, call.name, call.arguments, call.raw, call.minted) == ("call_1", "run", None, '{"a": 1}', False)
    assert response.finish == "tool_calls"


def test_a_call_of_a_custom_tool_and_its_result_go_back_in_their_own_form() -> None:
    turn = decode(whole(CUSTOM)).message
    sent = wire_of("responses", "go", turn, Message.tool(ToolResult(id="call_1", parts=(Text(text="2"),)))).body
    assert sent["input"][1:] == [CUSTOM, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "2"}]


def test_a_call_of_a_custom_tool_goes_elsewhere_as_a_call_like_any_other() -> None:
    turn = decode(whole(CUSTOM)).message
    result = Message.tool(ToolResult(id="call_1", parts=(Text(text="2"),)))
    sent = wire_of("responses", "go", turn, result, service="azure").body["input"]
    assert [item["type"] for item in sent[1:]] == ["function_call", "function_call_output"]
    assert sent[1]["arguments"] == '{"a": 1}'


def test_a_streamed_call_of_a_custom_tool_equals_the_plain_one() -> None:
    events, final = streamed(
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**CUSTOM, "input": ""}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": '{"a"'},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": ": 1"},
        {"type": "response.custom_tool_call_input.done", "output_index": 0, "input": '{"a": 1}'},
        {"type": "response.output_item.done", "output_index": 0, "item": CUSTOM},
        {"type": "response.completed", "response": whole(CUSTOM)},
    )
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ['{"a"', ": 1", "}"]
    assert [(event.id, event.name) for event in events if isinstance(event, BlockStart)] == [("call_1", "run")]
    assert final == decode(whole(CUSTOM)).model_copy(update={"request_id": None})
    assert fold(events).message == final.message


def test_a_custom_call_of_which_the_stream_said_something_else_keeps_what_was_streamed() -> None:
    _, final = streamed(
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**CUSTOM, "input": ""}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "print(1)"},
        {"type": "response.output_item.done", "output_index": 0, "item": CUSTOM},
        {"type": "response.completed", "response": whole(CUSTOM)},
    )
    assert [warning.subject for warning in final.warnings] == ["stream"]
    sent = wire_of("responses", "go", final.message).body["input"][1]
    assert sent == {**CUSTOM, "input": "print(1)"}


INPUTS = pytest.mark.parametrize("text", ['{"a": 1}', '{"a":1}', "{}", "", " ", "print(1)\n", '["a"]', "half \ud83d"])


def custom_answer(api: str, text: str) -> Response[Any]:
    """Return the answer of a model that calls the custom tool `run` with a text."""
    if api == "responses":
        return decode(whole({**CUSTOM, "input": text}))
    call = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": text}}
    return answered({"content": None, "tool_calls": [call]}, finish_reason="tool_calls")


def streamed_custom_answer(api: str, text: str) -> Response[Any]:
    """Return the same answer as far as it came, character by character, before the stream broke off."""
    decoder: Any
    if api == "responses":
        decoder = responses.Decoder(wire_of(api, "go"), backend="openai")
        delta = {"type": "response.custom_tool_call_input.delta", "output_index": 0}
        begin = {"type": "response.output_item.added", "output_index": 0, "item": {**CUSTOM, "input": ""}}
        for event in [CREATED, begin, *({**delta, "delta": piece} for piece in text)]:
            decoder.feed(ServerSentEvent(json.dumps(event).encode()))
    else:
        decoder = chat.Decoder(wire_of(api, "go"), backend="openai")
        first = {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "run", "input": ""}}
        for call in [first, *({"index": 0, "custom": {"input": piece}} for piece in text)]:
            decoder.feed(frame(chunk({"tool_calls": [call]})))
    response: Response[Any] = decoder.response(Exchange())
    return response


@BOTH
@INPUTS
@pytest.mark.parametrize("answer_of", [custom_answer, streamed_custom_answer], ids=["whole", "broken off"])
def test_what_a_custom_tool_is_given_is_a_text_and_never_arguments(api: str, text: str, answer_of: Any) -> None:
    (call,) = answer_of(api, text).tool_calls
    assert (call.id, call.name, call.arguments, call.raw) == ("call_1", "run", None, text)


@BOTH
@INPUTS
@pytest.mark.parametrize("answer_of", [custom_answer, streamed_custom_answer], ids=["whole", "broken off"])
def test_what_a_custom_tool_was_given_goes_back_as_it_came(api: str, text: str, answer_of: Any) -> None:
    sent = wire_of(api, "go", answer_of(api, text).message).body
    if api == "responses":
        assert (sent["input"][1]["type"], sent["input"][1]["input"]) == ("custom_tool_call", text)
    else:
        call = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": text}}
        assert sent["messages"][1]["tool_calls"] == [call]


@BOTH
def test_a_text_for_a_custom_tool_that_was_changed_goes_back_changed(api: str) -> None:
    message = custom_answer(api, "old").message
    (call,) = message.tool_calls
    sent = wire_of(api, "go", message.model_copy(update={"parts": (call.model_copy(update={"raw": "new"}),)})).body
    assert '"new"' in json.dumps(sent)
    assert '"old"' not in json.dumps(sent)


@BOTH
def test_arguments_that_were_changed_go_back_changed(api: str) -> None:
    if api == "responses":
        message = decode(
            whole({"type": "function_call", "call_id": "1", "name": "f", "arguments": '{ "a": 1}'})
        ).message
    else:
        function = {"name": "f", "arguments": '{ "a": 1}'}
        message = answered({"tool_calls": [{"id": "1", "type": "function", "function": function}]}).message
    (call,) = message.tool_calls
    assert r"{ \"a\": 1}" in json.dumps(wire_of(api, "go", message).body)
    changed = message.model_copy(update={"parts": (call.model_copy(update={"arguments": {"a": 2}}),)})
    assert r"{\"a\":2}" in json.dumps(wire_of(api, "go", changed).body)


# ---------------------------------------------------------------- the request's id


ID = {"apim-request-id": "az_1"}
PAGE, LIST, ODD = b"<html>down</html>", b"[1]", b'{"id": "x"}'


@BOTH
@pytest.mark.parametrize("content", [PAGE, LIST, ODD], ids=["html", "list", "odd"])
@pytest.mark.parametrize("way", ["plain", "async", "stream"])
def test_an_unreadable_answer_from_azure_is_named_by_its_request_id(api: Any, content: bytes, way: str) -> None:
    with FarEnd(answer(content, headers=ID)) as far:
        error = _failure(api, far, way)
    assert isinstance(error, BadResponse)
    assert (error.request_id, error.backend) == ("az_1", "azure")


@BOTH
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_error_inside_a_stream_of_azures_is_named_by_its_request_id(api: Any, way: str) -> None:
    failed = b'data: {"error": {"code": "rate_limit_exceeded", "message": "slow"}}\n\n'
    begun = chunk({"content": "a"}) if api == "chat" else b"data: " + json.dumps(CREATED).encode() + b"\n\n"
    with FarEnd(answer(begun + failed, headers={**SSE, **ID})) as far:
        error = _failure(api, far, way)
    assert isinstance(error, RateLimited)
    assert error.request_id == "az_1"


def _failure(api: Any, far: FarEnd, way: str) -> GenkitError:
    backend = OpenAI(name="azure", api_key="k", base_url=f"{far.url}/openai/v1", api=api)
    with pytest.raises(GenkitError) as caught:
        _ask(backend, way)
    backend.close()
    return caught.value


def _ask(backend: OpenAI, way: str) -> None:
    asked = request("hi")

    async def ask() -> None:
        try:
            if way == "async":
                await backend.agenerate(asked)
            else:
                async for _ in backend.astream(asked):
                    pass
        finally:
            await backend.aclose()

    if way == "plain":
        backend.generate(asked)
    elif way == "stream":
        list(backend.stream(asked))
    else:
        asyncio.run(ask())


# ---------------------------------------------------------------- errors inside answers


def test_an_error_event_without_a_code_has_none() -> None:
    with pytest.raises(BadResponse, match="boom") as caught:
        streamed(CREATED, {"type": "error", "code": None, "message": "boom", "param": None})
    assert caught.value.code is None


def test_the_type_of_an_error_that_is_no_event_stays_its_code() -> None:
    with pytest.raises(RateLimited) as caught:
        streamed(CREATED, {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})
    assert caught.value.code == "rate_limit_error"


def test_a_bare_error_object_in_a_stream_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="no such field"):
        streamed(CREATED, {"object": "error", "message": "no such field", "code": 400})


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"object": "error", "message": "m", "code": 429}, RateLimited),
        ({"object": "error", "message": "m", "type": "invalid_request_error"}, InvalidRequest),
        ({"output": None, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimited),
        ({"output": None, "error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimited),
        ({"output": [], "error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimited),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimited),
    ],
)
def test_an_error_in_place_of_an_answer_is_typed(data: dict[str, Any], kind: type[GenkitError]) -> None:
    with pytest.raises(kind) as caught:
        decode(data)
    assert (caught.value.request_id, caught.value.sent) == ("req_1", True)


# ---------------------------------------------------------------- sampling


@BOTH
@pytest.mark.parametrize("setting", [{"temperature": 1}, {"temperature": 1.0, "top_p": 1}, {"top_logprobs": 0}])
def test_the_default_of_a_reasoning_model_is_left_out_without_a_word(api: str, setting: dict[str, Any]) -> None:
    wire = wire_of(api, model="gpt-5", **setting)
    assert not wire.body.keys() & {"temperature", "top_p", "top_logprobs"}
    assert not wire.warnings


@pytest.mark.parametrize(
    ("extra", "taken"),
    [("high", False), ("none", True)],
)
@BOTH
def test_sampling_is_judged_by_the_effort_that_extra_sends(api: str, extra: str, taken: bool) -> None:
    option = {"reasoning": {"effort": extra}} if api == "responses" else {"reasoning_effort": extra}
    asked = "none" if extra == "high" else "low"
    wire = wire_of(api, model="gpt-5.2", temperature=0.5, reasoning=asked, extra={"openai": option})
    assert ("temperature" in wire.body) is taken
    assert subjects(wire) == ([] if taken else ["temperature"])


def test_an_effort_that_extra_takes_away_is_not_sent_and_not_judged_by() -> None:
    wire = wire_of(
        "responses", model="gpt-5.2", temperature=0.5, reasoning="high", extra={"openai": {"reasoning": None}}
    )
    assert (wire.body["reasoning"], wire.body["temperature"]) == (None, 0.5)
