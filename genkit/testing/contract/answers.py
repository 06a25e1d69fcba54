"""What an answer and a stream are."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import threading
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import get_args

import pytest
from pydantic import TypeAdapter

from ...backends.base import Backend
from ...errors import GenkitError, StreamClosed
from ...types import (
    BlockEnd,
    Event,
    Finish,
    Message,
    Request,
    Response,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from .asking import SOON, Way, check_grammar, close, in_every_way, respond, response_of
from .base import Asks

__all__ = ["Answers", "Streams"]


class Answers(Asks):
    """What an answer is."""

    def test_an_answer_is_an_assistant_message_with_text(self, backend: Backend) -> None:
        response = backend.generate(self.ask())
        assert response.message.role == "assistant"
        assert response.text
        assert response.complete
        assert response.backend, "an answer names its backend"

    def test_the_finish_is_one_of_six_words(self, backend: Backend) -> None:
        assert backend.generate(self.ask()).finish in get_args(Finish)

    @in_every_way
    def test_token_counts_are_unknown_or_add_up(self, backend: Backend, way: Way) -> None:
        usage = respond(backend, self.ask(), way).usage
        counts = [getattr(usage, name) for name in Usage.__dataclass_fields__ if name not in ("estimated", "raw")]
        assert all(count is None or count >= 0 for count in counts), usage
        assert usage.total == (None if None in counts else sum(counts))
        assert not usage.estimated, "a whole answer has the far end's own counts, or None"

    @in_every_way
    def test_an_answer_says_how_long_it_took(self, backend: Backend, way: Way) -> None:
        timing = respond(backend, self.ask(), way).timing
        assert timing is not None
        assert timing.first is not None
        assert timing.total is not None
        assert 0 <= timing.first <= timing.total

    def test_request_and_response_survive_json(self, backend: Backend) -> None:
        request = self.ask()
        response = backend.generate(request)
        assert Request.model_validate_json(request.model_dump_json()) == request
        assert Response.model_validate_json(response.model_dump_json()) == response

    def test_text_of_every_script_is_answered(self, backend: Backend) -> None:
        assert backend.generate(self.ask("Grüße aus 東京, Ελλάδα 🙂")).message.role == "assistant"

    @in_every_way
    def test_text_that_utf8_cannot_hold_is_answered_or_refused(self, backend: Backend, way: Way) -> None:
        try:
            response = respond(backend, self.ask("half a pair: \ud83d"), way)
        except GenkitError:
            return
        assert response.message.role == "assistant"

    def test_a_conversation_is_answered(self, backend: Backend) -> None:
        turns = [Message.user("My name is Ada."), Message.assistant("Hello Ada."), Message.user(self.prompt)]
        assert backend.generate(self.ask(messages=turns)).text

    def test_a_system_message_is_honoured_or_reported(self, backend: Backend) -> None:
        request = self.ask(messages=[Message.system("Be brief."), Message.user(self.prompt)])
        response = backend.generate(request)
        assert response.text
        assert all(warning.kind != "dropped" or warning.subject == "system" for warning in response.warnings)


class Streams(Asks):
    """What a stream is."""

    def test_each_part_has_start_deltas_and_end_and_one_done_is_last(self, backend: Backend) -> None:
        check_grammar(backend.stream(self.ask()))

    def test_the_deltas_add_up_to_the_response(self, backend: Backend) -> None:
        events = list(backend.stream(self.ask(self.long_prompt)))
        response = response_of(events)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == response.text
        assert "".join(event.text for event in events if isinstance(event, ThinkingDelta)) == response.thinking

    def test_the_ended_parts_are_the_parts_of_the_message(self, backend: Backend) -> None:
        events = list(backend.stream(self.ask()))
        ends = [event for event in events if isinstance(event, BlockEnd) and not event.candidate]
        parts = tuple(end.part for end in sorted(ends, key=lambda end: end.index))
        assert parts == response_of(events).message.parts

    def test_a_stream_ends_in_the_response_that_generate_gives(self, backend: Backend) -> None:
        streamed = response_of(backend.stream(self.ask()))
        assert self.comparable(streamed) == self.comparable(backend.generate(self.ask()))

    def test_events_survive_json(self, backend: Backend) -> None:
        adapter: TypeAdapter[Event] = TypeAdapter(Event)
        for event in backend.stream(self.ask()):
            assert adapter.validate_json(adapter.dump_json(event)) == event

    def test_a_stream_may_be_left_and_the_next_call_works(self, backend: Backend) -> None:
        stream = backend.stream(self.ask(self.long_prompt))
        next(stream)
        close(stream)
        close(stream)
        assert _rest(stream) == []
        assert backend.generate(self.ask()).text

    def test_a_stream_that_is_never_read_is_closed_in_silence(self, backend: Backend) -> None:
        stream = backend.stream(self.ask())
        close(stream)
        assert _rest(stream) == []

    def test_a_stream_may_be_closed_by_another_thread(self, backend: Backend) -> None:
        stream = backend.stream(self.ask(self.long_prompt))
        next(stream)
        closing = threading.Thread(target=close, args=(stream,), daemon=True)
        closing.start()
        closing.join(SOON)
        assert not closing.is_alive()
        assert _rest(stream) == [], "a closed stream gives nothing more"
        assert backend.generate(self.ask()).text

    def test_closing_ends_a_reader_that_waits_in_another_thread(self, backend: Backend) -> None:
        stream = backend.stream(self.stalled(backend))
        if isinstance(stream, types.GeneratorType):
            pytest.skip("a plain generator cannot be closed while it runs")
        begun, ends = threading.Event(), list[str]()

        def read() -> None:
            try:
                for _ in stream:
                    begun.set()
                ends.append("over")
            except StreamClosed:
                ends.append("closed")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert begun.wait(SOON)
        # Time for the reader to be waiting; a reader that is not there yet ends as well.
        reader.join(0.05)
        close(stream)
        reader.join(SOON)
        assert ends in (["over"], ["closed"])
        assert backend.generate(self.ask()).text


def _rest(stream: Iterator[Event]) -> list[Event]:
    """Read what a closed stream still gives."""
    events: list[Event] = []
    with suppress(StreamClosed):
        events.extend(stream)
    return events
