"""The reasoning of Chat Completions: under one name or two, in pieces, and on its way back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.backends.openai import chat
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange
from genkit.events import fold
from genkit.types import BlockStart, Message, Opaque, Part, Text, Thinking, ThinkingDelta, ToolResult
from tests.backends.openai.chat_cases import (
    DONE,
    ORIGIN,
    WIRE,
    answered,
    chunk,
    frame,
    parts,
    request,
    said,
    streamed,
    subjects,
    wire_of,
)

DEEPSEEK = SERVICES["deepseek"]
BOTH = {"reasoning_content": "long", "reasoning": "short"}
CALL = {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}


def second(text: str, field: str = "reasoning") -> Thinking:
    return Thinking(text=text, origin=ORIGIN, native={"field": field})


def streamed_parts(*deltas: dict[str, Any]) -> tuple[Part, ...]:
    events, response = streamed(*map(chunk, deltas), chunk({}, finish="stop"), DONE)
    assert fold(events) == response
    shown: dict[int, str] = {}
    for event in events:
        if isinstance(event, ThinkingDelta):
            shown[event.index] = shown.get(event.index, "") + event.text
    thoughts = [part.text for part in response.message.parts if isinstance(part, Thinking) and part.text]
    assert [shown[index] for index in sorted(shown)] == thoughts
    return response.message.parts


# ---------------------------------------------------------------- two names


def test_another_text_under_the_second_name_is_a_part_of_its_own_before_the_answer() -> None:
    assert parts({**BOTH, "content": "x"}) == (Thinking(text="long"), second("short"), Text(text="x"))


def test_another_text_under_the_second_name_stands_before_a_call() -> None:
    kinds = [part.kind for part in parts({**BOTH, "content": None, "tool_calls": [CALL]})]
    assert kinds == ["thinking", "thinking", "tool_call"]


def test_another_text_under_the_second_name_is_all_there_is() -> None:
    assert parts({**BOTH, "content": ""}) == (Thinking(text="long"), second("short"))


def test_a_beginning_of_the_text_under_the_second_name_is_another_text() -> None:
    found = parts({"reasoning_content": "long and", "reasoning": "long", "content": "x"})
    assert found == (Thinking(text="long and"), Text(text="x"), second("long"))


@given(st.text("ab", min_size=1, max_size=4), st.text("ab", min_size=1, max_size=4), st.sampled_from(["", "x"]))
def test_both_texts_are_there_once_whether_streamed_or_not(first: str, other: str, content: str) -> None:
    sent = {"reasoning_content": first, "reasoning": other}
    expected = [first] if first == other else [first, other]
    plain = parts({**sent, "content": content})
    assert [part.text for part in plain if isinstance(part, Thinking)] == expected
    assert streamed_parts(sent, {"content": content}) == plain
    # In pieces of any length, side by side.
    pieces = [
        {"reasoning_content": first[at : at + 1], "reasoning": other[2 * at : 2 * at + 2]}
        for at in range(max(len(first), len(other)))
    ]
    assert streamed_parts(*pieces, {"content": content}) == plain


def test_the_same_text_under_the_second_name_after_the_answer_is_not_doubled() -> None:
    found = streamed_parts(
        {"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "x"}, {"reasoning": "hm"}
    )
    assert found == (Thinking(text="hm"), Text(text="x"))


def test_the_name_that_comes_first_in_a_stream_is_shown_as_it_comes() -> None:
    events, response = streamed(
        chunk({"reasoning": "sh"}),
        chunk({"reasoning": "ort", "reasoning_content": "lo"}),
        chunk({"reasoning_content": "ng"}),
        chunk({"content": "x"}, finish="stop"),
        DONE,
    )
    assert response.message.parts == (Thinking(text="short"), second("long", "reasoning_content"), Text(text="x"))
    assert [type(event) for event in events[:3]] == [BlockStart, ThinkingDelta, ThinkingDelta]


def test_what_comes_later_under_the_second_name_follows() -> None:
    found = streamed_parts(BOTH, {"content": "x"}, {"reasoning": "er"})
    assert found == (Thinking(text="long"), second("short"), Text(text="x"), second("er"))


def test_reasoning_that_is_no_text_is_kept() -> None:
    native = answered({"reasoning": {"summary": "hm"}, "content": "x"}).native or {}
    assert native["choices"] == [{"index": 0, "reasoning": {"summary": "hm"}}]


# ---------------------------------------------------------------- the way back


@pytest.mark.parametrize("first", ["reasoning_content", "reasoning"])
def test_only_what_stood_in_the_field_that_a_service_wants_goes_back_there(first: str) -> None:
    _, response = streamed(
        chunk({first: BOTH[first]}), chunk(BOTH | {first: ""}), chunk({"tool_calls": [CALL]}, finish="tool_calls"), DONE
    )
    assert response.thinking in ("longshort", "shortlong")
    sent = said("Hi", response.message, Message.tool(ToolResult(id="c")), service=DEEPSEEK)[1]
    assert sent["reasoning_content"] == "long"
    assert "reasoning" not in sent


def test_a_text_under_both_names_goes_back_once() -> None:
    got = answered({"reasoning_content": "hm", "reasoning": "hm", "tool_calls": [CALL]})
    assert said("Hi", got.message, service=DEEPSEEK)[1]["reasoning_content"] == "hm"


def test_a_text_under_the_other_name_alone_goes_back_in_the_field_that_a_service_wants() -> None:
    got = answered({"reasoning": "hm", "tool_calls": [CALL]})
    assert said("Hi", got.message, service=DEEPSEEK)[1]["reasoning_content"] == "hm"


def test_two_texts_of_reasoning_go_nowhere_where_none_is_wanted() -> None:
    answer = answered({**BOTH, "tool_calls": [CALL]}).message
    wire = wire_of(request("Hi", answer, Message.tool(ToolResult(id=answer.tool_calls[0].id))))
    assert wire.body["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert subjects(wire) == ["thinking"]


# ---------------------------------------------------------------- details


def test_each_detail_of_a_whole_answer_stays_one_of_its_own() -> None:
    details = [{"type": "reasoning.encrypted", "data": "a"}, {"type": "reasoning.encrypted", "data": "b"}]
    _, thought = parts({"reasoning_details": details, "content": "x"})
    assert thought.native == {"reasoning_details": details}


def test_details_with_ids_of_their_own_are_not_joined_in_a_stream() -> None:
    details = [{"type": "reasoning.encrypted", "id": name, "data": name} for name in "ab"]
    (thought,) = streamed_parts(*({"reasoning_details": [detail]} for detail in details))
    assert thought.native == {"reasoning_details": details}


def test_details_of_two_parts_go_back_together() -> None:
    thoughts = [Thinking(origin=ORIGIN, native={"reasoning_details": [{"data": name}]}) for name in "ab"]
    assert said("Hi", Message.assistant(*thoughts, "x"))[1]["reasoning_details"] == [{"data": "a"}, {"data": "b"}]


@pytest.mark.parametrize("text", ["hm", None])
def test_details_of_a_stream_that_broke_off_are_kept(text: str | None) -> None:
    detail = {"type": "reasoning.text", "signature": "s"}
    decoder = chat.Decoder(WIRE, backend="openai")
    decoder.feed(frame(chunk({"reasoning": text, "reasoning_details": [detail]})))
    decoder.feed(frame(chunk({"content": "x"})))
    found = {part.kind: part for part in decoder.response(Exchange()).message.parts}
    assert found["thinking"].native == {"reasoning_details": [detail]}
    assert found["text"] == Text(text="x")


# ---------------------------------------------------------------- in a list of parts


def test_thinking_in_a_list_of_parts_may_be_one_text() -> None:
    assert parts({"content": [{"type": "thinking", "thinking": "hm"}]}) == (Thinking(text="hm"),)


def test_what_is_no_text_within_thinking_is_kept() -> None:
    reference = {"type": "tool_reference", "tool": "web_search"}
    thoughts = [{"type": "text", "text": "hm"}, reference]
    found = parts({"content": [{"type": "thinking", "thinking": thoughts}]})
    assert found == (Thinking(text="hm"), Opaque(type="tool_reference", origin=ORIGIN, native=reference))
