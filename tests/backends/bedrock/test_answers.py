"""Answers and streams: what they become, whatever they hold."""

from __future__ import annotations

import base64
import json

import pytest

from genkit.backends.wire import Exchange
from genkit.errors import BadResponse, GenkitError
from genkit.types import Audio, Image, Opaque, Schema, Text, TextDelta, Tool, ToolCall, ToolCallDelta
from tests.backends.bedrock.cases import (
    BACKEND,
    NOVA_2,
    ORIGIN,
    block,
    decoded,
    frames,
    read,
    stream_of,
    streamed,
    wire,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def same(content: list[dict], stream: list, model: str = NOVA_2):
    """Return the response of a whole answer after asserting that the stream ends in the same."""
    sent = wire(model=model)
    whole = decoded(*content, sent=sent)
    assert streamed(stream, sent) == whole
    return whole


def test_text_streams_piece_by_piece() -> None:
    stream = stream_of(block(0, {"text": "Hel"}, {"text": "lo 🙂"}, {"text": ""}))
    assert [event.text for event in read(stream) if isinstance(event, TextDelta)] == ["Hel", "lo 🙂"]
    same([{"text": "Hello 🙂"}], stream)


def test_a_signature_without_text_is_reasoning_all_the_same() -> None:
    stream = stream_of(block(0, {"reasoningContent": {"signature": "c2ln"}}))
    same([{"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}}], stream)
    odd = {"reasoningContent": {"of_tomorrow": 1}}
    kept = Opaque(type="reasoningContent", origin=ORIGIN, native={"maker": "anthropic", **odd})
    assert decoded(odd).message.parts == (kept,)


def test_arguments_of_a_call_that_bedrock_ran_are_kept_though_they_are_no_json() -> None:
    used = {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}
    part = streamed(stream_of(block(0, {"toolUse": {"input": "{"}}, start={"toolUse": used}))).message.parts[0]
    assert part.native == {"maker": "anthropic", "toolUse": {**used, "input": "{"}}


def test_a_character_that_was_cut_in_two_is_joined() -> None:
    assert streamed(stream_of(block(0, {"text": "a\ud83d"}, {"text": "\ude42b"}))).text == "a🙂b"


def test_a_call_streams_its_arguments() -> None:
    start = {"toolUse": {"toolUseId": "t1", "name": "lookup"}}
    deltas = [{"toolUse": {"input": ""}}, {"toolUse": {"input": '{"city":'}}, {"toolUse": {"input": '"Oslo"}'}}]
    stream = stream_of(block(0, {"text": "I look."}), block(1, *deltas, start=start))
    assert "".join(e.arguments for e in read(stream) if isinstance(e, ToolCallDelta)) == '{"city":"Oslo"}'
    used = {"toolUse": {"toolUseId": "t1", "name": "lookup", "input": {"city": "Oslo"}, "type": "tool_use"}}
    response = same([{"text": "I look."}, used], stream)
    assert response.tool_calls == (ToolCall(id="t1", name="lookup", arguments={"city": "Oslo"}),)


def test_a_call_without_arguments_has_none() -> None:
    start = {"toolUse": {"toolUseId": "t1", "name": "lookup"}}
    same([{"toolUse": {"toolUseId": "t1", "name": "lookup", "input": {}}}], stream_of(block(0, start=start)))


def test_arguments_that_are_no_object_are_kept_as_they_came() -> None:
    start = {"toolUse": {"toolUseId": "t1", "name": "lookup"}}
    cut = streamed(stream_of(block(0, {"toolUse": {"input": '{"city": "Os'}}, start=start))).tool_calls[0]
    assert (cut.arguments, cut.raw) == (None, '{"city": "Os')
    odd = decoded({"toolUse": {"toolUseId": "t1", "name": "lookup", "input": [1]}}).tool_calls[0]
    assert (odd.arguments, odd.raw) == (None, "[1]")


def test_an_empty_opening_piece_is_no_part() -> None:
    start = {"toolUse": {"toolUseId": "t1", "name": "lookup"}}
    stream = stream_of(block(0, {"text": ""}), block(1, {"toolUse": {"input": "{}"}}, start=start))
    assert [part.kind for part in streamed(stream).message.parts] == ["tool_call"]


def test_citations_stay_with_their_text() -> None:
    citation = {"title": "Book", "sourceContent": [{"text": "So."}], "location": {"documentPage": {"start": 1}}}
    stream = stream_of(block(0, {"text": "So it "}, {"citation": citation}, {"text": "is."}))
    cited = {"citationsContent": {"content": [{"text": "So it "}, {"text": "is."}], "citations": [citation]}}
    response = same([cited], stream)
    kept = Text(text="So it is.", citations=(citation,), origin=ORIGIN, native={"maker": "amazon"})
    assert response.message.parts == (kept,)


def test_images_and_sounds_are_parts() -> None:
    stream = stream_of(
        block(
            0,
            {"image": {"source": {"bytes": PNG[:4]}}},
            {"image": {"source": {"bytes": PNG[4:]}}},
            start={"image": {"format": "png"}},
        )
    )
    response = same([{"image": {"format": "png", "source": {"bytes": PNG}}}], stream)
    assert response.message.parts == (Image(data=b"\x89PNG\r\n\x1a\n", mime="image/png", origin=ORIGIN),)
    heard = decoded({"audio": {"format": "mp3", "source": {"bytes": PNG}}}).message.parts[0]
    assert isinstance(heard, Audio)
    assert heard.mime == "audio/mpeg"


def test_an_image_that_failed_is_kept_as_it_came() -> None:
    stream = stream_of(block(0, {"image": {"error": {"message": "no"}}}, start={"image": {"format": "png"}}))
    response = same([{"image": {"format": "png", "error": {"message": "no"}}}], stream)
    assert isinstance(response.message.parts[0], Opaque)


def test_what_bedrock_ran_itself_is_kept_in_its_place_and_is_no_call() -> None:
    used = {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}
    told = {"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"}
    stream = stream_of(
        block(0, {"toolUse": {"input": '{"snippet":'}}, {"toolUse": {"input": '"1+1"}'}}, start={"toolUse": used}),
        block(1, {"toolResult": [{"json": {"stdOut": "2"}}]}, start={"toolResult": told}),
        block(2, {"text": "Two."}),
    )
    content = [
        {"toolUse": {**used, "input": {"snippet": "1+1"}}},
        {"toolResult": {**told, "content": [{"json": {"stdOut": "2"}}]}},
        {"text": "Two."},
    ]
    response = same(content, stream)
    assert response.tool_calls == ()
    assert [part.native for part in response.message.parts[:2]] == [{"maker": "amazon", **item} for item in content[:2]]
    assert response.warnings == ()


def test_a_block_without_a_word_is_kept_and_told() -> None:
    response = same(
        [{"hologram": {"depth": 3}}],
        stream_of(block(0, {"hologram": {"depth": 3}})),
    )
    native = {"maker": "amazon", "hologram": {"depth": 3}}
    assert response.message.parts == (Opaque(type="hologram", origin=ORIGIN, native=native),)
    assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "hologram")]


def test_what_a_guardrail_says_is_no_makers() -> None:
    said = {"guardContent": {"text": {"text": "x"}}}
    assert decoded(said).message.parts == (Opaque(type="guardContent", origin=ORIGIN, native=said),)


def test_an_event_without_a_word_is_told() -> None:
    response = streamed([("weather", {"rain": True}), *stream_of(block(0, {"text": "x"}))])
    assert response.text == "x"
    assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "weather")]


