"""What answers hold beyond the usual is kept, where a reader can find it."""

from __future__ import annotations

from typing import Any

from genkit.backends.openai import responses
from genkit.backends.wire import Exchange, WireRequest
from genkit.types import Text
from tests.backends.openai.chat_cases import DONE, answered, chunk, parts, streamed

SIDE_BY_SIDE = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0]}


def test_log_probabilities_in_the_form_of_the_old_completions_are_kept() -> None:
    got = answered({"content": "ab"}, logprobs=SIDE_BY_SIDE)
    assert got.logprobs is None
    assert got.native["choices"] == [{"index": 0, "logprobs": SIDE_BY_SIDE}]  # type: ignore[index]


def test_log_probabilities_in_the_form_of_the_old_completions_are_joined_in_a_stream() -> None:
    def piece(token: str, logprob: float) -> bytes:
        choice = {"index": 0, "delta": {"content": token}, "finish_reason": None}
        return chunk(None, choices=[{**choice, "logprobs": {"tokens": [token], "token_logprobs": [logprob]}}])

    _, response = streamed(piece("a", -1.0), piece("b", -2.0), chunk({}, finish="stop"), DONE)
    assert response.native["choices"] == [{"index": 0, "logprobs": SIDE_BY_SIDE}]  # type: ignore[index]


def test_annotations_of_a_text_in_a_list_of_parts_belong_to_it() -> None:
    note = {"type": "url_citation"}
    assert parts({"content": [{"type": "text", "text": "x", "annotations": [note]}]}) == (
        Text(text="x", citations=(note,)),
    )


def test_an_error_beside_a_cut_answer_of_responses_is_kept() -> None:
    error = {"code": "server_error", "message": "lost"}
    item: dict[str, Any] = {"type": "message", "content": [{"type": "output_text", "text": "Hal"}]}
    data = {"status": "incomplete", "incomplete_details": {"reason": "steered"}, "output": [item], "error": error}
    wire = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin="openai/responses")
    got = responses.decode(wire, data, Exchange(), backend="openai")
    assert got.text == "Hal"
    assert (got.native or {})["error"] == error
