"""Whole answers of the Responses interface, on plain dicts."""

import base64

import pytest

from genkit.backends.openai import responses
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import BadResponse, ContentBlocked, RateLimited, ServerError
from genkit.types import (
    CallWarning,
    Image,
    Message,
    Opaque,
    Request,
    Response,
    Text,
    Thinking,
    Timing,
    ToolCall,
    ToolResult,
)

ORIGIN = "openai/responses"
WIRE = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin=ORIGIN)
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 150,
}
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "gAAA",
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city": "Oslo"}',
}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}


def message(*contents, **fields):
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "final_answer"}
    return {**item, "content": list(contents), **fields}


def said(text="Hello.", **fields):
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **fields}


def answer(*output, **fields):
    data = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5-2025", "output": list(output)}
    return {**data, "usage": USAGE, **fields}


def decode(data, exchange=None, wire=WIRE):
    return responses.decode(wire, data, exchange or Exchange(), backend="openai")


def replayed(*output, **fields):
    """Decode an answer, put it into a conversation, and return the items sent for it."""
    turn = decode(answer(*output, **fields)).message
    results = Message.tool(*(ToolResult(id=call.id) for call in turn.tool_calls))
    request = Request(model="gpt-5", messages=(Message.user("a"), turn, results, Message.user("b")))
    wire = responses.encode(request, SERVICES["openai"], origin=ORIGIN, stream=False)
    assert not wire.warnings
    return [item for item in wire.body["input"][1:-1] if not item.get("type", "").endswith("_call_output")]


# ---------------------------------------------------------------- parts


def test_an_answers_text_is_text():
    response = decode(answer(message(said())))
    assert response.text == "Hello."
    assert (response.finish, response.finish_raw, response.complete) == ("stop", "completed", True)
    assert (response.model, response.id, response.backend, response.api) == (
        "gpt-5-2025",
        "resp_1",
        "openai",
        "responses",
    )


def test_annotations_are_citations():
    note = {"type": "url_citation", "url": "https://x", "start_index": 0, "end_index": 5, "title": "X"}
    (part,) = decode(answer(message(said(annotations=[note])))).message.parts
    assert part.citations == (note,)


def test_a_refusal_is_marked_and_is_the_reason_to_finish():
    response = decode(answer(message({"type": "refusal", "refusal": "I cannot."})))
    (part,) = response.message.parts
    assert (part.text, part.refusal) == ("I cannot.", True)
    assert (response.finish, response.finish_raw) == ("refused", "completed")


def test_a_function_call_is_a_tool_call():
    response = decode(answer(CALL))
    (call,) = response.tool_calls
    assert (call.id, call.name, call.arguments, call.minted) == ("call_1", "weather", {"city": "Oslo"}, False)
    assert response.finish == "tool_calls"


def test_arguments_that_are_no_json_are_kept_as_written():
    (call,) = decode(answer({**CALL, "arguments": '{"city": '})).tool_calls
    assert (call.arguments, call.raw) == (None, '{"city": ')


def test_a_call_without_an_id_gets_the_same_one_each_time():
    bare = {"type": "function_call", "name": "f", "arguments": "{}"}
    first, second = decode(answer(bare, bare)).tool_calls
    again, _ = decode(answer(bare, bare)).tool_calls
    assert first.minted
    assert first.id == again.id != second.id


def test_the_summary_of_reasoning_is_thinking():
    response = decode(answer(REASONING, message(said())))
    assert response.thinking == "First.\n\nThen."
    assert response.message.parts[0].native == REASONING


def test_reasoning_that_is_shown_comes_before_its_summary():
    shown = {**REASONING, "content": [{"type": "reasoning_text", "text": "Really."}]}
    assert decode(answer(shown)).thinking == "Really.\n\nFirst.\n\nThen."


def test_a_made_image_is_an_image():
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "output_format": "webp"}
    (part,) = decode(answer({**item, "result": base64.b64encode(b"pixels").decode()})).message.parts
    assert isinstance(part, Image)
    assert (part.data, part.mime, part.native) == (b"pixels", "image/webp", item)


@pytest.mark.parametrize("result", [None, "no base64!"])
def test_an_image_that_was_not_made_is_kept_as_it_is(result):
    item = {"id": "ig_1", "type": "image_generation_call", "status": "failed", "result": result}
    (part,) = decode(answer(item)).message.parts
    assert isinstance(part, Opaque)
    assert part.native == item


