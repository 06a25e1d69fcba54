"""Recorded answers of Chat Completions, decoded past the cases and through all of them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from genkit.backends.openai import answers, chat, counts
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import GenkitError
from genkit.events import load_json
from genkit.transport.sse import SSEParser
from genkit.types import Response

from .. import cassettes
from ..cassettes import Interaction
from .recordings import OpenAIRecordings

pytestmark = pytest.mark.skipif(cassettes.ABSENT is not None, reason=str(cassettes.ABSENT))


OPENAI = OpenAIRecordings()


def answers_of(name: str, *, streams: bool) -> list[Interaction]:
    found = [item for item in cassettes.interactions(OPENAI, name) if item.api == "chat" and item.status == 200]
    return [item for item in found if item.is_stream == streams and item.content and not item.other]


def wire_of(interaction: Interaction) -> WireRequest:
    return WireRequest(path="/", body=interaction.asked, model="asked", api="chat", origin="openai/chat")


@pytest.mark.parametrize("name", cassettes.names(OPENAI.backends))
def test_a_recorded_answer_is_the_same_past_the_cases_and_through_them(name: str) -> None:
    for interaction in answers_of(name, streams=False):

        def decoded(asked: Interaction = interaction) -> Response[Any] | str:
            data = load_json(asked.content)
            try:
                return chat.decode(wire_of(asked), data, Exchange(asked.headers), backend="openai")
            except GenkitError as error:
                return repr(error)

        short = decoded()
        with (
            patch.object(answers, "_plain", return_value=None),
            patch.object(counts, "_counts_any", return_value=True),
        ):
            assert decoded() == short, interaction.label


@pytest.mark.parametrize("name", cassettes.names(OPENAI.backends))
def test_a_recorded_stream_is_the_same_past_the_cases_and_through_them(name: str) -> None:
    for interaction in answers_of(name, streams=True):
        short, long = (chat.Decoder(wire_of(interaction), backend="openai") for _ in range(2))
        for frame in SSEParser().feed(interaction.content):
            fed = list(short.feed(frame))
            if short.finished:
                break
            assert list(long.take(load_json(frame.data), None)) == fed, interaction.label
        assert list(short.end()) == list(long.end())
        long.finished = short.finished
        assert short.response(Exchange()) == long.response(Exchange())
