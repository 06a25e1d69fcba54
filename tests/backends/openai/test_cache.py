"""Prompt caching: `cache_prompt`, marks on parts, and what OpenAI's newer models make of both."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from genkit.backends.openai import OpenAI, chat, responses
from genkit.backends.openai.models import NEWEST, family
from genkit.backends.services import SERVICES
from genkit.backends.wire import WireRequest
from genkit.errors import Unsupported
from genkit.types import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.backends.openai.chat_cases import request

NEW, OLD = "gpt-5.6-luna", "gpt-4o"
MARK = {"mode": "explicit"}
PNG = b"\x89PNG\r\n\x1a\n rest"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
APIS = ["chat", "responses"]


def marked(text: str = "Long", cache: Any = True) -> Text:
    return Text(text=text, cache=cache)


def sent(
    *messages: Message | str, api: str = "chat", model: str = NEW, service: str = "openai", **fields: Any
) -> WireRequest:
    asked: Request = request(*messages, model=model, **fields)
    encode = chat.encode if api == "chat" else responses.encode
    return encode(asked, SERVICES[service], origin=f"{service}/{api}", stream=False)


def turns(wire: WireRequest) -> Any:
    return wire.body["messages"] if wire.api == "chat" else wire.body["input"]


def told(wire: WireRequest) -> list[tuple[str, str]]:
    return [(warning.kind, warning.subject) for warning in wire.warnings]


def points(value: Any) -> list[Any]:
    """Return the breakpoints of a body, in order, each with the text of its block."""
    match value:
        case dict():
            own = [(value.get("text"), value["prompt_cache_breakpoint"])] if "prompt_cache_breakpoint" in value else []
            return own + [found for item in value.values() for found in points(item)]
        case list():
            return [found for item in value for found in points(item)]
        case _:
            return []


# ---------------------------------------------------------------- cache_prompt


@pytest.mark.parametrize("model", ["gpt-5.6", "gpt-6-astra", "gpt-9-unheard-of"])
def test_models_since_gpt_5_6_take_breakpoints(model: str) -> None:
    assert family(model).breakpoints


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-5.5", "o3"])
def test_older_models_take_no_breakpoints(model: str) -> None:
    assert not family(model).breakpoints
    assert NEWEST.breakpoints


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("wanted", [True, "5m"])
def test_what_is_cached_for_half_an_hour_anyway_needs_no_field_and_no_report(api: str, wanted: Any) -> None:
    wire = sent(api=api, cache_prompt=wanted)
    assert wire.body == sent(api=api).body
    assert wire.warnings == ()


def test_an_hour_in_the_cache_is_half_a_day_at_responses_and_that_is_reported() -> None:
    wire = sent(api="responses", cache_prompt="1h")
    assert wire.body["prompt_cache_options"] == {"ttl": "12h"}
    assert told(wire) == [("changed", "cache_prompt")]


def test_an_hour_in_the_cache_cannot_be_had_from_chat_and_that_is_reported() -> None:
    wire = sent(cache_prompt="1h")
    assert "prompt_cache_options" not in wire.body
    assert told(wire) == [("changed", "cache_prompt")]
    assert "half an hour" in wire.warnings[0].message


@pytest.mark.parametrize("api", APIS)
def test_no_caching_is_the_explicit_mode_without_breakpoints(api: str) -> None:
    wire = sent(api=api, cache_prompt=False)
    assert wire.body["prompt_cache_options"] == {"mode": "explicit"}
    assert points(wire.body) == []
    assert wire.warnings == ()


def test_options_of_extra_are_merged_into_what_cache_prompt_asks_for() -> None:
    extra = {"openai": {"prompt_cache_options": {"mode": "explicit"}}}
    wire = sent(Message.user(marked()), api="responses", cache_prompt="1h", extra=extra)
    assert wire.body["prompt_cache_options"] == {"ttl": "12h", "mode": "explicit"}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("wanted", "kinds"), [(True, []), (False, ["dropped"]), ("5m", ["changed"])])
def test_an_azure_deployment_of_an_older_model_says_what_openai_does(api: str, wanted: Any, kinds: list[str]) -> None:
    assert [kind for kind, _ in told(sent(api=api, model=OLD, service="azure", cache_prompt=wanted))] == kinds


def test_a_server_of_unknown_kind_is_told_nothing_of_caches_through_responses_too() -> None:
    server = OpenAI(base_url="http://localhost:1/v1", api="responses")
    assert "cache_prompt" not in server.features(NEW).settings
    wire = server.encode(request(Message.user(marked()), model=NEW, cache_prompt=True), stream=False)
    assert told(wire) == [("dropped", "cache_prompt"), ("dropped", "cache")]
    assert points(wire.body) == []


# ---------------------------------------------------------------- marks


@pytest.mark.parametrize("api", APIS)
def test_a_marked_text_is_a_block_with_a_breakpoint(api: str) -> None:
    wire = sent(Message.user(marked()), api=api)
    kind = "text" if api == "chat" else "input_text"
    assert turns(wire) == [
        {"role": "user", "content": [{"type": kind, "text": "Long", "prompt_cache_breakpoint": MARK}]}
    ]
    assert wire.warnings == ()


@pytest.mark.parametrize("api", APIS)
def test_marked_instructions_are_a_message_with_a_breakpoint(api: str) -> None:
    wire = sent(Message.system(marked("Rules")), "Hi", api=api)
    assert "instructions" not in wire.body
    assert turns(wire)[0]["role"] == "developer"
    assert points(wire.body) == [("Rules", MARK)]
    assert wire.warnings == ()


def test_instructions_without_a_mark_stay_instructions() -> None:
    assert sent(Message.system("Rules"), Message.user(marked()), api="responses").body["instructions"] == "Rules"


@pytest.mark.parametrize(
    ("api", "part"),
    [
        ("chat", Image(data=PNG, cache=True)),
        ("responses", Image(data=PNG, cache=True)),
        ("chat", Document(data=b"%PDF-1.7", cache=True)),
        ("responses", Document(data=b"%PDF-1.7", cache=True)),
    ],
)
def test_marked_media_carry_breakpoints(api: str, part: Part) -> None:
    wire = sent(Message.user("See", part), api=api)
    assert turns(wire)[0]["content"][1]["prompt_cache_breakpoint"] == MARK
    assert wire.warnings == ()


def test_marked_sound_carries_a_breakpoint_on_chat() -> None:
    wire = sent(Message.user("Hear", Audio(data=WAV, mime="audio/wav", cache=True)), model="gpt-9")
    assert turns(wire)[0]["content"][1]["prompt_cache_breakpoint"] == MARK
    assert wire.warnings == ()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("where", ["result", "part", "both"])
def test_a_marked_tool_result_carries_one_breakpoint_at_its_end(api: str, where: str) -> None:
    last = Text(text="Wet", cache=where != "result")
    result = ToolResult(id="c", name="f", parts=(Text(text="Cold"), last), cache=where != "part")
    wire = sent("Hi", Message.assistant(ToolCall(id="c", name="f", arguments={})), Message.tool(result), api=api)
    assert points(wire.body) == [("Wet", MARK)]
    assert wire.warnings == ()


@pytest.mark.parametrize("api", APIS)
def test_a_failed_result_keeps_its_mark(api: str) -> None:
    result = ToolResult(id="c", name="f", parts=(marked("No such town"),), failed=True)
    wire = sent("Hi", Message.assistant(ToolCall(id="c", name="f", arguments={})), Message.tool(result), api=api)
    assert points(wire.body) == [("Error: No such town", MARK)]


def test_a_marked_image_of_a_result_carries_its_breakpoint_to_where_it_follows_on_chat() -> None:
    result = ToolResult(id="c", name="f", parts=(Image(data=PNG),), cache=True)
    wire = sent("Hi", Message.assistant(ToolCall(id="c", name="f", arguments={})), Message.tool(result))
    assert turns(wire)[-1]["content"][-1]["prompt_cache_breakpoint"] == MARK
    assert told(wire) == [("changed", "image")]


def test_an_hour_for_a_mark_is_half_a_day_at_responses_and_that_is_reported() -> None:
    wire = sent(Message.user(marked(cache="1h")), api="responses")
    assert points(wire.body) == [("Long", {"mode": "explicit", "ttl": "12h"})]
    assert told(wire) == [("changed", "cache")]


def test_an_hour_for_a_mark_is_half_an_hour_on_chat_and_that_is_reported() -> None:
    """The package's types have a lifetime at breakpoints there, and only half an hour for the request: uncertain."""
    wire = sent(Message.user(marked(cache="1h")))
    assert points(wire.body) == [("Long", MARK)]
    assert told(wire) == [("changed", "cache")]


