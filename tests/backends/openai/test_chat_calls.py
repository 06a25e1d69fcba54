"""Tool calls in pieces, as the services that number or name them in their own way send them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from genkit.types import TextDelta
from tests.backends.openai.chat_cases import DONE, answered, chunk, said, streamed

Found = list[tuple[str, Any]]


def piece(name: str | None, arguments: str | None, *, index: int | None = 0, id: str | None = "") -> bytes:  # noqa: A002  # their word
    """Return a chunk with one piece of a call; what is None is left out."""
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": id, "function": {key: value for key, value in function.items() if value is not None}}
    return chunk({"tool_calls": [{key: value for key, value in call.items() if value is not None}]})


def calls(*pieces: bytes) -> Found:
    """Return names and arguments of the calls of a stream."""
    _, response = streamed(*pieces, chunk({}, finish="tool_calls"), DONE)
    return [(call.name, call.arguments if call.arguments is not None else call.raw) for call in response.tool_calls]


@pytest.mark.parametrize("index", [0, None])
def test_a_piece_without_a_name_goes_on_with_the_call_whatever_its_id(index: int | None) -> None:
    pieces = [piece("look", "", id="t1", index=index), piece(None, '{"x":', id="t2", index=index)]
    assert calls(*pieces, piece(None, "1}", id="t3", index=index)) == [("look", {"x": 1})]


def test_a_new_id_with_every_piece_keeps_calls_apart_by_index() -> None:
    pieces = [piece("a", "", id="t1"), piece(None, '{"x":1}', id="t2"), piece("b", "", id="t3", index=1)]
    assert calls(*pieces, piece(None, '{"y":2}', id="t4", index=1)) == [("a", {"x": 1}), ("b", {"y": 2})]


def test_a_piece_without_a_name_finds_its_call_by_id_where_all_are_numbered_0() -> None:
    pieces = [piece("a", "", id="1"), piece("b", "", id="2"), piece(None, '{"x":1}', id="1")]
    assert calls(*pieces, piece(None, '{"y":2}', id="2")) == [("a", {"x": 1}), ("b", {"y": 2})]


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("second", ["weather", "time"])
@pytest.mark.parametrize("id", ["", None])
def test_whole_calls_without_ids_under_one_index_are_calls_of_their_own(
    second: str,
    id: str | None,  # noqa: A002  # their word
    index: int | None,
) -> None:
    got = calls(
        piece("weather", '{"at":"Oslo"}', id=id, index=index), piece(second, '{"at":"Rome"}', id=id, index=index)
    )
    assert got == [("weather", {"at": "Oslo"}), (second, {"at": "Rome"})]


def test_whole_calls_without_arguments_under_one_index_are_calls_of_their_own() -> None:
    assert calls(piece("a", "{}"), piece("a", "{}"), piece("b", "")) == [("a", {}), ("a", {}), ("b", {})]


def test_a_name_repeated_with_every_piece_begins_no_call_while_the_arguments_grow() -> None:
    assert calls(piece("a", '{"x":'), piece("a", '{"y":1}'), piece("a", "}"), piece("a", "")) == [
        ("a", {"x": {"y": 1}})
    ]


def test_a_name_repeated_under_the_same_id_begins_no_call() -> None:
    assert calls(piece("a", "{}", id="1"), piece("a", " ", id="1")) == [("a", {})]


def test_a_name_that_comes_after_the_arguments_begins_no_call() -> None:
    assert calls(piece(None, '{"x":1}'), piece("a", "")) == [("a", {"x": 1})]


def test_every_call_of_a_whole_answer_is_one_of_its_own_however_they_are_numbered() -> None:
    sent = [{"index": 0, "id": "", "function": {"name": "a", "arguments": ""}} for _ in range(2)]
    assert [call.name for call in answered({"tool_calls": sent}).tool_calls] == ["a", "a"]


def test_half_a_character_stays_before_the_text_that_follows_it() -> None:
    half = chunk({"content": "a"}).replace(b'"a"', b'"\\ud83d"')
    events, response = streamed(chunk({"content": "a"}), half, chunk({"content": " next"}, finish="stop"), DONE)
    assert response.message.text == "a\ud83d next"
    between = streamed(chunk({"content": "a"}), half, chunk({"content": " next"}), chunk({}, finish="stop"), DONE)
    assert between[1].message.text == "a\ud83d next"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a\ud83d next"


def test_a_call_is_one_of_a_custom_tool_by_its_form_too() -> None:
    sent = {"id": "1", "custom": {"name": "run", "input": "{}"}}
    (call,) = answered({"tool_calls": [sent]}).tool_calls
    assert (call.arguments, call.raw) == (None, "{}")


def test_a_signature_that_comes_after_the_first_piece_of_a_call_goes_back_too() -> None:
    signed = {"google": {"thought_signature": "s"}}
    late = chunk({"tool_calls": [{"index": 0, "extra_content": signed}]})
    _, response = streamed(piece("f", "{}", id="1"), late, chunk({}, finish="tool_calls"), DONE)
    assert said("Hi", response.message)[1]["tool_calls"][0]["extra_content"] == signed


def test_what_a_call_has_besides_its_usual_fields_is_kept() -> None:
    function = {"name": "f", "arguments": "{}", "parsed": True}
    (call,) = answered(
        {"tool_calls": [{"id": "1", "type": "function", "function": function, "mood": "fine"}]}
    ).tool_calls
    assert call.native == {"more": {"mood": "fine", "parsed": True}}
    assert said("Hi", answered({"tool_calls": [{"id": "1", "function": function}]}).message)[1]["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def test_a_stream_of_many_calls_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        pieces = [
            part for i in range(count) for part in (piece("f", "", index=i, id=f"t{i}"), piece(None, "{}", index=i))
        ]
        began = time.process_time()
        assert len(calls(*pieces)) == count
        return time.process_time() - began

    small = min(seconds(500) for _ in range(3))
    large = min(seconds(4_000) for _ in range(2))
    # Quadratic time would be 64 times as long.
    assert large < 24 * small + 0.05