@pytest.mark.parametrize(
    "item",
    [
        SEARCH,
        {"id": "x", "type": "something_new", "anything": [1]},
        {"id": "m", "type": "message", "role": "assistant", "content": []},
        {"id": "m", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
    ],
    ids=["web search", "unknown", "empty message", "user message"],
)
def test_an_item_without_a_word_here_is_kept_in_place(item):
    parts = decode(answer(REASONING, item, message(said()))).message.parts
    assert [part.kind for part in parts] == ["thinking", "opaque", "text"]
    assert (parts[1].type, parts[1].native, parts[1].origin) == (item["type"], item, ORIGIN)


def test_an_unknown_content_of_a_message_is_kept_in_place():
    parts = decode(answer(message(said("a"), {"type": "output_dance", "steps": 3}, said("b")))).message.parts
    assert [part.kind for part in parts] == ["text", "opaque", "text"]
    assert parts[1].type == "output_dance"


# ---------------------------------------------------------------- round trip


@pytest.mark.parametrize(
    "output",
    [
        (message(said()),),
        (message(said("a"), {"type": "refusal", "refusal": "b"}),),
        (message(said("a"), {"type": "output_dance", "steps": 3}, said("b")),),
        (message(said(annotations=[{"type": "file_path", "file_id": "f", "index": 0}]), phase=None),),
        (REASONING, CALL, {**CALL, "id": "fc_2", "call_id": "call_2", "namespace": "tools"}),
        (REASONING, SEARCH, {**REASONING, "id": "rs_2"}, message(said())),
        (REASONING, {**CALL, "arguments": '{ "a":1.0,\n"b":"\\u00e9" }'}),
        ({"id": "ig", "type": "image_generation_call", "result": "cGl4", "quality": "low"}, message(said(""))),
        ({"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAA"}, message(said())),
    ],
    ids=[
        "text",
        "refusal",
        "unknown content",
        "annotated",
        "parallel calls",
        "search between thoughts",
        "odd spelling of arguments",
        "image",
        "compaction",
    ],
)
def test_an_answer_goes_back_as_it_came(output):
    assert replayed(*output) == list(output)


def test_an_answer_goes_back_as_it_came_after_being_stored_as_json():
    response = decode(answer(REASONING, CALL))
    read = Response.model_validate_json(response.model_dump_json())
    assert read == response
    result = Message.tool(ToolResult(id=read.tool_calls[0].id))
    request = Request(model="gpt-5", messages=(Message.user("a"), read.message, result))
    wire = responses.encode(request, SERVICES["openai"], origin=ORIGIN, stream=False)
    assert wire.body["input"][1:-1] == [REASONING, CALL]


def test_an_answer_of_another_origin_sends_no_ids():
    turn = decode(answer(REASONING, message(said()), CALL)).message
    results = Message.tool(ToolResult(id=turn.tool_calls[0].id))
    request = Request(model="gpt-5", messages=(Message.user("a"), turn, results))
    wire = responses.encode(request, SERVICES["azure"], origin="azure/responses", stream=False)
    assert [item for item in wire.body["input"] if "id" in item or item.get("type") == "reasoning"] == []
    assert [w.subject for w in wire.warnings] == ["thinking"]


# ---------------------------------------------------------------- how it ended


@pytest.mark.parametrize(
    ("fields", "finish", "raw"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "length", "max_output_tokens"),
        ({"incomplete_details": {"reason": "content_filter"}}, "refused", "content_filter"),
        ({"incomplete_details": {"reason": "steered"}}, "other", "steered"),
        ({"incomplete_details": None}, "other", "incomplete"),
    ],
)
def test_an_incomplete_answer_says_why(fields, finish, raw):
    response = decode(answer(message(said()), status="incomplete", **fields))
    assert (response.finish, response.finish_raw, response.complete) == (finish, raw, True)


def test_a_cut_answer_with_a_call_ended_by_its_length():
    fields = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert decode(answer({**CALL, "arguments": '{"ci'}, **fields)).finish == "length"


def test_an_answer_cut_while_thinking_has_no_text_and_no_error():
    fields = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    response = decode(answer({"id": "rs_1", "type": "reasoning", "summary": []}, **fields))
    assert (response.text, response.finish) == ("", "length")


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_an_answer_that_is_not_there_yet_is_not_complete(status):
    response = decode(answer(status=status, usage=None))
    assert (response.finish, response.finish_raw, response.complete) == ("other", status, False)
    assert response.usage.total is None


def test_an_unknown_status_is_other():
    response = decode(answer(message(said()), status="pondered"))
    assert (response.finish, response.finish_raw, response.complete) == ("other", "pondered", True)