def test_five_minutes_for_a_mark_stay_half_an_hour_where_the_request_asks_for_more() -> None:
    alone, beside = (
        sent(Message.user(marked(cache="5m")), api="responses"),
        sent(Message.user(marked(cache="5m")), api="responses", cache_prompt="1h"),
    )
    assert points(alone.body) == [("Long", MARK)]
    assert points(beside.body) == [("Long", {"mode": "explicit", "ttl": "30m"})]
    assert told(beside) == [("changed", "cache_prompt")]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("alone", "most"), [(None, 3), (False, 4)])
def test_the_last_breakpoints_are_kept_where_there_are_more_than_a_request_writes(
    api: str, alone: bool | None, most: int
) -> None:
    marks = Message.user(*(marked(str(number)) for number in range(6)))
    wire = sent(marks, api=api, cache_prompt=alone)
    assert [text for text, _ in points(wire.body)] == [str(number) for number in range(6 - most, 6)]
    assert [text["text"] for text in turns(wire)[0]["content"]] == [str(number) for number in range(6)]
    assert told(wire) == [("dropped", "cache")]
    assert f"{most} breakpoints at most" in wire.warnings[0].message


@pytest.mark.parametrize("api", APIS)
def test_as_many_breakpoints_as_a_request_writes_are_not_reported(api: str) -> None:
    wire = sent(Message.user(*(marked(str(number)) for number in range(3))), api=api)
    assert len(points(wire.body)) == 3
    assert wire.warnings == ()