def test_an_initial_response_is_passed_over() -> None:
    assert streamed([("initial-response", {}), *stream_of(block(0, {"text": "x"}))]).warnings == ()


def test_what_is_said_beside_the_message_is_native() -> None:
    trace = {"guardrail": {"actionReason": "Guardrail masked."}}
    whole = decoded({"text": "x"}, trace=trace, serviceTier={"type": "flex"})
    assert whole.native == {"metrics": {"latencyMs": 7}, "trace": trace, "serviceTier": {"type": "flex"}}
    stream = stream_of(block(0, {"text": "x"}))
    stream[-1][1].update(trace=trace, serviceTier={"type": "flex"}, p="abc")
    assert streamed(stream) == whole


@pytest.mark.parametrize("data", [{}, {"output": {}}, {"output": None}, {"output": {"message": []}}])
def test_an_answer_without_a_message_is_a_bad_response(data: dict) -> None:
    with pytest.raises(BadResponse):
        BACKEND.decoded(wire(), data, Exchange())


@pytest.mark.parametrize(
    "content",
    [
        ["text"],
        [{"toolUse": {"name": "x"}}],
        [{"text": 7}],
        [{"reasoningContent": 3}],
        [{"citationsContent": {"content": [1]}}],
    ],
)
def test_an_answer_of_another_shape_is_a_typed_error(content: list) -> None:
    data = {"output": {"message": {"content": content}}, "stopReason": "end_turn"}
    with pytest.raises(GenkitError):
        BACKEND.decoded(wire(), data, Exchange())


@pytest.mark.parametrize("counts", [None, [], {}, {"inputTokens": "3"}, {"inputTokens": -1, "outputTokens": 2}])
def test_counts_that_are_none_are_unknown(counts: object) -> None:
    usage = decoded({"text": "x"}, usage=counts).usage
    assert usage.total is None


def test_a_stream_of_several_blocks_at_once_keeps_them_apart() -> None:
    def delta(index: int, text: str) -> tuple[str, dict]:
        return "contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": text}}

    def stop(index: int) -> tuple[str, dict]:
        return "contentBlockStop", {"contentBlockIndex": index}

    stream = stream_of([delta(0, "a"), delta(1, "x"), delta(0, "b"), delta(1, "y"), stop(1), stop(0), stop(7)])
    assert [part.text for part in streamed(stream).message.parts if isinstance(part, Text)] == ["ab", "xy"]


def test_an_error_message_frame_is_typed() -> None:
    from genkit.transport.eventstream import Frame

    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Oops."}
    with pytest.raises(GenkitError, match=r"Oops\."):
        BACKEND.decoder(wire()).feed(Frame(headers, b""))
    assert frames() == []


