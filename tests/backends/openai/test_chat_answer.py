"""Answers of Chat Completions, whole and streamed, on plain dicts and chunks."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkit.backends.openai import chat
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import BadResponse, GenkitError, RateLimited, ServerError
from genkit.events import fold
from genkit.types import (
    Audio,
    BlockEnd,
    BlockStart,
    Done,
    Event,
    Image,
    Message,
    Opaque,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
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
    whole,
    wire_of,
)


def call(name: str = "lookup", arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def texts(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# ---------------------------------------------------------------- whole answers


def test_text_is_decoded_with_all_its_facts() -> None:
    data = whole({"message": {"role": "assistant", "content": "Hello"}}, service_tier="default")
    got = chat.decode(WIRE, data, Exchange({"x-request-id": "req_1"}), backend="openai")
    assert got.message == Message.assistant("Hello")
    assert (got.finish, got.finish_raw, got.model, got.backend, got.api) == (
        "stop",
        "stop",
        "gpt-4o-2024",
        "openai",
        "chat",
    )
    assert (got.id, got.request_id, got.complete) == ("chatcmpl-1", "req_1", True)
    assert got.native == {"created": 7, "service_tier": "default"}


def test_warnings_of_the_request_stand_on_the_response() -> None:
    wire = wire_of(request(top_k=3))
    assert [w.subject for w in answered({"content": "x"}, wire=wire).warnings] == ["top_k"]


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "refused"),
        ("brand_new", "other"),
        (None, "other"),
    ],
)
def test_words_for_the_end_become_six(word: str | None, finish: str) -> None:
    got = answered({"content": "x"}, finish_reason=word)
    assert (got.finish, got.finish_raw) == (finish, word)


def test_a_refusal_is_text_that_says_so_and_ends_as_refused() -> None:
    got = answered({"content": None, "refusal": "No."})
    assert got.message.parts == (Text(text="No.", refusal=True),)
    assert (got.finish, got.finish_raw) == ("refused", "stop")


def test_a_tool_call_that_ends_with_stop_is_still_a_tool_call() -> None:
    got = answered({"content": None, "tool_calls": [call(id="call_1")]}, finish_reason="stop")
    assert (got.finish, got.finish_raw) == ("tool_calls", "stop")


def test_parallel_tool_calls_keep_their_order() -> None:
    got = answered({"tool_calls": [call("a", '{"x":1}', id="1"), call("b", id="2")]})
    assert [(c.id, c.name, c.arguments) for c in got.tool_calls] == [("1", "a", {"x": 1}), ("2", "b", {})]


def test_calls_without_ids_get_one_each_that_is_the_same_every_time() -> None:
    first = answered({"tool_calls": [call("a"), call("b")]}).tool_calls
    again = answered({"tool_calls": [call("a"), call("b")]}).tool_calls
    assert first == again
    assert all(c.minted for c in first)
    assert len({c.id for c in first}) == 2


def test_two_calls_with_one_id_can_be_answered_apart() -> None:
    first, second = answered({"tool_calls": [call("a", id="x"), call("b", id="x")]}).tool_calls
    assert first.id == "x"
    assert second.id != "x"


def test_broken_arguments_are_kept_as_the_model_wrote_them() -> None:
    broken = answered({"tool_calls": [call(arguments='{"q": ', id="1")]}).tool_calls[0]
    assert (broken.arguments, broken.raw) == (None, '{"q": ')


def test_arguments_go_back_byte_for_byte_to_their_origin() -> None:
    written = '{ "q" : "x" }'
    got = answered({"tool_calls": [call(arguments=written, id="1")]})
    assert said("Hi", got.message)[1]["tool_calls"][0]["function"]["arguments"] == written


def test_arguments_as_an_object_are_taken_too() -> None:
    sent = {"type": "function", "id": "1", "function": {"name": "a", "arguments": {"q": 1}}}
    assert answered({"tool_calls": [sent]}).tool_calls[0].arguments == {"q": 1}


def test_the_function_call_of_old_becomes_a_tool_call_and_goes_back_as_it_came() -> None:
    got = answered({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, finish_reason="function_call")
    assert (got.tool_calls[0].name, got.tool_calls[0].minted, got.finish) == ("f", True, "tool_calls")
    sent = said("Hi", got.message)[1]
    assert sent == {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}


def test_a_call_of_a_custom_tool_goes_back_as_it_came() -> None:
    sent = {"id": "1", "type": "custom", "custom": {"name": "run", "input": '{"a":1}'}}
    got = answered({"content": None, "tool_calls": [sent]})
    assert said("Hi", got.message)[1]["tool_calls"] == [sent]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_text_comes_under_either_name(field: str) -> None:
    assert parts({field: "hm", "content": "x"}) == (Thinking(text="hm"), Text(text="x"))


def test_reasoning_text_under_both_names_is_taken_once() -> None:
    assert answered({"reasoning": "hm", "reasoning_content": "hm", "content": "x"}).thinking == "hm"


def test_content_in_a_list_of_parts_is_read_in_order() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "x"},
        {"type": "reference", "ids": [1]},
    ]
    found = parts({"content": content})
    assert found[:2] == (Thinking(text="hm"), Text(text="x"))
    assert found[2] == Opaque(type="reference", origin=ORIGIN, native={"type": "reference", "ids": [1]})


def test_annotations_become_citations() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    assert parts({"content": "x", "annotations": [note]}) == (Text(text="x", citations=(note,)),)


def test_a_spoken_answer_has_sound_transcript_and_id() -> None:
    wire = WireRequest("/chat/completions", {"audio": {"format": "mp3"}}, "gpt-audio", "chat", ORIGIN)
    sound = {"id": "audio_1", "data": base64.b64encode(b"abc").decode(), "transcript": "Hi", "expires_at": 9}
    assert answered({"content": None, "audio": sound}, wire=wire).message.parts == (
        Audio(
            data=b"abc", mime="audio/mpeg", transcript="Hi", origin=ORIGIN, native={"id": "audio_1", "expires_at": 9}
        ),
    )


def test_pictures_are_parts() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"abc").decode()
    assert parts({"content": "x", "images": [{"type": "image_url", "image_url": {"url": url}}]})[1] == Image(
        data=b"abc", mime="image/png"
    )


def test_several_answers_are_the_alternatives() -> None:
    data = whole({"message": {"content": "a"}}, {"message": {"content": "b"}, "finish_reason": "length"})
    got = chat.decode(WIRE, data, Exchange(), backend="openai")
    assert (got.text, [c.message.text for c in got.alternatives]) == ("a", ["b"])
    assert got.alternatives[0].finish == "length"


def test_log_probabilities_are_in_nats_with_the_alternatives() -> None:
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": [{"token": "y", "logprob": -1.0}]}
    got = answered({"content": "x"}, logprobs={"content": [token], "refusal": None})
    assert got.logprobs is not None
    assert (got.logprobs[0].token, got.logprobs[0].logprob, got.logprobs[0].top[0].token) == ("x", -0.5, "y")


def test_what_has_no_place_here_is_kept() -> None:
    data = whole(
        {"message": {"content": "x", "odd": 1}, "content_filter_results": {"hate": {"filtered": False}}}, provider="p"
    )
    native = chat.decode(WIRE, data, Exchange(), backend="openai").native
    assert native == {
        "created": 7,
        "provider": "p",
        "choices": [{"index": 0, "content_filter_results": {"hate": {"filtered": False}}, "odd": 1}],
    }


@pytest.mark.parametrize("data", [{"id": "x"}, {"choices": []}, {"choices": None}])
def test_an_answer_without_choices_is_a_bad_response(data: dict[str, Any]) -> None:
    with pytest.raises(BadResponse, match="no choices"):
        chat.decode(WIRE, data, Exchange(), backend="openai")


# ---------------------------------------------------------------- usage


def counted(**counts: Any) -> Usage:
    return chat.decode(WIRE, whole({"message": {"content": "x"}}, usage=counts), Exchange(), backend="openai").usage


def test_classes_of_usage_never_overlap() -> None:
    got = counted(
        prompt_tokens=100,
        completion_tokens=50,
        total_tokens=150,
        prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 10, "cache_write_tokens": 5},
        completion_tokens_details={"reasoning_tokens": 30, "audio_tokens": 5, "rejected_prediction_tokens": 2},
    )
    assert (got.input, got.cache_read, got.cache_write, got.input_audio) == (25, 60, 5, 10)
    assert (got.output, got.reasoning, got.output_audio) == (15, 30, 5)
    assert (got.total_input, got.total_output, got.total) == (100, 50, 150)


def test_reasoning_that_only_the_total_counts_is_found() -> None:
    got = counted(
        prompt_tokens=10, completion_tokens=5, total_tokens=22, completion_tokens_details={"reasoning_tokens": 7}
    )
    assert (got.output, got.reasoning, got.total) == (5, 7, 22)


def test_deepseeks_own_count_of_cached_tokens_is_read() -> None:
    assert counted(prompt_tokens=10, completion_tokens=1, prompt_cache_hit_tokens=8).cache_read == 8


def test_missing_usage_is_unknown_not_zero() -> None:
    assert answered({"content": "x"}).usage.total is None


@given(
    prompt=st.integers(0, 50),
    completion=st.integers(0, 50),
    details=st.lists(st.integers(0, 60), min_size=6, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_the_classes_of_usage_add_up_whatever_the_details_say(prompt: int, completion: int, details: list[int]) -> None:
    names = ("cached_tokens", "cache_write_tokens", "audio_tokens")
    got = counted(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=dict(zip(names, details[:3], strict=True)),
        completion_tokens_details=dict(zip(("reasoning_tokens", "audio_tokens"), details[3:5], strict=True)),
    )
    assert (got.total_input, got.total_output) == (prompt, completion)


# ---------------------------------------------------------------- streams


STORY = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({"content": " wörld"}),
    chunk({}, finish="stop"),
    chunk(usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
    DONE,
)


def test_a_stream_of_text_is_start_deltas_end_and_done() -> None:
    events, response = streamed(*STORY)
    assert [type(event) for event in events] == [BlockStart, TextDelta, TextDelta, TextDelta, BlockEnd, Done]
    assert texts(events) == response.text == "Hello wörld"
    assert response.complete


def test_a_stream_that_cuts_an_emoji_in_two_gives_it_whole() -> None:
    pieces = [chunk({"content": piece}) for piece in ("hi", " ", "\ud83d", "\ude00", "!")]
    events, response = streamed(*pieces, chunk({}, finish="stop"), DONE)
    assert response.text == "hi \U0001f600!"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == response.text


def test_a_stream_and_a_whole_answer_end_in_equal_responses() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    plain = chat.decode(WIRE, whole({"message": {"content": "Hello wörld"}}, usage=usage), Exchange(), backend="openai")
    assert streamed(*STORY)[1] == plain


def test_folding_the_deltas_gives_the_message() -> None:
    events, response = streamed(*STORY)
    assert fold(events[:-1]).message == response.message


@given(cuts=st.lists(st.integers(1, 900), max_size=12))
@settings(max_examples=60, deadline=None)
def test_borders_of_chunks_are_free(cuts: list[int]) -> None:
    content = b"".join(STORY)
    edges = [0, *sorted({min(cut, len(content)) for cut in cuts}), len(content)]
    pieces = [content[a:b] for a, b in itertools.pairwise(edges)]
    assert streamed(*pieces) == streamed(*STORY)


def test_tool_calls_in_pieces_may_alternate() -> None:
    events, response = streamed(
        chunk({"tool_calls": [call("a", "", index=0, id="1")]}),
        chunk({"tool_calls": [call("b", "", index=1, id="2")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"y"'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]}),
        chunk({}, finish="tool_calls"),
        DONE,
    )
    assert [(c.id, c.name, c.arguments) for c in response.tool_calls] == [("1", "a", {"x": 1}), ("2", "b", {"y": 2})]
    joined = "".join(e.arguments for e in events if isinstance(e, ToolCallDelta) and e.index == 1)
    assert joined == '{"y":2}'


def test_text_after_a_tool_call_does_not_cut_its_arguments() -> None:
    _, response = streamed(
        chunk({"tool_calls": [call("a", '{"x"', index=0, id="1")]}),
        chunk({"content": "meanwhile"}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, finish="tool_calls"),
        DONE,
    )
    assert response.tool_calls[0].arguments == {"x": 1}
    assert response.text == "meanwhile"


def test_calls_without_an_index_are_told_apart_by_id() -> None:
    _, response = streamed(
        chunk({"tool_calls": [call("a", '{"x":', index=None, id="1")]}),
        chunk({"tool_calls": [{"index": None, "function": {"arguments": "1}"}}]}),
        chunk({"tool_calls": [call("b", '{"y":2}', index=None, id="2")]}, finish="tool_calls"),
        DONE,
    )
    assert [(c.id, c.arguments) for c in response.tool_calls] == [("1", {"x": 1}), ("2", {"y": 2})]


def test_calls_that_are_all_numbered_zero_are_told_apart_by_id() -> None:
    _, response = streamed(
        chunk({"tool_calls": [call("a", "{}", index=0, id="1")]}),
        chunk({"tool_calls": [call("b", "{}", index=0, id="2")]}, finish="tool_calls"),
        DONE,
    )
    assert [c.name for c in response.tool_calls] == ["a", "b"]


def test_an_id_and_name_repeated_in_every_piece_are_one_call() -> None:
    _, response = streamed(
        chunk({"tool_calls": [call("a", '{"x":', index=0, id="1")]}),
        chunk({"tool_calls": [call("a", "1}", index=0, id="1")]}, finish="tool_calls"),
        DONE,
    )
    assert response.tool_calls == (ToolCall(id="1", name="a", arguments={"x": 1}, origin=ORIGIN),)


def test_a_name_in_pieces_is_joined() -> None:
    _, response = streamed(
        chunk({"tool_calls": [call("look", "", index=0, id="1")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "up"}}]}, finish="tool_calls"),
        DONE,
    )
    assert response.tool_calls[0].name == "lookup"


def test_minted_ids_are_the_same_in_stream_and_whole_answer() -> None:
    plain = answered({"tool_calls": [call("a"), call("b")]}).tool_calls
    _, response = streamed(
        chunk({"tool_calls": [call("a", index=0)]}),
        chunk({"tool_calls": [call("b", index=1)]}, finish="tool_calls"),
        DONE,
    )
    assert response.tool_calls == plain


def test_reasoning_comes_before_the_text_in_its_own_part() -> None:
    events, response = streamed(
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "x"}, finish="stop"),
        DONE,
    )
    assert response.message.parts == (Thinking(text="hm"), Text(text="x"))
    assert [type(e) for e in events[:4]] == [BlockStart, ThinkingDelta, ThinkingDelta, BlockEnd]


def test_reasoning_details_in_pieces_go_back_whole() -> None:
    _, response = streamed(
        chunk({"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "h"}]}),
        chunk({"reasoning": "m", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "m"}]}),
        chunk({"content": "x", "reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]}),
        chunk({}, finish="stop"),
        DONE,
    )
    thought = response.message.parts[0]
    details = [{"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"}]
    assert thought == Thinking(text="hm", origin=ORIGIN, native={"reasoning_details": details})


def test_a_refusal_is_streamed_as_text_that_says_so() -> None:
    events, response = streamed(chunk({"refusal": "N"}), chunk({"refusal": "o."}, finish="stop"), DONE)
    assert response.message.parts == (Text(text="No.", refusal=True),)
    assert texts(events) == "No."


def test_annotations_at_the_end_belong_to_the_text() -> None:
    note = {"type": "url_citation"}
    _, response = streamed(chunk({"content": "x"}), chunk({"annotations": [note]}, finish="stop"), DONE)
    assert response.message.parts == (Text(text="x", citations=(note,)),)


def test_pieces_of_sound_are_decoded_one_by_one() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"a", b"bc")]
    _, response = streamed(
        chunk({"audio": {"id": "audio_1", "transcript": "He"}}),
        chunk({"audio": {"data": pieces[0]}}),
        chunk({"audio": {"data": pieces[1], "transcript": "y"}}),
        chunk({"audio": {"expires_at": 9}}, finish="stop"),
        DONE,
    )
    sound = response.message.parts[0]
    assert isinstance(sound, Audio)
    assert (sound.data, sound.transcript) == (b"abc", "Hey")


def test_several_answers_are_streamed_side_by_side() -> None:
    wire = WireRequest("/chat/completions", {"n": 2}, "m", "chat", ORIGIN)
    events, response = streamed(
        chunk({"content": "a"}, index=0),
        chunk({"content": "b"}, index=1),
        chunk({}, finish="stop", index=0),
        chunk({}, finish="length", index=1),
        DONE,
        wire=wire,
    )
    assert (response.text, response.alternatives[0].message.text) == ("a", "b")
    assert [e.candidate for e in events if isinstance(e, TextDelta)] == [0, 1]


def test_log_probabilities_of_all_chunks_are_one_list() -> None:
    first, second = ({"content": [{"token": t, "logprob": -1.0, "top_logprobs": []}]} for t in "ab")
    pieces = []
    for token, found in (("a", first), ("b", second)):
        pieces.append(chunk({"content": token}).replace(b'"logprobs": null', b'"logprobs": ' + _json(found)))
    _, response = streamed(*pieces, chunk({}, finish="stop"), DONE)
    assert response.logprobs is not None
    assert [t.token for t in response.logprobs] == ["a", "b"]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_facts_of_the_head_are_kept_though_most_chunks_pass_by_the_short_way() -> None:
    tier = {"service_tier": None, "usage": None}
    _, response = streamed(
        chunk({"role": "assistant", "content": ""}, **tier),
        chunk({"content": "a"}, **tier),
        chunk({"content": "b"}, **tier),
        chunk({}, finish="stop", service_tier="flex", usage=None),
        DONE,
    )
    assert response.native == {"created": 7, "service_tier": "flex"}
    assert response.text == "ab"


def test_a_chunk_that_differs_is_never_taken_the_short_way() -> None:
    odd = chunk({"content": "b"}).replace(b'"finish_reason": null', b'"finish_reason": null, "odd": 5')
    _, response = streamed(chunk({"content": "a"}), chunk({"content": "c"}), odd, chunk({}, finish="stop"), DONE)
    assert response.text == "acb"
    assert response.native is not None
    assert response.native["choices"] == [{"index": 0, "odd": 5}]


@pytest.mark.parametrize("missing", [b'"index": 0, ', b'"logprobs": null, ', b', "finish_reason": null'])
def test_chunks_with_fewer_fields_are_read_too(missing: bytes) -> None:
    pieces = [chunk({"content": piece}).replace(missing, b"") for piece in "abc"]
    assert streamed(*pieces, chunk({}, finish="stop"), DONE)[1].text == "abc"


# ---------------------------------------------------------------- ends


def decoder_after(*pieces: bytes, wire: WireRequest = WIRE) -> chat.Decoder:
    decoder = chat.Decoder(wire, backend="openai")
    for piece in pieces:
        decoder.feed(frame(piece))
    return decoder


def test_a_stream_cut_in_the_middle_is_not_complete() -> None:
    decoder = decoder_after(chunk({"content": "a"}))
    assert not decoder.complete
    assert decoder.response(Exchange()).complete is False
    assert decoder.response(Exchange()).text == "a"


def test_a_reason_to_finish_is_enough_for_servers_without_a_terminator() -> None:
    decoder = decoder_after(chunk({"content": "a"}), chunk({}, finish="stop"))
    assert decoder.complete
    assert not decoder.finished


def test_the_terminator_is_enough_for_servers_without_a_reason() -> None:
    decoder = decoder_after(chunk({"content": "a"}), DONE)
    assert decoder.complete
    assert decoder.finished


def test_two_answers_are_complete_when_both_have_ended() -> None:
    wire = WireRequest("/chat/completions", {"n": 2}, "m", "chat", ORIGIN)
    assert not decoder_after(chunk({"content": "a"}, finish="stop"), wire=wire).complete


def test_a_terminator_without_any_answer_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="no choices"):
        decoder_after(DONE)


def errors() -> Iterator[tuple[dict[str, Any], type[GenkitError]]]:
    yield {"error": {"message": "busy", "code": "rate_limit_exceeded"}}, RateLimited
    yield {"error": "busy"}, BadResponse
    yield {"object": "error", "message": "busy", "code": 429}, RateLimited
    yield (
        {"id": "x", "choices": [{"index": 0, "delta": {"content": ""}}], "error": {"code": 502, "message": "busy"}},
        ServerError,
    )


@pytest.mark.parametrize(("data", "kind"), list(errors()))
def test_an_error_inside_a_stream_is_the_typed_error(data: dict[str, Any], kind: type[GenkitError]) -> None:
    with pytest.raises(kind, match="busy") as caught:
        decoder_after(b"data: " + _json(data))
    assert caught.value.sent


@pytest.mark.parametrize(("data", "kind"), list(errors()))
def test_an_error_inside_a_whole_answer_is_the_typed_error(data: dict[str, Any], kind: type[GenkitError]) -> None:
    with pytest.raises(kind, match="busy"):
        chat.decode(WIRE, data, Exchange(), backend="openai")


def test_an_event_named_error_is_an_error() -> None:
    event = frame(b'data: {"message": "busy", "code": "server_error"}')
    event.event = "error"
    with pytest.raises(ServerError, match="busy"):
        chat.Decoder(WIRE, backend="openai").feed(event)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
CALLS = st.lists(
    st.fixed_dictionaries({"index": ODD, "id": ODD, "function": ODD | st.fixed_dictionaries({"name": ODD})})
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("content", "refusal", "annotations", "audio", "images", "reasoning", "function_call"), ODD),
        "tool_calls": ODD | CALLS,
    },
)
CHOICE = st.fixed_dictionaries({"index": ODD, "delta": ODD | DELTA, "finish_reason": ODD, "logprobs": ODD, "odd": ODD})
CHUNK = st.fixed_dictionaries(
    {"id": ODD, "model": ODD, "choices": ODD | st.lists(CHOICE, max_size=2), "usage": ODD, "service_tier": ODD}
)


@given(chunks=st.lists(ODD | CHUNK, max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_stream_however_odd_ends_in_an_untyped_error(chunks: list[Any]) -> None:
    decoder = chat.Decoder(WIRE, backend="openai")
    for data in chunks:
        try:
            decoder.feed(frame(b"data: " + _json(data)))
        except (GenkitError, KeyError, TypeError, AttributeError, IndexError, ValueError):
            break  # the base of the wire backends makes a BadResponse of these
    decoder.response(Exchange())
    decoder.end()
    decoder.response(Exchange())


def test_an_empty_event_is_nothing() -> None:
    assert list(chat.Decoder(WIRE, backend="openai").feed(frame(b"data: "))) == []