def test_a_server_that_leaves_the_status_out_sends_whole_answers():
    data = answer(message(said()))
    del data["status"]
    response = decode(data)
    assert (response.finish, response.complete) == ("stop", True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ServerError),
        ("rate_limit_exceeded", RateLimited),
        ("image_content_policy_violation", ContentBlocked),
    ],
)
def test_a_failed_response_is_a_typed_error_that_holds_what_there_is(code, kind):
    data = answer(message(said("Hal")), status="failed", error={"code": code, "message": "sorry"})
    with pytest.raises(kind, match="sorry") as caught:
        decode(data, Exchange({"x-request-id": "req_1"}))
    error = caught.value
    assert (error.code, error.backend, error.request_id) == (code, "openai", "req_1")
    assert (error.response.text, error.response.finish, error.response.complete) == ("Hal", "error", False)


def test_a_failed_response_without_a_reason_is_an_error_too():
    with pytest.raises(ServerError, match="did not say why"):
        decode(answer(status="failed", error=None))


def test_a_failed_response_for_an_unknown_reason_is_not_sent_again():
    with pytest.raises(BadResponse, match="sorry"):
        decode(answer(status="failed", error={"code": "brand_new", "message": "sorry"}))


@pytest.mark.parametrize("data", [{"id": "r"}, {"id": "r", "output": []}, {"id": "r", "output": None}])
def test_an_answer_without_status_and_output_is_a_bad_response(data):
    with pytest.raises(BadResponse, match="neither a status nor any output") as caught:
        decode(data, Exchange({"x-request-id": "req_1"}))
    assert caught.value.request_id == "req_1"


def test_an_error_in_place_of_an_answer_is_raised():
    with pytest.raises(RateLimited, match="slow"):
        decode({"error": {"code": "rate_limit_exceeded", "message": "slow down"}})


# ---------------------------------------------------------------- around it


def test_token_classes_never_overlap():
    usage = decode(answer(message(said()))).usage
    assert (usage.input, usage.cache_read, usage.cache_write) == (30, 60, 10)
    assert (usage.output, usage.reasoning) == (20, 30)
    assert (usage.total, usage.raw) == (150, USAGE)


def test_usage_without_details_is_all_input_and_output():
    usage = decode(answer(usage={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})).usage
    assert (usage.input, usage.output, usage.cache_read, usage.reasoning) == (3, 4, 0, 0)


def test_cached_tokens_that_a_gateway_does_not_count_as_input_make_no_negative_number():
    usage = {"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 10}}
    assert decode(answer(usage=usage)).usage.input == 0


def test_missing_usage_is_unknown_and_not_zero():
    assert decode(answer(message(said()), usage=None)).usage.total is None


def test_logprobs_are_those_of_all_texts_in_order():
    top = [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1}, {"token": "Ho", "bytes": None, "logprob": -2.0}]
    entries = [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": top}]
    more = [{"token": "!", "bytes": [33], "logprob": -0.5}]
    response = decode(answer(message(said("Hi", logprobs=entries)), message(said("!", logprobs=more), id="msg_2")))
    assert [(t.token, t.logprob, [a.token for a in t.top]) for t in response.logprobs] == [
        ("Hi", -0.1, ["Hi", "Ho"]),
        ("!", -0.5, []),
    ]


def test_logprobs_that_were_not_asked_for_are_none():
    assert decode(answer(message(said()))).logprobs is None


def test_logprobs_are_not_sent_back():
    entries = [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": []}]
    assert replayed(message(said("Hi", logprobs=entries))) == [message(said("Hi"))]


def test_native_holds_what_is_neither_elsewhere_nor_an_echo_of_the_request():
    data = answer(
        message(said()),
        service_tier="default",
        created_at=1,
        temperature=1.0,
        tools=[],
        instructions="x",
        error=None,
        previous_response_id="resp_0",
        content_filters=[{"blocked": False}],
    )
    assert decode(data).native == {
        "service_tier": "default",
        "created_at": 1,
        "previous_response_id": "resp_0",
        "content_filters": [{"blocked": False}],
    }


def test_request_id_timing_and_warnings_travel_along():
    warning = CallWarning(kind="dropped", subject="seed", message="seed dropped")
    wire = WireRequest("/responses", {}, "gpt-5", "responses", ORIGIN, warnings=(warning,))
    timing = Timing(1.0, 2.0, 3.0)
    response = decode(answer(message(said())), Exchange({"apim-request-id": "az_1"}, timing), wire)
    assert (response.request_id, response.timing, response.warnings) == ("az_1", timing, (warning,))


def test_parts_are_of_the_kinds_they_look_like():
    parts = decode(answer(REASONING, message(said()), CALL, SEARCH)).message.parts
    assert [type(part) for part in parts] == [Thinking, Text, ToolCall, Opaque]
    assert {part.origin for part in parts} == {ORIGIN}