def test_what_comes_beside_text_in_a_stream_and_has_no_word_is_told() -> None:
    response = streamed(stream_of(block(0, {"text": "a", "mood": 1}, {"weather": "rain"}, {"text": "b"})))
    assert response.text == "ab"
    assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "mood"), ("note", "weather")]


def test_a_stream_that_ends_before_its_counts_says_so() -> None:
    response = streamed(stream_of(block(0, {"text": "x"}))[:-1])
    assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "usage")]


def test_redacted_reasoning_keeps_its_place_though_the_stream_forgot_its_end() -> None:
    hidden = base64.b64encode(b"hidden").decode()
    stream = stream_of(
        [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": hidden}}})],
        block(1, {"text": "Yes."}),
    )
    same([{"reasoningContent": {"redactedContent": hidden}}, {"text": "Yes."}], stream)


@pytest.mark.parametrize(("kind", "payload"), [("contentBlockDelta", b'{"delta": 3}'), ("contentBlockStop", b"{oops")])
def test_an_event_that_is_broken_is_quoted(kind: str, payload: bytes) -> None:
    from genkit.transport.eventstream import Frame

    with pytest.raises(BadResponse, match=payload.decode().replace("{", ".")) as caught:
        BACKEND.decoder(wire()).feed(Frame({":event-type": kind, ":message-type": "event"}, payload))
    assert caught.value.__cause__ is not None


class TestAnswersThatAreCalls:
    """The answer is the call of a tool, where a model can be held to a schema in no other way."""

    SCHEMA = Schema(name="a", json_schema={"type": "object", "properties": {"a": {"type": "integer"}}})
    LIST = Schema(name="a", json_schema={"type": "array", "items": {"type": "integer"}})

    def sent(self, schema: Schema = SCHEMA):
        return wire(model=NOVA_2, output_schema=schema)

    def call(self, index: int, *pieces: str) -> list:
        start = {"toolUse": {"toolUseId": f"t{index}", "name": "genkit_answer"}}
        return block(index, *({"toolUse": {"input": piece}} for piece in pieces), start=start)

    def used(self, given: object) -> dict:
        return {"toolUse": {"toolUseId": "t", "name": "genkit_answer", "input": given}}

    def agreed(self, content: list[dict], stream: list, sent: object):
        whole = decoded(*content, stop="tool_use", sent=sent)
        assert streamed(stream, sent) == whole
        return whole

    def test_text_before_the_answer_is_what_the_model_thought(self) -> None:
        thought = "<thinking>Hm.</thinking>"
        stream = stream_of(
            block(0, {"text": thought[:9]}, {"text": thought[9:]}), self.call(1, '{"a":1}'), stop="tool_use"
        )
        response = self.agreed([{"text": thought}, self.used({"a": 1})], stream, self.sent())
        assert response.text == '{"a":1}'
        assert [part.text for part in response.message.parts] == [thought, '{"a":1}']

    def test_text_without_a_call_is_the_answer(self) -> None:
        stream = stream_of(block(0, {"text": "I can"}, {"text": "not."}))
        whole = decoded({"text": "I cannot."}, sent=self.sent())
        assert streamed(stream, self.sent()) == whole
        assert whole.text == "I cannot."

    def test_text_before_another_call_is_text(self) -> None:
        tools = (Tool(name="lookup"),)
        sent = wire(model=NOVA_2, output_schema=self.SCHEMA, tools=tools)
        start = {"toolUse": {"toolUseId": "t", "name": "lookup"}}
        stream = stream_of(block(0, {"text": "I look."}), block(1, start=start), stop="tool_use")
        other = {"toolUse": {"toolUseId": "t", "name": "lookup", "input": {}}}
        assert self.agreed([{"text": "I look."}, other], stream, sent).text == "I look."

    def test_text_that_is_held_back_when_a_stream_breaks_is_in_what_arrived(self) -> None:
        decoder = BACKEND.decoder(self.sent())
        for piece in frames(*block(0, {"text": "I can"})[:1]):
            assert list(decoder.feed(piece)) == []
        assert decoder.response(Exchange()).text == "I can"

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_of_two_answers_the_first_is_taken_and_the_other_told(self, wrapped: bool) -> None:
        first, other = ([1], [2]) if wrapped else ({"a": 1}, {"a": 2})
        given = [{"value": value} if wrapped else value for value in (first, other)]
        stream = stream_of(*(self.call(at, json.dumps(value)) for at, value in enumerate(given)), stop="tool_use")
        sent = self.sent(self.LIST if wrapped else self.SCHEMA)
        response = self.agreed([self.used(value) for value in given], stream, sent)
        assert json.loads(response.text) == first
        assert [warning.subject for warning in response.warnings] == ["output_schema"]

    def test_white_space_of_a_streamed_answer_is_that_of_a_whole_one(self) -> None:
        text = '{ "a\\" b" : [ 1,\n 2 ] }'
        stream = stream_of(self.call(0, *text), stop="tool_use")
        assert self.agreed([self.used(json.loads(text))], stream, self.sent()).text == '{"a\\" b":[1,2]}'
