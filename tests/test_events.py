"""Answers taken apart into events, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.events import Blocks, dump_json, fold, load_json, parse_arguments, replay
from genkit.types import (
    BlockEnd,
    BlockStart,
    Candidate,
    Done,
    Image,
    Message,
    Opaque,
    Part,
    Response,
    Text,
    TextDelta,
    Thinking,
    ToolCall,
    ToolCallDelta,
)

ARGUMENTS = st.dictionaries(st.text(max_size=3), st.integers())
PARTS = st.lists(
    st.one_of(
        st.builds(Text, text=st.text(max_size=5), refusal=st.booleans()),
        st.builds(Thinking, text=st.text(max_size=5)),
        st.builds(
            ToolCall, id=st.just("1"), name=st.just("f"), arguments=st.dictionaries(st.text(max_size=3), st.integers())
        ),
        st.just(ToolCall(id="2", name="g", arguments=None, raw="{broken")),
        st.just(Image(url="http://x/y.png")),
        st.just(Opaque(type="web_search_call", native={"id": "w"})),
    ),
    max_size=4,
)


@given(PARTS, PARTS)
def test_a_replayed_response_folds_back_into_itself(parts: list[Part], others: list[Part]) -> None:
    response: Response[str] = Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish="stop",
        alternatives=(Candidate(message=Message(role="assistant", parts=tuple(others)), finish="stop"),),
    )
    events = list(replay(response))
    assert fold(events) is response
    assert fold(events[:-1]).message == response.message


@given(PARTS)
def test_every_block_starts_then_grows_then_ends(parts: list[Part]) -> None:
    open_: set[int] = set()
    ended = 0
    for event in replay(Response(message=Message(role="assistant", parts=tuple(parts)), finish="stop")):
        if isinstance(event, BlockStart):
            open_.add(event.index)
        elif isinstance(event, BlockEnd):
            open_.remove(event.index)
            ended += 1
        elif not isinstance(event, Done):
            assert event.index in open_
    assert not open_
    assert ended == len(parts)


def test_text_that_alternates_with_thinking_makes_a_block_each() -> None:
    blocks = Blocks()
    events = [*blocks.grow("thinking", "hm"), *blocks.grow("text", "a"), *blocks.grow("text", "b"), *blocks.end()]
    assert [event.kind for event in events] == [
        "block_start",
        "thinking_delta",
        "block_end",
        "block_start",
        "text_delta",
        "text_delta",
        "block_end",
    ]
    assert blocks.parts() == (Thinking(text="hm"), Text(text="ab"))


def test_a_refusal_is_a_block_of_its_own() -> None:
    blocks = Blocks()
    blocks.grow("text", "Sure")
    blocks.grow("text", "I can't", refusal=True)
    assert blocks.parts() == (Text(text="Sure"), Text(text="I can't", refusal=True))


def test_parallel_tool_calls_grow_beside_each_other() -> None:
    blocks = Blocks()
    first, _ = blocks.open("tool_call", id="1", name="f")
    second, _ = blocks.open("tool_call", id="2", name="g")
    for block, piece in ((first, '{"a":'), (second, '{"b"'), (first, "1}"), (second, ":2}")):
        assert isinstance(blocks.add(block, piece), ToolCallDelta)
    assert [call.arguments for call in blocks.parts() if isinstance(call, ToolCall)] == [{"a": 1}, {"b": 2}]


def test_a_part_that_came_whole_keeps_its_place() -> None:
    blocks = Blocks()
    blocks.grow("text", "a")
    events = blocks.insert(Image(url="http://x"))
    assert [event.kind for event in events] == ["block_start", "block_end"]
    assert [part.kind for part in blocks.parts()] == ["text", "image"]


@pytest.mark.parametrize(
    ("written", "arguments", "raw"),
    [
        ('{"a": 1}', {"a": 1}, None),
        ("", {}, None),
        ("  ", {}, None),
        ("[1]", None, "[1]"),
        ("{broken", None, "{broken"),
        ("null", None, "null"),
        ('{"a": NaN}', None, '{"a": NaN}'),
        ('{"a": 1e400}', None, '{"a": 1e400}'),
        ('{"a": "\\ud83d", "b": Infinity}', None, '{"a": "\\ud83d", "b": Infinity}'),
    ],
)
def test_arguments_that_are_no_json_object_are_kept_as_written(written: str, arguments: object, raw: object) -> None:
    assert parse_arguments(written) == (arguments, raw)


def test_a_fold_without_done_is_marked_incomplete() -> None:
    partial = fold([BlockStart(0, "text"), TextDelta(0, "half")])
    assert (partial.text, partial.complete, partial.finish) == ("half", False, "other")


def test_a_character_cut_into_surrogate_halves_is_joined_again() -> None:
    blocks = Blocks()
    events = [*blocks.grow("text", "a\ud83d"), *blocks.grow("text", "\ude00b"), *blocks.end()]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a\U0001f600b"
    assert blocks.parts() == (Text(text="a\U0001f600b"),)


def test_half_a_character_that_stays_alone_is_kept() -> None:
    blocks = Blocks()
    blocks.grow("text", "a\ud83d")
    assert blocks.parts() == (Text(text="a\ud83d"),)


@pytest.mark.parametrize("data", ['{"a": "\\ud83d"}', b'{"a": "\\uD83D"}'])
def test_json_with_lone_surrogates_is_read(data: str | bytes) -> None:
    assert load_json(data) == {"a": "\ud83d"}


@pytest.mark.parametrize("data", ["{", b"\xff", b'"\\ud83d'])
def test_what_is_no_json_is_an_error(data: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"EOF|expected|Expecting|Unterminated|[Ii]nvalid"):
        load_json(data)


def test_json_that_is_nested_too_deeply_is_an_error_like_any_other() -> None:
    with pytest.raises(ValueError, match=r"deep|recursion"):
        load_json("[" * 200_000 + '"\\ud83d"')


def test_json_is_written_even_with_half_a_character() -> None:
    assert load_json(dump_json({"a": "\ud83d", "b": 1.5})) == {"a": "\ud83d", "b": 1.5}


def test_a_partial_answer_keeps_its_alternatives() -> None:
    events = [BlockStart(0, "text"), TextDelta(0, "a"), BlockStart(0, "text", candidate=1), TextDelta(0, "b", 1)]
    assert [other.message.text for other in fold(events).alternatives] == ["b"]
