"""Answers and streams, through one decoder."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.backends.google import answers
from genkit.backends.google.counts import usage
from genkit.backends.wire import Exchange
from genkit.errors import BadResponse, GenkitError
from genkit.events import fold
from genkit.testing.contract.asking import check_grammar
from genkit.types import (
    Audio,
    BlockEnd,
    Document,
    Image,
    Message,
    Opaque,
    Text,
    TextDelta,
    Thinking,
    TokenLogprob,
    ToolResult,
    Usage,
)
from tests.backends.google.cases import (
    GEMINI,
    ORIGIN,
    SIGNED,
    answered,
    candidate,
    chunk,
    decoded,
    said,
    streamed,
    whole,
    wire,
)
from tests.farend import Call, FarEnd


def test_a_text_is_a_text() -> None:
    response = answered({"text": "Hello"})
    assert response.message.parts == (Text(text="Hello"),)
    assert (response.finish, response.finish_raw, response.complete) == ("stop", "STOP", True)
    assert (response.model, response.id, response.api) == ("gemini-2.5-flash-001", "r1", "generateContent")


def test_an_answer_without_candidates_and_reason_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="no candidates"):
        decoded({"usageMetadata": {"promptTokenCount": 3}})


def test_an_error_in_place_of_an_answer_is_raised() -> None:
    with pytest.raises(GenkitError, match="overloaded"):
        decoded({"error": {"code": 503, "message": "overloaded"}})


def test_pieces_of_a_text_are_one_text() -> None:
    events, response = streamed(chunk({"text": "Hel"}), chunk({"text": "lo"}), chunk({"text": " there"}, finish="STOP"))
    check_grammar(events)
    assert response.message.parts == (Text(text="Hello there"),)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo", " there"]


@pytest.mark.parametrize("silent", [{"index": 0}, {}, {"content": None}, {"content": {}}], ids=str)
def test_a_candidate_without_content_in_mid_stream_says_nothing(silent: dict[str, Any]) -> None:
    _, response = streamed(chunk({"text": "a"}), {"candidates": [silent]}, chunk({"text": "b"}, finish="STOP"))
    assert response.message.parts == (Text(text="ab"),)


def test_half_a_character_waits_for_the_other_half() -> None:
    decoder = answers.Decoder(wire(), backend="google")
    pieces = [b'"a"', rb'"\ud83d"', rb'"\ude00"']
    frame = b'{"candidates": [{"content": {"parts": [{"text": %b}]}, "index": 0, "finishReason": "STOP"}]}'
    for piece in pieces:
        decoder.feed(type("Frame", (), {"data": frame % piece, "event": "message"})())
    decoder.end()
    assert decoder.response(Exchange()).text == "a\U0001f600"


def test_thoughts_are_thinking_and_end_where_the_text_begins() -> None:
    thought = {"text": "Hmm. ", "thought": True}
    events, response = streamed(
        chunk(thought), chunk({**thought, "text": "So."}), chunk({"text": "Yes"}, finish="STOP")
    )
    check_grammar(events)
    assert response.message.parts == (Thinking(text="Hmm. So.", origin=ORIGIN), Text(text="Yes"))


def test_text_after_a_signed_text_is_a_part_of_its_own() -> None:
    _, response = streamed(chunk({"text": "a", **SIGNED}), chunk({"text": "b"}, finish="STOP"))
    assert [(part.native, part.text) for part in response.message.parts] == [(SIGNED, "a"), (None, "b")]  # type: ignore[union-attr]


def test_parts_of_a_whole_answer_stay_apart_where_one_is_signed() -> None:
    parts = answered({"text": "a"}, {"text": "b", **SIGNED}).message.parts
    assert [part.native for part in parts] == [None, SIGNED]


def test_two_calls_with_one_id_are_told_apart() -> None:
    call = {"functionCall": {"name": "f", "args": {}, "id": "x"}}
    first, second = answered(call, call).tool_calls
    assert (first.id, first.minted) == ("x", False)
    assert second.minted
    assert second.id != "x"


def test_a_call_without_arguments_has_none() -> None:
    assert answered({"functionCall": {"name": "now"}}).tool_calls[0].arguments == {}


def test_code_and_its_result_are_kept_in_place() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    parts = answered({"text": "So:"}, code, result, {"text": "2"}).message.parts
    assert [part.kind for part in parts] == ["text", "opaque", "opaque", "text"]
    assert parts[1] == Opaque(type="executableCode", origin=ORIGIN, native=code)


def test_a_part_of_a_kind_nobody_knows_is_kept() -> None:
    part = {"hologram": {"depth": 3}}
    assert answered(part).message.parts == (Opaque(type="hologram", origin=ORIGIN, native=part),)


def test_speech_in_pieces_is_one_sound() -> None:
    def piece(data: bytes) -> dict[str, Any]:
        return {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": base64.b64encode(data).decode()}}

    events, response = streamed(chunk(piece(b"ab")), chunk(piece(b"cd")), chunk(finish="STOP"))
    check_grammar(events)
    assert response.message.parts == (Audio(data=b"abcd", mime="audio/L16;rate=24000", origin=ORIGIN),)


def test_files_of_other_kinds_are_documents() -> None:
    pdf = {"inlineData": {"mimeType": "application/pdf", "data": ""}}
    assert answered(pdf).message.parts == (Document(data=b"", mime="application/pdf", origin=ORIGIN),)
    remote = {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/x.png"}}
    assert answered(remote).message.parts == (Image(url="gs://b/x.png", mime="image/png", origin=ORIGIN),)


def test_sources_are_citations_of_the_text_and_stay_in_native() -> None:
    chunks = [{"web": {"uri": "https://a"}}, {"web": {"uri": "https://b"}}]
    support = {"segment": {"endIndex": 3, "text": "Yes"}, "groundingChunkIndices": [1]}
    grounding = {"groundingChunks": chunks, "groundingSupports": [support]}
    response = answered({"text": "Yes"}, groundingMetadata=grounding)
    (text,) = response.message.parts
    assert isinstance(text, Text)
    assert text.citations == ({**support, "groundingChunks": [chunks[1]]},)
    assert response.native == {"candidates": [{"index": 0, "groundingMetadata": grounding}]}


def test_quotations_are_citations_too() -> None:
    cited = {"citationSources": [{"uri": "https://a", "startIndex": 0}]}
    (text,) = answered({"text": "Yes"}, citationMetadata=cited).message.parts
    assert isinstance(text, Text)
    assert text.citations == ({"uri": "https://a", "startIndex": 0},)


def test_log_probabilities_come_with_their_alternatives() -> None:
    found = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}]}, {}],
    }
    logprobs = answered({"text": "ab"}, logprobsResult=found).logprobs
    assert logprobs == (TokenLogprob("a", -0.5, (TokenLogprob("a", -0.5),)), TokenLogprob("b", 0.0))


def test_several_answers_are_kept_apart() -> None:
    def of(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
        return {**candidate({"text": text}, finish=finish), "index": index}

    two = {"generationConfig": {"candidateCount": 2}}
    events, response = streamed(
        whole(of(0, "a"), of(1, "x")), whole(of(1, "y", "STOP")), whole(of(0, "b", "STOP")), body=two
    )
    check_grammar(events)
    assert (response.text, response.alternatives[0].message.text) == ("ab", "xy")


def test_until_its_end_a_stream_that_lacks_one_of_its_answers_is_not_complete() -> None:
    decoder = answers.Decoder(wire(body={"generationConfig": {"candidateCount": 2}}), backend="google")
    decoder.take(whole(candidate({"text": "a"})), whole=False)
    assert not decoder.settled
    assert not decoder.response(Exchange()).complete


def test_fewer_answers_than_were_asked_for_are_noted_whole_and_streamed() -> None:
    two = {"generationConfig": {"candidateCount": 2}}
    for response in (
        decoded(whole(candidate({"text": "a"})), body=two),
        streamed(chunk({"text": "a"}, finish="STOP"), body=two)[1],
    ):
        assert (response.text, response.complete) == ("a", True)
        assert [(note.kind, note.subject) for note in response.warnings] == [("note", "n")]


def test_an_answer_without_a_number_beside_numbered_ones_is_the_one_that_is_missing() -> None:
    second, first = candidate({"text": "one"}, index=1), candidate({"text": "zero"})
    del first["index"]
    response = decoded(whole(second, first))
    assert (response.text, response.alternatives[0].message.text) == ("zero", "one")


@pytest.mark.parametrize("signed", [0, 1, 2])
def test_the_signature_of_any_piece_of_a_sound_is_the_sounds(signed: int) -> None:
    pieces: list[dict[str, Any]] = [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}} for _ in range(3)]
    pieces[signed] |= SIGNED
    sound = Audio(data=bytes(9), mime="audio/wav", origin=ORIGIN, native=SIGNED)
    assert answered(*pieces).message.parts == (sound,)
    assert streamed(*map(chunk, pieces), chunk(finish="STOP"))[1].message.parts == (sound,)


def test_pieces_of_sound_with_signatures_of_their_own_are_several_sounds() -> None:
    piece = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    parts = answered({**piece, **SIGNED}, {**piece, "thoughtSignature": "b3RoZXI="}).message.parts
    assert [part.native for part in parts] == [SIGNED, {"thoughtSignature": "b3RoZXI="}]


def test_a_content_that_is_none_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="content is a str"):
        GEMINI.decoded(wire(), whole({"content": "Hi", "finishReason": "STOP"}), Exchange())


def test_media_that_are_not_base64_are_a_bad_response() -> None:
    data = whole(candidate({"inlineData": {"mimeType": "image/png", "data": "*"}}))
    with pytest.raises(BadResponse):
        GEMINI.decoded(wire(), data, Exchange())


GROUNDS = {"groundingChunks": [{"web": {"uri": "u"}}]}
SUPPORT = {"segment": {"text": "b"}, "groundingChunkIndices": [0]}


@pytest.mark.parametrize("swapped", [False, True])
def test_sources_that_come_in_pieces_are_put_together(swapped: bool) -> None:
    pieces: list[dict[str, Any]] = [GROUNDS, {"groundingSupports": [SUPPORT], "webSearchQueries": ["q"]}]
    first, second = reversed(pieces) if swapped else pieces
    _, response = streamed(
        whole(candidate({"text": "a"}, finish=None, groundingMetadata=first)),
        whole(candidate({"text": "b"}, groundingMetadata=second)),
    )
    (part,) = response.message.parts
    assert isinstance(part, Text)
    assert part.citations == ({**SUPPORT, **GROUNDS},)
    assert response.native == {"candidates": [{"index": 0, "groundingMetadata": {**pieces[0], **pieces[1]}}]}


def test_sources_that_are_told_again_and_longer_are_told_once() -> None:
    longer = {"groundingChunks": [*GROUNDS["groundingChunks"], {"web": {"uri": "v"}}]}
    _, response = streamed(
        whole(candidate({"text": "a"}, finish=None, groundingMetadata=GROUNDS)),
        whole(candidate({"text": "b"}, groundingMetadata=longer)),
    )
    assert response.native == {"candidates": [{"index": 0, "groundingMetadata": longer}]}


def test_sources_whose_chunks_never_come_are_kept_all_the_same() -> None:
    (part,) = answered({"text": "a"}, groundingMetadata={"groundingSupports": [SUPPORT]}).message.parts
    assert isinstance(part, Text)
    assert part.citations == ({**SUPPORT, "groundingChunks": []},)


def test_sources_that_come_with_a_call_belong_to_the_text_before_it() -> None:
    cited = {"citationMetadata": {"citations": [{"uri": "u"}]}}
    call = {"functionCall": {"name": "f"}}
    for response in (
        answered({"text": "t"}, call, **cited),
        streamed(chunk({"text": "t"}), whole(candidate(call, **cited)))[1],
    ):
        assert response.message.parts[0] == Text(text="t", citations=({"uri": "u"},))


def test_sources_after_the_end_of_their_text_are_noted() -> None:
    cited = {"citationMetadata": {"citations": [{"uri": "u"}]}}
    _, response = streamed(chunk({"text": "t"}, {"functionCall": {"name": "f"}}), whole(candidate(**cited)))
    assert response.native == {"candidates": [{"index": 0, **cited}]}
    assert [(note.kind, note.subject) for note in response.warnings] == [("note", "citations")]


def test_metadata_of_texts_and_calls_is_kept_and_goes_back() -> None:
    beside = {"partMetadata": {"a": 1}}
    parts = [{"text": "x", **beside}, {"functionCall": {"name": "f", "args": {}, "id": "1"}, **beside}]
    message = answered(*parts).message
    assert [part.native for part in message.parts] == [beside, beside]
    result = Message.tool(ToolResult(id="1", name="f"))
    assert said("Hi", message, result)[1]["parts"] == parts


def test_what_is_new_in_a_call_is_kept() -> None:
    (call,) = answered({"functionCall": {"name": "f", "args": {"a": 1}, "willContinue": True}}).tool_calls
    assert (call.arguments, call.native) == ({"a": 1}, {"functionCall": {"willContinue": True}})


def test_a_count_of_another_prompt_takes_its_shares_with_it() -> None:
    _, response = streamed(
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 500, "cachedContentTokenCount": 300}),
        chunk({"text": "b"}, finish="STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 1}),
    )
    assert (response.usage.input, response.usage.cache_read, response.usage.output) == (5, 0, 1)


def test_counts_after_the_end_of_the_text_count() -> None:
    last = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}}
    _, response = streamed(chunk({"text": "a"}, finish="STOP"), last)
    assert response.usage == Usage(input=3, output=1)


def test_a_stream_that_is_cut_is_an_interruption_with_what_had_come() -> None:
    def tell(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        call.chunk(b"data: " + json.dumps(chunk({"text": "Hel"})).encode() + b"\n\n")
        call.end()

    from genkit.backends.google import Google
    from genkit.errors import StreamInterrupted
    from tests.backends.google.cases import request

    with FarEnd(tell) as far:
        backend = Google(base_url=far.url, api_key="k")
        with pytest.raises(StreamInterrupted) as caught:
            list(backend.stream(request()))
        backend.close()
    assert caught.value.response is not None
    assert caught.value.response.text == "Hel"
    assert not caught.value.response.complete


def test_numbers_in_place_of_words_are_kept_as_words() -> None:
    assert decoded({"candidates": [{"content": {}, "finishReason": 2}]}).finish_raw == "2"


def test_what_has_no_place_is_kept_in_native() -> None:
    response = decoded(whole(candidate({"text": "a"}, safetyRatings=[{"category": "c"}]), createTime="t"))
    assert response.native == {"createTime": "t", "candidates": [{"index": 0, "safetyRatings": [{"category": "c"}]}]}


PARTS = st.sampled_from(
    [
        {"text": "word "},
        {"text": "more", **SIGNED},
        {"text": "Hm", "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}}},
        {"functionCall": {"name": "g", "args": {}, "id": "i"}, **SIGNED},
        {"executableCode": {"code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=8))
def test_every_stream_keeps_the_grammar_and_folds_to_its_response(parts: list[dict[str, Any]]) -> None:
    events, response = streamed(*[chunk(part) for part in parts], chunk({"text": ""}, finish="STOP"))
    check_grammar(events)
    ends = [event.part for event in events if isinstance(event, BlockEnd)]
    assert tuple(ends) == response.message.parts
    assert fold(events) == response


@given(st.lists(PARTS, min_size=1, max_size=8, unique_by=str))
def test_an_answer_is_sent_back_as_it_came(parts: list[dict[str, Any]]) -> None:
    from genkit.types import Message, ToolResult
    from tests.backends.google.cases import request, wire_of

    signatures = [part for part in parts if "thoughtSignature" in part]
    parts = [part for part in parts if part not in signatures[1:]]
    message = answered(*parts).message
    results = [ToolResult(id=call.id) for call in message.tool_calls]
    asked = request("Go", message, *([Message.tool(*results)] if results else ["Go on"]))
    sent = wire_of(asked, GEMINI).body["contents"][1]["parts"]
    texts = "".join(part["text"] for part in sent if "text" in part and "thought" not in part)
    assert texts == "".join(part["text"] for part in parts if "text" in part and "thought" not in part)
    assert [part for part in sent if "text" not in part] == [part for part in parts if "text" not in part]


# ---------------------------------------------------------------- counts


def test_no_counts_are_unknown_counts() -> None:
    assert usage(None) == Usage()
    assert usage({}) == Usage()


def test_counts_by_kind_are_taken_out_of_the_sums() -> None:
    found = usage(
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 50,
            "cachedContentTokenCount": 30,
            "totalTokenCount": 150,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 20},
                {"modality": "AUDIO", "tokenCount": 40},
                {"modality": "IMAGE", "tokenCount": 40},
            ],
            "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 30}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 45}],
        }
    )
    assert found == Usage(input=20, output=5, cache_read=30, input_audio=40, input_image=10, output_image=45)
    assert found.total == 150


def test_an_answer_that_is_not_counted_is_what_the_total_leaves() -> None:
    assert usage({"promptTokenCount": 4, "totalTokenCount": 9}) == Usage(input=4, output=5)
    assert usage({"promptTokenCount": 4, "totalTokenCount": 4}) == Usage(input=4, output=0)
    assert usage({"promptTokenCount": 4}).output is None


@given(
    st.dictionaries(
        st.sampled_from(["promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount", "thoughtsTokenCount"]),
        st.integers(0, 1000),
        min_size=1,
    )
)
def test_classes_never_are_below_nothing(counts: dict[str, int]) -> None:
    found = usage(counts)
    for name in Usage.__dataclass_fields__:
        value = getattr(found, name)
        assert not isinstance(value, int) or value >= 0


def test_a_text_that_is_none_is_a_bad_response_from_the_backend() -> None:
    with pytest.raises(BadResponse, match="form"):
        GEMINI.decoded(wire(), whole(candidate({"text": 7})), Exchange())


def test_calls_of_an_answer_without_an_id_have_ids_all_the_same() -> None:
    call = {"functionCall": {"name": "f"}}
    one, two = decoded({"candidates": [candidate(call, call)]}).tool_calls
    assert one.id != two.id


def test_an_event_without_data_says_nothing() -> None:
    decoder = answers.Decoder(wire(), backend="google")
    assert decoder.feed(type("Frame", (), {"data": b"", "event": "message"})()) == ()


def test_a_count_is_a_number_or_an_error() -> None:
    assert GEMINI._counted({}) == 0
    with pytest.raises(BadResponse, match="no count"):
        GEMINI._counted({"totalTokens": "many"})
    with pytest.raises(GenkitError, match="no"):
        GEMINI._counted({"error": {"code": 500, "message": "no"}})
