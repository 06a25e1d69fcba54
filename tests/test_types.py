"""The values: immutable, closed, and equal after a round trip through JSON."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from genkit.types import (
    Audio,
    BlockEnd,
    BlockStart,
    CallWarning,
    Candidate,
    Done,
    Event,
    Image,
    Message,
    Opaque,
    Reasoning,
    Request,
    Response,
    Schema,
    Score,
    Settings,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Timeouts,
    Timing,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolResult,
    Usage,
)

ANYTHING = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\x00")), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANYTHING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANYTHING, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(ANYTHING, JSON, max_size=3)
NATIVE: dict[str, Any] = {"origin": st.none() | st.just("openai/chat"), "native": st.none() | OBJECTS}
TEXTS = st.builds(Text, text=ANYTHING, refusal=st.booleans(), **NATIVE)
IMAGES = st.builds(Image, data=st.binary(max_size=40), mime=st.just("image/png"), **NATIVE)
PARTS = st.one_of(
    TEXTS,
    IMAGES,
    st.builds(Thinking, text=ANYTHING, redacted=st.booleans(), **NATIVE),
    st.builds(Audio, url=ANYTHING, transcript=st.none() | ANYTHING),
    st.builds(ToolCall, id=ANYTHING, name=ANYTHING, arguments=st.none() | OBJECTS, raw=st.none() | ANYTHING, **NATIVE),
    st.builds(ToolResult, id=ANYTHING, parts=st.lists(TEXTS | IMAGES, max_size=2).map(tuple), failed=st.booleans()),
    st.builds(Opaque, type=ANYTHING, **NATIVE),
)
MESSAGES = st.builds(
    Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), parts=st.lists(PARTS, max_size=3).map(tuple)
)


@given(MESSAGES)
def test_messages_survive_json_whatever_text_and_bytes_they_hold(message: Message) -> None:
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_all_byte_values_survive_json() -> None:
    image = Image(data=bytes(range(256)), mime="image/png")
    assert Image.model_validate_json(image.model_dump_json()).data == bytes(range(256))


def test_text_with_lone_surrogates_survives_json() -> None:
    for text in ("\ud800", "a\udfffb\x00", '"\\ud800'):
        assert Text.model_validate_json(Text(text=text).model_dump_json()).text == text


@given(st.builds(ToolCall, id=ANYTHING, name=ANYTHING, arguments=OBJECTS))
def test_lone_surrogates_survive_as_json_values_too(call: ToolCall) -> None:
    assert ToolCall.model_validate(call.model_dump(mode="json")) == call


def test_json_values_are_those_of_the_json_text() -> None:
    message = Message.user(
        Image(data=b"\xff", mime="image/png"), Text(text="\U0001f600", native={"\ud800": [1, 2.5, None]})
    )
    assert message.model_dump(mode="json") == json.loads(message.model_dump_json())
    assert message.model_dump(mode="json", include={"role"}) == {"role": "user"}


def test_requests_and_responses_survive_json_with_every_field_set() -> None:
    request = Request(
        model="m",
        messages=(Message.system("s"), Message.user("u", Image(url="http://x/y.png")), Message.assistant("a")),
        settings=Settings(temperature=0.5, stop=("a", "b"), reasoning="low", tool_choice="required", timeout=3),
        tools=(Tool(name="t", description="d", parameters={"type": "object"}),),
        output_schema=Schema(json_schema={"type": "object"}),
        extra={"openai": {"user": "u"}},
        on_unsupported="error",
        require=frozenset({"seed"}),
    )
    assert Request.model_validate_json(request.model_dump_json()) == request
    response = Response[Any](
        message=Message.assistant("a"),
        finish="stop",
        usage=Usage(input=1, output=2, raw={"x": 1}),
        warnings=(CallWarning(kind="dropped", subject="seed", message="no"),),
        timing=Timing(started=1.0, first=0.1, total=0.2),
        alternatives=(Candidate(message=Message.assistant("b"), finish="length"),),
        logprobs=(TokenLogprob("a", -0.1, (TokenLogprob("a", -0.1), TokenLogprob("b", -2.0))),),
        native={"system_fingerprint": "fp"},
    )
    assert Response[Any].model_validate_json(response.model_dump_json()) == response


def test_events_survive_json() -> None:
    adapter: TypeAdapter[Event] = TypeAdapter(Event)
    done = Done(Response(message=Message.assistant("a"), finish="stop"))
    for event in (BlockStart(0, "text"), TextDelta(0, "a"), BlockEnd(0, Text(text="a")), done):
        assert adapter.validate_json(adapter.dump_json(event)) == event


@pytest.mark.parametrize("value", [Text(text="a"), Settings(), Request(model="m", messages=()), Timeouts()])
def test_values_cannot_be_changed(value: Any) -> None:
    with pytest.raises(ValidationError):
        setattr(value, next(iter(type(value).model_fields)), "other")


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Text(text="a", txt="b")  # type: ignore[call-arg]


@pytest.mark.parametrize("sources", [{}, {"data": b"a", "url": "u"}, {"url": "u", "file_id": "f"}])
def test_media_has_exactly_one_source(sources: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        Image(**sources)


def test_the_shown_form_of_media_leaves_its_bytes_out() -> None:
    assert "secret" not in repr(Image(data=b"secret", mime="image/png"))


def test_usage_adds_up_class_by_class() -> None:
    both = Usage(input=1, output=2, cache_read=3, reasoning=4) + Usage(input=10, output=20, cache_read=30)
    assert (both.input, both.output, both.cache_read, both.reasoning) == (11, 22, 33, 4)
    assert both.total == 70
    assert (both.total_input, both.total_output) == (44, 26)


def test_an_unknown_count_makes_every_sum_with_it_unknown() -> None:
    assert Usage().total is None
    assert (Usage(input=1, output=2) + Usage(input=1)).output is None
    assert (Usage(input=1, output=2) + Usage(input=1)).input == 2


def test_an_estimate_stays_one_in_a_sum() -> None:
    assert (Usage(input=1, output=1, estimated=True) + Usage(input=1, output=1)).estimated


def test_settings_know_which_of_them_were_given() -> None:
    assert Settings().given() == set()
    assert Settings(temperature=0, stop="a", seed=None).given() == {"temperature", "stop"}


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"stop": "a"}, {"stop": ("a",)}),
        ({"reasoning": "low"}, {"reasoning": Reasoning(effort="low")}),
        ({"tool_choice": "none"}, {"tool_choice": ToolChoice(mode="none")}),
        ({"timeout": 3}, {"timeout": Timeouts(total=3)}),
        ({"timeout": None}, {"timeout": Timeouts(connect=None, first=None, idle=None, total=None)}),
    ],
)
def test_settings_take_short_forms(given_: dict[str, Any], meant: dict[str, Any]) -> None:
    assert Settings(**given_) == Settings(**meant)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": float("nan")},
        {"temperature": -1},
        {"top_p": 0},
        {"max_tokens": 0},
        {"stop": ""},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"reasoning": "lots"},
        {"tool_choice": "maybe"},
        {"n": 0},
        {"temperature": True},
        {"temperature": "0.5"},
        {"seed": True},
        {"seed": "1"},
        {"timeout": True},
        {"timeout": {"first": True}},
        {"timeout": {"idle": "5"}},
        {"reasoning": {"budget": True}},
        {"stop": 5},
        {"stop": [5]},
    ],
)
def test_settings_refuse_values_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_a_score_sums_the_tokens_that_have_a_probability() -> None:
    assert Score(tokens=("a", "b", "c"), logprobs=(None, -1.0, -0.5)).total == -1.5


def test_a_message_gives_its_text_and_its_tool_calls() -> None:
    call = ToolCall(id="1", name="f", arguments={})
    message = Message.assistant("a", Thinking(text="hm"), "b", call)
    assert (message.text, message.tool_calls) == ("ab", (call,))


def test_a_typed_output_survives_json() -> None:
    class Trip(BaseModel):
        day: date

    response = Response[Trip](message=Message.assistant("a"), finish="stop", output=Trip(day=date(2026, 1, 2)))
    assert Response[Trip].model_validate_json(response.model_dump_json()) == response


def test_an_impossible_token_survives_json() -> None:
    response = Response[Any](
        message=Message.assistant("a"), finish="stop", logprobs=(TokenLogprob("a", float("-inf")),)
    )
    assert Response[Any].model_validate_json(response.model_dump_json()) == response


def test_json_may_be_asked_for_in_ascii_and_indented() -> None:
    assert Text(text="é").model_dump_json(ensure_ascii=True).isascii()
    assert "\n" in Text(text="é").model_dump_json(indent=2)
    assert Text.model_validate_json('{"text": "\\uD83D"}').text == "\ud83d"


@pytest.mark.parametrize("kind", [TextDelta, ThinkingDelta, ToolCallDelta])
def test_equal_deltas_have_one_hash_and_hold_no_further_attributes(kind: Any) -> None:
    assert len({kind(0, "a"), kind(0, "a"), kind(0, "b"), kind(1, "a")}) == 3
    with pytest.raises(AttributeError):
        kind(0, "a").other = 1