SPOKEN = Audio(data=b"x", transcript="Hello", cache=True)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "parts",
    [
        (marked("Answer"),),
        (Text(text="No", refusal=True, cache=True),),
        (ToolCall(id="c", name="f", arguments={}, cache=True),),
        (Thinking(text="", cache=True), Text(text="Answer")),
    ],
)
def test_a_mark_in_an_answer_is_reported(api: str, parts: tuple[Part, ...]) -> None:
    results = [Message.tool(ToolResult(id=part.id, name="f")) for part in parts if isinstance(part, ToolCall)]
    wire = sent("Hi", Message.assistant(*parts), *results, "And?", api=api)
    assert points(wire.body) == []
    assert told(wire) == [("dropped", "cache")]
    assert next(part.kind for part in parts if part.cache) in wire.warnings[0].message


@pytest.mark.parametrize("api", APIS)
def test_a_mark_at_a_picture_of_an_answer_goes_with_it_into_the_users_turn(api: str) -> None:
    wire = sent("Hi", Message.assistant("Here", Image(data=PNG, cache=True)), "And?", api=api)
    assert len(points(wire.body)) == 1
    assert told(wire) == [("changed", "image")]


def test_a_mark_at_the_vendors_own_picture_is_reported() -> None:
    native = {"id": "ig_1", "type": "image_generation_call", "status": "completed"}
    own = Image(data=PNG, origin="openai/responses", native=native, cache=True)
    wire = sent("Draw", Message.assistant(own), "And?", api="responses")
    assert told(wire) == [("dropped", "cache")]


def test_a_mark_at_a_spoken_answer_is_reported() -> None:
    wire = sent("Hi", Message.assistant(SPOKEN), "And?", api="responses")
    assert told(wire) == [("changed", "audio"), ("dropped", "cache")]
    own = SPOKEN.model_copy(update={"origin": "openai/chat", "native": {"id": "audio_1"}})
    assert told(sent("Hi", Message.assistant(own), "And?", model="gpt-9")) == [("dropped", "cache")]


@pytest.mark.parametrize("api", APIS)
def test_a_mark_at_the_vendors_own_block_is_reported(api: str) -> None:
    kind = "input_text" if api == "responses" else "text"
    own = Opaque(type=kind, origin=f"openai/{api}", native={"type": kind, "text": "x"}, cache=True)
    wire = sent(Message.user("Hi", own), api=api)
    assert told(wire) == [("dropped", "cache")]
    assert own.native == {"type": kind, "text": "x"}


