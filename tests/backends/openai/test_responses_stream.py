"""Streams of the Responses interface, frame by frame."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkit.backends.openai import responses
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import ContentBlocked, RateLimited, ServerError
from genkit.events import fold
from genkit.transport.sse import ServerSentEvent, SSEParser
from genkit.types import BlockEnd, BlockStart, Done, Opaque, Text, TextDelta, ThinkingDelta, ToolCallDelta

ORIGIN = "openai/responses"
WIRE = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin=ORIGIN)

REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "gAAA",
}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}
NOTE = {"type": "url_citation", "url": "https://x", "start_index": 0, "end_index": 5, "title": "X"}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Grüße, Wörld", "annotations": [NOTE], "logprobs": []}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city": "Oslo"}',
}
OUTPUT = [REASONING, SEARCH, MESSAGE, CALL]


def event(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def response(output, status="completed", **fields):
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    data = {"id": "resp_1", "object": "response", "status": status, "model": "gpt-5-2025", "output": output}
    return {**data, "usage": usage, **fields}


CREATED = event("created", response=response([], "in_progress", usage=None))
COMPLETED = event("completed", response=response(OUTPUT))


def added(index, item, **changes):
    return event("output_item.added", output_index=index, item={**item, "status": "in_progress", **changes})


def done(index, item):
    return event("output_item.done", output_index=index, item=item)


def delta(index, text, content=0, **fields):
    fields = {"item_id": "msg_1", "logprobs": [], "obfuscation": "xyz", **fields}
    return event("output_text.delta", output_index=index, content_index=content, delta=text, **fields)


def arguments(index, text):
    return event("function_call_arguments.delta", output_index=index, item_id="fc_1", delta=text)


def summary(index, section, text):
    return event("reasoning_summary_text.delta", output_index=index, summary_index=section, delta=text)


CONVERSATION = [
    CREATED,
    event("in_progress", response=CREATED["response"]),
    added(0, REASONING, summary=[]),
    event("reasoning_summary_part.added", output_index=0, summary_index=0, part={"type": "summary_text", "text": ""}),
    summary(0, 0, "Fir"),
    summary(0, 0, "st."),
    event("reasoning_summary_text.done", output_index=0, summary_index=0, text="First."),
    event("reasoning_summary_part.added", output_index=0, summary_index=1, part={"type": "summary_text", "text": ""}),
    summary(0, 1, "Then."),
    done(0, REASONING),
    added(1, SEARCH, action=None),
    event("web_search_call.searching", output_index=1, item_id="ws_1"),
    done(1, SEARCH),
    added(2, MESSAGE, content=[]),
    event("content_part.added", output_index=2, content_index=0, part={"type": "output_text", "text": ""}),
    delta(2, "Grü"),
    delta(2, "ße,"),
    event("output_text.annotation.added", output_index=2, content_index=0, annotation_index=0, annotation=NOTE),
    delta(2, " Wörld"),
    event("output_text.done", output_index=2, content_index=0, text="Grüße, Wörld"),
    event("content_part.done", output_index=2, content_index=0, part=MESSAGE["content"][0]),
    done(2, MESSAGE),
    added(3, CALL, arguments=""),
    arguments(3, '{"city"'),
    arguments(3, ': "Oslo"}'),
    event("function_call_arguments.done", output_index=3, item_id="fc_1", arguments=CALL["arguments"]),
    done(3, CALL),
    COMPLETED,
]


def frame(fields):
    return ServerSentEvent(data=json.dumps(fields).encode(), event=fields.get("type", "message"))


def new_decoder():
    return responses.Decoder(WIRE, backend="openai")


def play(events, decoder=None, *, ended=True):
    """Return all events of a stream, and its response; one that has not ended broke off."""
    decoder = decoder or new_decoder()
    found = [made for fields in events for made in decoder.feed(frame(fields))]
    found.extend(decoder.end() if ended else ())
    final = decoder.response(Exchange())
    return [*found, Done(final)], final


def whole(output=OUTPUT, **fields):
    return responses.decode(WIRE, response(output, **fields), Exchange(), backend="openai")


def pieces(events, kind=TextDelta):
    return [made.text if kind is not ToolCallDelta else made.arguments for made in events if isinstance(made, kind)]


def sse(events):
    return b"".join(
        f"event: {fields['type']}\ndata: {json.dumps(fields, ensure_ascii=False)}\n\n".encode() for fields in events
    )


# ---------------------------------------------------------------- the usual stream


def test_streamed_and_plain_answers_are_equal():
    assert play(CONVERSATION)[1] == whole()


def test_pieces_come_as_they_are_sent():
    events, _ = play(CONVERSATION)
    assert pieces(events) == ["Grü", "ße,", " Wörld"]
    assert pieces(events, ThinkingDelta) == ["Fir", "st.", "\n\n", "Then."]
    assert pieces(events, ToolCallDelta) == ['{"city"', ': "Oslo"}']


def test_every_part_starts_and_ends_once_around_its_pieces():
    events, final = play(CONVERSATION)
    assert [(e.index, e.block) for e in events if isinstance(e, BlockStart)] == [
        (0, "thinking"),
        (1, "opaque"),
        (2, "text"),
        (3, "tool_call"),
    ]
    assert [e.part for e in events if isinstance(e, BlockEnd)] == list(final.message.parts)


def test_a_call_starts_with_its_id_and_name():
    start = next(e for e in play(CONVERSATION)[0] if isinstance(e, BlockStart) and e.block == "tool_call")
    assert (start.id, start.name) == ("call_1", "weather")


def test_the_stream_is_finished_by_its_terminator_and_nothing_after_it_counts():
    decoder = new_decoder()
    play(CONVERSATION[:-1], decoder)
    assert not decoder.finished
    assert not decoder.complete
    decoder = new_decoder()
    play(CONVERSATION, decoder)
    assert decoder.finished
    assert decoder.complete
    assert list(decoder.feed(frame(delta(9, "more")))) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 80), min_size=1, max_size=12))
def test_chunk_borders_are_free(sizes):
    content, decoder, parser = sse(CONVERSATION), new_decoder(), SSEParser()
    events, at, turn = [], 0, 0
    while at < len(content):
        size = sizes[turn % len(sizes)]
        for part in parser.feed(content[at : at + size]):
            events.extend(decoder.feed(part))
        at, turn = at + size, turn + 1
    events.extend(decoder.end())
    assert [*events, Done(decoder.response(Exchange()))] == play(CONVERSATION)[0]


# ---------------------------------------------------------------- streams that leave things out


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, len(CONVERSATION) - 2)))
def test_whatever_a_stream_leaves_out_before_its_terminator_is_caught_up(left_out):
    events, final = play([fields for i, fields in enumerate(CONVERSATION) if i not in left_out])
    assert "".join(pieces(events)) == final.text
    starts = [e.index for e in events if isinstance(e, BlockStart)]
    ends = [e.index for e in events if isinstance(e, BlockEnd)]
    assert starts == sorted(set(starts))
    assert sorted(ends) == starts
    # A piece missing in the middle is a contradiction; all other gaps are filled.
    if not final.warnings:
        assert final == whole()


def test_items_that_come_whole_still_give_their_pieces():
    events, final = play([CREATED, *(done(i, item) for i, item in enumerate(OUTPUT)), COMPLETED])
    assert pieces(events) == ["Grüße, Wörld"]
    assert pieces(events, ToolCallDelta) == [CALL["arguments"]]
    assert final == whole()


def test_a_stream_of_nothing_but_its_terminator_gives_all_pieces():
    events, final = play([COMPLETED])
    assert "".join(pieces(events)) == final.text == "Grüße, Wörld"
    assert final == whole()


def test_an_end_that_repeats_no_output_contradicts_nothing():
    _, final = play([*CONVERSATION[:-1], event("completed", response=response([]))])
    assert final.message == whole().message
    assert (final.warnings, final.finish) == ((), "tool_calls")


def test_a_rest_that_was_not_streamed_is_added():
    end = event("completed", response=response([MESSAGE]))
    events, final = play([CREATED, added(0, MESSAGE, content=[]), delta(0, "Grü"), end])
    assert pieces(events) == ["Grü", "ße, Wörld"]
    assert final.warnings == ()


def test_the_full_text_of_a_content_is_caught_up_before_its_item_is_done():
    events, _ = play([CREATED, delta(0, "Gr"), event("output_text.done", output_index=0, content_index=0, text="Grau")])
    assert pieces(events) == ["Gr", "au"]


def test_arguments_before_the_name_of_their_call_wait_for_it():
    events, final = play([CREATED, arguments(0, '{"city": '), done(0, CALL), COMPLETED_CALL])
    assert "".join(pieces(events, ToolCallDelta)) == CALL["arguments"]
    assert final.tool_calls[0].arguments == {"city": "Oslo"}
    events, _ = play([CREATED, arguments(0, '{"city": '), added(0, CALL, arguments=""), done(0, CALL), COMPLETED_CALL])
    assert pieces(events, ToolCallDelta) == ['{"city": ', '"Oslo"}']


COMPLETED_CALL = event("completed", response=response([CALL]))


def test_events_without_places_go_by_the_ids_of_their_items():
    def bare(fields):
        return {name: value for name, value in fields.items() if name not in ("output_index", "content_index")}

    call = {**bare(arguments(0, CALL["arguments"])), "item_id": "fc_1"}
    stream = [CREATED, bare(delta(0, "Grüße, Wörld")), bare(done(0, MESSAGE)), bare(added(1, CALL, arguments="")), call]
    events, final = play([*stream, event("completed", response=response([MESSAGE, CALL]))])
    assert final.message == whole([MESSAGE, CALL]).message
    assert len([e for e in events if isinstance(e, BlockStart)]) == 2
    assert final.warnings == ()


def test_ids_that_change_from_event_to_event_do_not_matter():
    stream = [{**fields, "item_id": f"random_{i}"} for i, fields in enumerate(CONVERSATION)]
    assert play(stream)[1] == whole()


def test_items_that_run_beside_each_other_are_kept_apart():
    other = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": '{"city": "Rome"}'}
    stream = [
        CREATED,
        added(0, CALL, arguments=""),
        added(1, other, arguments=""),
        arguments(1, '{"city": '),
        arguments(0, '{"city": "Oslo"}'),
        arguments(1, '"Rome"}'),
        done(1, other),
        done(0, CALL),
        event("completed", response=response([CALL, other])),
    ]
    _, final = play(stream)
    assert [call.arguments["city"] for call in final.tool_calls] == ["Oslo", "Rome"]
    assert final.warnings == ()


def test_an_item_that_was_begun_and_never_done_gets_its_end_from_the_terminator():
    stream = [CREATED, added(0, SEARCH, action=None), event("completed", response=response([SEARCH]))]
    events, final = play(stream)
    assert [type(e).__name__ for e in events] == ["BlockStart", "BlockEnd", "Done"]
    assert final.message.parts[0].native == SEARCH


# ---------------------------------------------------------------- contradictions


def test_streamed_text_that_the_end_contradicts_is_kept_and_reported():
    other = {**MESSAGE, "content": [{"type": "output_text", "text": "Something else", "annotations": []}]}
    events, final = play([CREATED, delta(0, "Hello"), event("completed", response=response([other]))])
    assert "".join(pieces(events)) == final.text == "Hello"
    assert [(w.kind, w.subject) for w in final.warnings] == [("note", "stream")]


def test_streamed_arguments_that_the_end_contradicts_are_kept_and_reported():
    begun = added(0, CALL, arguments="")
    events, final = play([CREATED, begun, arguments(0, '{"city": "Rome"}'), done(0, CALL), COMPLETED_CALL])
    (call,) = final.tool_calls
    assert "".join(pieces(events, ToolCallDelta)) == '{"city": "Rome"}'
    assert (call.arguments, call.native["item"]["arguments"]) == ({"city": "Rome"}, '{"city": "Rome"}')
    assert [w.subject for w in final.warnings] == ["stream"]


def test_streamed_items_that_the_end_does_not_know_are_kept_and_reported():
    _, final = play([*CONVERSATION[:-1], event("completed", response=response([REASONING, SEARCH]))])
    assert final.text == "Grüße, Wörld"
    assert [w.subject for w in final.warnings] == ["stream"]


def test_pieces_after_the_end_of_their_item_change_nothing():
    stream = [CREATED, done(0, MESSAGE), delta(0, "late"), arguments(0, "late"), done(0, MESSAGE), added(0, MESSAGE)]
    events, final = play([*stream, event("completed", response=response([MESSAGE]))])
    assert pieces(events) == ["Grüße, Wörld"]
    assert final == whole([MESSAGE])


def test_unknown_events_are_passed_over():
    strange = [
        event("steer.accepted", steer={}),
        event("image_generation_call.partial_image", output_index=0, partial_image_b64="x"),
        {"type": "keepalive", "sequence_number": 4},
        {"nothing": 1},
    ]
    mixed = [fields for pair in zip(CONVERSATION[:4], strange, strict=True) for fields in pair]
    assert play([*mixed, *CONVERSATION[4:]])[1] == whole()


def test_chats_terminator_proves_nothing_here():
    decoder = new_decoder()
    assert list(decoder.feed(ServerSentEvent(data=b"[DONE]"))) == []
    assert not decoder.complete


@pytest.mark.parametrize(
    "data", [b"{", b"[1]", b'{"type": "response.output_text.delta", "delta": 5}', b'{"type": "response.completed"}']
)
def test_a_frame_that_is_not_of_this_interface_is_an_error_that_the_reader_translates(data):
    decoder = new_decoder()
    play(CONVERSATION[:17], decoder)
    with pytest.raises((ValueError, TypeError, KeyError)):
        decoder.feed(ServerSentEvent(data=data))


@pytest.mark.parametrize(
    "end",
    [
        event("completed", response=response(OUTPUT, usage={"input_tokens": "many", "output_tokens": 1})),
        event("completed", response=response([{"type": "message", "content": [5]}])),
        event("incomplete", response=response([], "incomplete", incomplete_details="full")),
        event("created", response=response([], "in_progress", model=5)),
        event("failed", response=response([], "failed", usage={"input_tokens": "many", "output_tokens": 1})),
    ],
    ids=["usage", "content", "details", "model", "usage of a failure"],
)
def test_a_misshapen_response_fails_with_its_frame_and_not_when_the_answer_is_asked_for(end):
    decoder = new_decoder()
    play(CONVERSATION[:17], decoder)
    with pytest.raises((ValueError, TypeError, AttributeError)):
        decoder.feed(frame(end))
    assert not decoder.finished
    assert decoder.response(Exchange()).text == "Grüße,"


def test_the_type_inside_the_event_counts_and_the_frames_name_stands_in_for_it():
    decoder = new_decoder()
    fields = delta(0, "Hi")
    assert pieces(decoder.feed(ServerSentEvent(data=json.dumps(fields).encode(), event="message"))) == ["Hi"]
    del fields["type"]
    named = ServerSentEvent(data=json.dumps(fields).encode(), event="response.output_text.delta")
    assert pieces(decoder.feed(named)) == ["Hi"]


# ---------------------------------------------------------------- other contents


def test_a_refusal_is_streamed_as_text_that_is_marked():
    item = {**MESSAGE, "content": [{"type": "refusal", "refusal": "I cannot."}]}
    stream = [
        CREATED,
        added(0, item, content=[]),
        event("content_part.added", output_index=0, content_index=0, part={"type": "refusal", "refusal": ""}),
        event("refusal.delta", output_index=0, content_index=0, delta="I can"),
        event("refusal.delta", output_index=0, content_index=0, delta="not."),
        event("refusal.done", output_index=0, content_index=0, refusal="I cannot."),
        done(0, item),
        event("completed", response=response([item])),
    ]
    events, final = play(stream)
    assert pieces(events) == ["I can", "not."]
    assert final == whole([item])
    assert final.finish == "refused"


def test_several_contents_of_one_message_are_parts_of_their_own():
    item = {**MESSAGE, "content": [{"type": "output_text", "text": text, "annotations": []} for text in ("a", "bc")]}
    stream = [CREATED, delta(0, "a"), delta(0, "b", 1), delta(0, "c", 1), done(0, item)]
    events, final = play([*stream, event("completed", response=response([item]))])
    assert [part.text for part in final.message.parts] == ["a", "bc"]
    assert [(e.index, e.text) for e in events if isinstance(e, TextDelta)] == [(0, "a"), (1, "b"), (1, "c")]


def test_reasoning_that_is_shown_is_streamed_as_thinking():
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    stream = [
        CREATED,
        added(0, item, content=[]),
        event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm"),
        event("reasoning_text.delta", output_index=0, content_index=0, delta="."),
        done(0, item),
        event("completed", response=response([item])),
    ]
    events, final = play(stream)
    assert pieces(events, ThinkingDelta) == ["Hm", "."]
    assert final == whole([item])


def test_a_summary_beside_shown_reasoning_follows_when_it_is_done():
    item = {**REASONING, "content": [{"type": "reasoning_text", "text": "Hm."}]}
    shown = event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm.")
    stream = [CREATED, added(0, item, content=[]), shown, summary(0, 0, "First."), done(0, item)]
    events, final = play([*stream, event("completed", response=response([item]))])
    assert pieces(events, ThinkingDelta) == ["Hm.", "\n\nFirst.\n\nThen."]
    assert final == whole([item])


def test_a_summary_that_comes_before_the_reasoning_it_sums_up_ends_in_the_same_answer():
    item = {**REASONING, "content": [{"type": "reasoning_text", "text": "Hm."}]}
    shown = event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm.")
    stream = [CREATED, added(0, item, content=[]), summary(0, 0, "First."), shown, done(0, item)]
    events, final = play([*stream, event("completed", response=response([item]))])
    assert pieces(events, ThinkingDelta) == ["First.", "\n\nThen.\n\nHm."]
    assert final == whole([item])


@pytest.mark.parametrize(("first", "text"), [("shown", "Hm.\n\nFir\n\nThen."), ("summary", "Fir\n\nThen.\n\nHm.")])
def test_a_stream_that_breaks_off_keeps_both_texts_of_its_reasoning(first, text):
    shown = event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm.")
    said = [summary(0, 0, "Fir"), summary(0, 1, "Then.")]
    _, partial = play(
        [CREATED, added(0, REASONING), *([shown, *said] if first == "shown" else [*said, shown])], ended=False
    )
    assert partial.thinking == text
    assert not partial.complete


def test_reasoning_and_summary_of_the_same_text_are_taken_once_when_a_stream_breaks_off():
    shown = event("reasoning_text.delta", output_index=0, content_index=0, delta="First")
    _, partial = play([CREATED, added(0, REASONING), shown, summary(0, 0, "Fir")], ended=False)
    assert partial.thinking == "First"


def test_an_item_that_is_never_done_shows_its_second_text_at_the_end():
    shown = event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm.")
    stream = [CREATED, added(0, REASONING), shown, summary(0, 0, "First.")]
    events, final = play([*stream, event("completed", response=response([]))])
    assert pieces(events, ThinkingDelta) == ["Hm.", "\n\nFirst."]
    assert final.thinking == "Hm.\n\nFirst."


def test_reasoning_and_summary_of_the_same_text_are_taken_once():
    item = {**REASONING, "content": [{"type": "reasoning_text", "text": "First.\n\nThen."}]}
    _, final = play([CREATED, done(0, item), event("completed", response=response([item]))])
    assert final.thinking == "First.\n\nThen."
    assert final == whole([item])


def test_silent_reasoning_has_a_start_and_an_end_and_no_pieces():
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    stream = [CREATED, added(0, item), done(0, item), event("completed", response=response([item]))]
    events, _ = play(stream)
    assert [type(e).__name__ for e in events] == ["BlockStart", "BlockEnd", "Done"]


def test_a_made_image_arrives_when_it_is_done():
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "cGl4ZWxz"}
    stream = [CREATED, added(0, item, result=None), done(0, item), event("completed", response=response([item]))]
    events, final = play(stream)
    assert [e.block for e in events if isinstance(e, BlockStart)] == ["image"]
    assert final.message.parts[0].data == b"pixels"
    assert final == whole([item])


def test_logprobs_of_a_stream_are_those_of_the_whole_answer():
    entry = {"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": []}
    item = {**MESSAGE, "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": [entry]}]}
    first, second = delta(0, "H", logprobs=[entry]), delta(0, "i", logprobs=[entry])
    _, final = play([CREATED, first, second, done(0, item), event("completed", response=response([item]))])
    assert final.logprobs == whole([item]).logprobs
    _, partial = play([CREATED, first, second])
    assert [t.token for t in partial.logprobs] == ["Hi", "Hi"]


# ---------------------------------------------------------------- ends


def test_a_cut_stream_leaves_what_arrived_marked_as_not_complete():
    decoder = new_decoder()
    events, partial = play(CONVERSATION[:17], decoder)
    assert not decoder.complete
    assert (partial.text, partial.complete, partial.finish) == ("Grüße,", False, "other")
    assert (partial.id, partial.model, partial.usage.total) == ("resp_1", "gpt-5-2025", None)
    assert fold(events[:-1]).text == "Grüße,"


def test_a_search_that_was_cut_off_is_still_in_its_place():
    _, partial = play(CONVERSATION[:11])
    assert [type(part) for part in partial.message.parts[1:]] == [Opaque]


def test_nothing_at_all_is_an_empty_answer_that_is_not_complete():
    partial = new_decoder().response(Exchange())
    assert (partial.text, partial.complete, partial.model) == ("", False, "gpt-5")


def test_an_incomplete_answer_is_whole_and_says_why():
    cut = {**CALL, "status": "incomplete", "arguments": '{"ci'}
    end = response([cut], "incomplete", incomplete_details={"reason": "max_output_tokens"})
    decoder = new_decoder()
    begun = added(0, CALL, arguments="")
    events, final = play([CREATED, begun, arguments(0, '{"ci'), event("incomplete", response=end)], decoder)
    assert decoder.complete
    assert (final.finish, final.finish_raw, final.complete) == ("length", "max_output_tokens", True)
    assert final.tool_calls[0].raw == '{"ci'
    assert isinstance(events[-2], BlockEnd)


def test_a_failed_response_is_a_typed_error():
    end = response([], "failed", error={"code": "rate_limit_exceeded", "message": "too fast"})
    decoder = new_decoder()
    play(CONVERSATION[:17], decoder)
    with pytest.raises(RateLimited, match="too fast"):
        decoder.feed(frame(event("failed", response=end)))
    partial = decoder.response(Exchange())
    assert (partial.text, partial.finish, partial.complete) == ("Grüße,", "error", False)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "no", "param": None}, ServerError),
        ({"type": "error", "error": {"code": "content_filter", "message": "no"}}, ContentBlocked),
        ({"error": {"code": "rate_limit_exceeded", "message": "no"}}, RateLimited),
    ],
    ids=["event", "nested", "bare"],
)
def test_an_error_inside_the_stream_is_a_typed_error(fields, kind):
    decoder = new_decoder()
    decoder.feed(frame(CREATED))
    with pytest.raises(kind) as caught:
        decoder.feed(frame(fields))
    assert caught.value.backend == "openai"


def test_a_cancelled_answer_is_not_complete():
    decoder = new_decoder()
    _, final = play([CREATED, delta(0, "Hi"), event("cancelled", response=response([], "cancelled"))], decoder)
    assert decoder.finished
    assert (final.finish, final.complete, final.text) == ("other", False, "Hi")


def test_a_terminator_without_a_status_is_taken_at_its_name():
    data = response([MESSAGE])
    del data["status"]
    assert play([event("completed", response=data)])[1].finish == "stop"


def test_a_citation_is_there_before_the_answer_is_whole():
    _, partial = play(CONVERSATION[:19])
    assert isinstance(partial.message.parts[2], Text)
    assert partial.message.parts[2].citations == (NOTE,)
