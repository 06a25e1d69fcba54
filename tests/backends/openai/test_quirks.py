"""OpenAI's rows of the list of vendor quirks, one test or more for each, named after what it does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from genkit.backends.openai import OpenAI, chat, failures, responses
from genkit.errors import ContentBlocked, InvalidRequest, RateLimited, ServerError, StreamInterrupted, Unsupported
from genkit.types import (
    Audio,
    Done,
    Event,
    Image,
    Message,
    Request,
    Schema,
    Settings,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
)
from tests.backends.openai.chat_cases import (
    DONE,
    GROQ,
    SERVICES,
    answered,
    body,
    chunk,
    request,
    said,
    streamed,
    subjects,
    wire_of,
)
from tests.farend import Call, FarEnd, answer

SSE = {"content-type": "text/event-stream"}


def asked(**fields: Any) -> Request:
    return request("Hi", model="m", **fields)


# 6
@pytest.mark.parametrize("model", ["o1", "o3-mini", "gpt-5", "gpt-5.2", "gpt-6-astra", "gpt-9"])
def test_reasoning_models_get_their_instructions_from_a_developer(model: str) -> None:
    assert said(Message.system("Be terse"), "Hi", model=model)[0]["role"] == "developer"


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "ft:gpt-4o-mini:me::1"])
def test_other_models_get_their_instructions_from_the_system(model: str) -> None:
    assert said(Message.system("Be terse"), "Hi", model=model)[0]["role"] == "system"


def test_compatible_services_never_hear_of_a_developer() -> None:
    assert said(Message.system("Be terse"), "Hi", model="openai/gpt-5", service=GROQ)[0]["role"] == "system"


# 20
def test_a_tool_result_needs_no_name_on_this_wire() -> None:
    sent = said("Hi", Message.assistant(ToolCall(id="1", name="f", arguments={})), Message.tool(ToolResult(id="1")))
    assert sent[2] == {"role": "tool", "tool_call_id": "1", "content": ""}


# 24
def test_parallel_tool_calls_can_be_forbidden() -> None:
    assert body(request(tools=(Tool(name="f"),), parallel_tool_calls=False))["parallel_tool_calls"] is False


# 42
OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize("encode", [chat.encode, responses.encode])
def test_a_schema_that_strict_mode_refuses_is_sent_without_it_and_reported(encode: Any) -> None:
    tool = Tool(name="weather", parameters=OPEN, strict=True)
    wire = encode(
        request(tools=(tool,), output_schema=Schema(json_schema=OPEN)), SERVICES["openai"], origin="o", stream=False
    )
    sent = json.dumps(wire.body)
    assert '"strict": true' not in sent
    assert sent.count('"strict": false') == 2
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "strict"), ("changed", "output_schema")]
    assert "additionalProperties" in wire.warnings[1].message


@pytest.mark.parametrize("encode", [chat.encode, responses.encode])
def test_strictness_at_compatible_services_is_their_own_affair(encode: Any) -> None:
    wire = encode(request(output_schema=Schema(json_schema=OPEN)), GROQ, origin="o", stream=False)
    assert '"strict": true' in json.dumps(wire.body)
    assert not wire.warnings


# 35
SAMPLING = {"temperature": 0.5, "top_p": 0.5, "presence_penalty": 1.0, "frequency_penalty": 1.0, "logprobs": True}


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "gpt-5.5", "gpt-6-astra", "a-model-of-next-year"])
def test_reasoning_models_are_not_sent_the_sampling_settings_they_refuse(model: str) -> None:
    wire = wire_of(request(model=model, **SAMPLING))
    assert not SAMPLING.keys() & wire.body.keys()
    assert set(subjects(wire)) == set(SAMPLING)


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.5", "gpt-5.6-sol"])
def test_sampling_is_allowed_again_with_effort_none(model: str) -> None:
    wire = wire_of(request(model=model, reasoning="none", **SAMPLING))
    assert SAMPLING.items() <= wire.body.items()
    assert wire.warnings == ()


@pytest.mark.parametrize(("model", "sampled"), [("gpt-5.1", True), ("gpt-5.4", True), ("gpt-5.5", False)])
def test_without_an_effort_the_models_own_default_decides(model: str, sampled: bool) -> None:
    assert ("temperature" in body(request(model=model, temperature=0.5))) is sampled


def test_sampling_is_dropped_when_an_effort_is_asked_for() -> None:
    assert subjects(wire_of(request(model="gpt-5.1", reasoning="low", temperature=0.5))) == ["temperature"]


def test_a_sampling_setting_at_its_default_loses_nothing_and_is_not_reported() -> None:
    wire = wire_of(request(model="gpt-5", temperature=1, top_p=1.0))
    assert wire.warnings == ()
    assert set(wire.body) == {"model", "messages"}


def test_max_tokens_has_its_newer_name_at_openai_and_the_older_elsewhere() -> None:
    assert body(request(max_tokens=9))["max_completion_tokens"] == 9
    assert body(request(model="x", max_tokens=9), SERVICES["together"])["max_tokens"] == 9


# 36
@pytest.mark.parametrize("fields", [{"stop": "x"}, {"seed": 1}, {"presence_penalty": 1.0}, {"n": 2}])
def test_what_responses_lacks_sends_a_request_to_chat(fields: dict[str, Any]) -> None:
    assert OpenAI().plan(request(model="gpt-5", **fields, on_unsupported="ignore")).api == "chat"


def test_logit_bias_sends_a_request_to_chat() -> None:
    assert OpenAI().plan(request(extra={"openai": {"logit_bias": {"1": 5}}})).api == "chat"


@pytest.mark.parametrize("fields", [{"n": 1}, {"temperature": 0.5}, {"max_tokens": 20}])
def test_what_both_have_stays_with_responses(fields: dict[str, Any]) -> None:
    assert OpenAI().plan(request(**fields)).api == "responses"


def test_a_stop_text_is_never_dropped_where_responses_is_forced() -> None:
    with pytest.raises(Unsupported, match="stop"):
        OpenAI(api="responses").plan(request(stop="x"))


# 47
def test_json_mode_without_the_word_json_is_refused_before_it_is_sent() -> None:
    form = {"openai": {"response_format": {"type": "json_object"}}}
    with pytest.raises(InvalidRequest, match='"json"'):
        body(request("Three colours", extra=form))
    assert body(request("Three colours as JSON", extra=form))["response_format"] == {"type": "json_object"}


# 52
def test_sound_goes_to_chat_as_base64_and_format() -> None:
    plan = OpenAI().plan(request(Message.user(Audio(data=b"abc", mime="audio/wav")), model="gpt-realtime-next"))
    assert plan.api == "chat"
    assert plan.body["messages"][0]["content"][0]["input_audio"] == {"data": "YWJj", "format": "wav"}


def test_a_picture_in_a_tool_result_follows_on_a_user_turn_after_all_results() -> None:
    calls = Message.assistant(ToolCall(id="1", name="f", arguments={}), ToolCall(id="2", name="g", arguments={}))
    picture = ToolResult(id="1", name="f", parts=(Text(text="see"), Image(url="https://example.com/a.png")))
    wire = wire_of(request("Hi", calls, Message.tool(picture), Message.tool(ToolResult(id="2")), Message.user("So?")))
    sent = wire.body["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert sent[4]["content"][1]["image_url"]["url"] == "https://example.com/a.png"
    assert "follows" in json.dumps(sent[2])
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "image")]


# 56
def test_tokens_used_up_by_thinking_give_an_answer_without_content() -> None:
    got = answered({"content": None}, finish_reason="length")
    assert (got.text, got.finish, got.message.parts) == ("", "length", ())


# 58
def test_an_error_inside_a_stream_with_status_200_is_raised_with_what_had_come() -> None:
    def script(call: Call) -> None:
        call.head(200, SSE)
        call.chunk(chunk({"content": "Hel"}))
        call.chunk(b'data: {"error": {"message": "overloaded", "code": "server_error"}}\n\n')
        call.end()

    with FarEnd(script) as far:
        backend = OpenAI(base_url=far.url)
        with pytest.raises(ServerError, match="overloaded") as caught:
            list(backend.stream(asked()))
        backend.close()
    assert caught.value.response is not None
    assert (caught.value.response.text, caught.value.response.complete) == ("Hel", False)


# 59
@pytest.mark.parametrize("text", ["429 tokens are too many", "rate_limit must be a number", "insufficient_quota?"])
def test_words_in_a_message_never_decide_what_an_error_is(text: str) -> None:
    content = json.dumps({"error": {"message": text, "type": "invalid_request_error", "code": None}}).encode()
    assert type(failures.failure(400, {}, content, backend="openai")) is InvalidRequest


# 60
def test_an_error_before_the_first_event_comes_with_the_first_event() -> None:
    with FarEnd(answer(b'{"error": {"message": "slow down"}}', status=429)) as far:
        backend = OpenAI(base_url=far.url)
        events = backend.stream(asked())
        with pytest.raises(RateLimited) as caught:
            next(events)
        backend.close()
    assert caught.value.response is None


# 61
def test_usage_is_asked_for_in_streams_only() -> None:
    assert body(request(), stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body(request())
    assert "stream_options" not in body(request(model="x"), SERVICES["mistral"], stream=True)


def test_usage_in_a_last_chunk_without_choices_is_read() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    _, response = streamed(chunk({"content": "a"}), chunk({}, finish="stop"), chunk(usage=usage), DONE)
    assert response.usage.total == 7


def test_usage_on_every_chunk_is_not_added_up() -> None:
    counts = [{"prompt_tokens": 5, "completion_tokens": n} for n in (1, 2, 3)]
    _, response = streamed(
        *[chunk({"content": "a"}, usage=count) for count in counts],
        chunk({}, finish="stop", usage=counts[-1]),
        chunk(usage=counts[-1]),
        DONE,
    )
    assert (response.text, response.usage.total) == ("aaa", 8)


# 64
def test_cached_tokens_are_taken_out_of_the_input() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}
    _, response = streamed(chunk({"content": "a"}, finish="stop"), chunk(usage=usage), DONE)
    assert (response.usage.input, response.usage.cache_read, response.usage.total_input) == (2, 8, 10)


# 67
def test_googles_compatible_route_prefers_google_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "gemini")
    monkeypatch.setenv("GOOGLE_API_KEY", "google")
    with FarEnd(answer(json.dumps(SIMPLE).encode())) as far:
        backend = OpenAI(name="google-openai", base_url=far.url)
        backend.generate(asked())
        backend.close()
    assert far.requests[0].headers["authorization"] == "Bearer google"


def test_vertex_needs_project_and_location_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.errors import ConfigError

    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_LOCATION"):
        OpenAI(name="vertex-openai", api_key="k").generate(asked())
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west1")
    url = OpenAI(name="vertex-openai").plan(asked()).url
    assert url.startswith("https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/")


# ---------------------------------------------------------------- over real sockets

SIMPLE: dict[str, Any] = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}


def tell(call: Call) -> None:
    """Answer "Hello", whole or in pieces, as asked."""
    if not json.loads(call.request.body).get("stream"):
        call.answer(json.dumps({**SIMPLE, "created": 7}).encode())
        return
    call.head(200, SSE)
    call.chunk(chunk({"content": "Hel"}, id="c", model="m"))
    call.chunk(chunk({"content": "lo"}, id="c", model="m"))
    call.chunk(chunk({}, finish="stop", id="c", model="m") + DONE)
    call.end()


def test_all_four_ways_to_ask_give_the_same_response() -> None:
    async def both(backend: OpenAI) -> list[Any]:
        plain = await backend.agenerate(asked())
        events = [event async for event in backend.astream(asked())]
        await backend.aclose()
        return [plain, done(events)]

    with FarEnd(tell) as far:
        backend = OpenAI(base_url=far.url)
        responses = [backend.generate(asked()), done(list(backend.stream(asked()))), *asyncio.run(both(backend))]
        backend.close()
    assert len({r.model_copy(update={"timing": None}).model_dump_json() for r in responses}) == 1
    assert responses[0].text == "Hello"


def done(events: list[Event]) -> Any:
    assert isinstance(events[-1], Done)
    return events[-1].response


def test_a_stream_that_ends_without_terminator_is_interrupted_and_keeps_what_came() -> None:
    def script(call: Call) -> None:
        call.head(200, SSE)
        call.chunk(chunk({"content": "Hel"}))
        call.end()

    with FarEnd(script) as far:
        backend = OpenAI(base_url=far.url)
        events = backend.stream(asked())
        got = [event for event in (next(events), next(events)) if isinstance(event, TextDelta)]
        with pytest.raises(StreamInterrupted) as caught:
            list(events)
        backend.close()
    assert got[0].text == "Hel"
    assert caught.value.response is not None
    assert caught.value.response.text == "Hel"


def test_a_whole_answer_where_a_stream_was_asked_for_is_streamed_anyway() -> None:
    with FarEnd(answer(json.dumps(SIMPLE).encode())) as far:
        backend = OpenAI(base_url=far.url)
        events = list(backend.stream(asked()))
        backend.close()
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
    assert done(events).complete


def test_a_prompt_that_azure_filters_is_blocked_content() -> None:
    error = {
        "message": "The response was filtered",
        "code": "content_filter",
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    with FarEnd(answer(json.dumps({"error": error}).encode(), status=400)) as far:
        backend = OpenAI(name="azure", base_url=far.url, api_key="k")
        with pytest.raises(ContentBlocked) as caught:
            backend.generate(asked(seed=1))
        backend.close()
    assert (caught.value.code, caught.value.backend) == ("content_filter", "azure")


def test_what_azure_says_about_filters_in_a_stream_is_kept() -> None:
    clean = {"hate": {"filtered": False, "severity": "safe"}}
    after = chunk({}, finish=None).replace(b'"delta": {}', b'"content_filter_results": ' + json.dumps(clean).encode())
    _, response = streamed(
        chunk(prompt_filter_results=[{"prompt_index": 0, "content_filter_results": clean}]),
        chunk({"content": "a"}),
        after,
        chunk({}, finish="stop"),
        DONE,
    )
    assert response.text == "a"
    assert response.native is not None
    assert response.native["prompt_filter_results"][0]["content_filter_results"] == clean
    assert response.native["choices"][0]["content_filter_results"] == clean


def test_settings_are_the_closed_set() -> None:
    """Each setting of genkit is sent somewhere, reported or refused; none is forgotten."""
    values: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 5,
        "max_tokens": 20,
        "stop": ("x",),
        "seed": 1,
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "reasoning": "low",
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "cache_prompt": "1h",
        "timeout": 5,
    }
    assert values.keys() == Settings.model_fields.keys()
    for service in SERVICES.values():
        for name, value in values.items():
            bare = request(model="m", tools=(Tool(name="f"),))
            given = bare.model_copy(update={"settings": Settings(**{name: value})})
            try:
                wire = wire_of(given, service)
            except Unsupported:
                continue
            heard = wire.body != wire_of(bare, service).body or wire.warnings or wire.timeouts.total is not None
            assert heard, f"{service.name} forgot {name}"