@pytest.mark.parametrize("api", APIS)
def test_a_mark_at_an_empty_result_is_reported(api: str) -> None:
    call = ToolCall(id="c", name="f", arguments={})
    wire = sent("Hi", Message.assistant(call), Message.tool(ToolResult(id="c", name="f", cache=True)), api=api)
    assert told(wire) == [("dropped", "cache")]


def test_a_mark_at_a_result_in_the_form_of_old_is_reported() -> None:
    call = ToolCall(id="c", name="f", arguments={}, origin="openai/chat", native={"type": "function_call"})
    wire = sent("Hi", Message.assistant(call), Message.tool(ToolResult(id="c", name="f", parts=(marked(),))))
    assert turns(wire)[-1] == {"role": "function", "name": "f", "content": "Long"}
    assert told(wire) == [("dropped", "cache")]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("service", ["openai", "azure"])
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_mark_asks_older_models_for_what_happens_anyway(api: str, service: str, role: Any) -> None:
    messages = [Message(role=role, parts=(part,)) for part in (marked(), Text(text="Long"))]
    wires = [sent("Hi", message, "And?", api=api, model=OLD, service=service) for message in messages]
    assert wires[0].body == wires[1].body
    assert wires[0].warnings == ()


def test_marked_instructions_stay_instructions_for_older_models() -> None:
    wire = sent(Message.system(marked("Rules", "1h")), "Hi", api="responses", model=OLD)
    assert wire.body["instructions"] == "Rules"
    assert told(wire) == [("changed", "cache")]


@pytest.mark.parametrize("api", APIS)
def test_a_time_at_a_mark_is_not_chosen_with_older_models_and_that_is_reported(api: str) -> None:
    wire = sent(Message.user(marked(cache="5m"), marked(cache="1h"), marked(cache="1h")), api=api, model=OLD)
    assert told(wire) == [("changed", "cache"), ("changed", "cache")]
    assert points(wire.body) == []


@pytest.mark.parametrize("service", ["ollama", "groq", "mistral"])
def test_a_mark_at_a_service_that_caches_nothing_is_reported_once(service: str) -> None:
    wire = sent(Message.user(marked(), marked(cache="1h")), model="qwen3", service=service)
    assert told(wire) == [("dropped", "cache")]
    assert points(wire.body) == []


def test_a_mark_that_is_required_and_cannot_stand_is_an_error() -> None:
    with pytest.raises(Unsupported, match="cache"):
        sent(Message.user(marked()), model="qwen3", service="ollama", require=frozenset({"cache"}))


def marked_blocks(value: Any) -> list[Any]:
    if isinstance(value, dict) and "prompt_cache_breakpoint" in value:
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [block for item in inner for block in marked_blocks(item)]


@pytest.mark.parametrize("api", APIS)
def test_marked_blocks_are_what_the_types_of_the_vendors_package_allow(api: str) -> None:
    """Its typed dictionaries drop what they do not know, so a breakpoint that survives them is one of theirs."""
    pytest.importorskip("openai")
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionContentPartTextParam
    from openai.types.responses import ResponseFunctionCallOutputItemParam, ResponseInputContentParam

    spoken: Any = ChatCompletionContentPartParam if api == "chat" else ResponseInputContentParam
    result: Any = ChatCompletionContentPartTextParam if api == "chat" else ResponseFunctionCallOutputItemParam
    wire = sent(
        Message.system(marked("Rules")),
        Message.user(Image(data=PNG, cache=True), Document(data=b"%PDF-1.7", cache="1h")),
        Message.assistant(ToolCall(id="c", name="f", arguments={})),
        Message.tool(ToolResult(id="c", name="f", parts=(marked(),))),
        api=api,
        cache_prompt=False,
    )
    blocks = marked_blocks(turns(wire))
    assert len(blocks) == 4
    for block, kind in zip(blocks, (spoken, spoken, spoken, result), strict=True):
        assert TypeAdapter(kind).validate_python(block)["prompt_cache_breakpoint"] == block["prompt_cache_breakpoint"]
