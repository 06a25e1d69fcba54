"""What is declared works, and what is not is refused or reported."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, get_args

import pytest

from ...backends.base import Backend
from ...errors import Unsupported
from ...types import Finish, Message, Settings, Text, TextDelta, ToolResult
from .asking import (
    MEDIA,
    PERSON,
    WEATHER,
    Way,
    alone,
    check_grammar,
    for_every_setting,
    in_every_way,
    inside,
    respond,
    response_of,
)
from .base import Asks

__all__ = ["Abilities", "Honesty"]


class Honesty(Asks):
    """A setting is honoured, or its loss is reported."""

    def test_features_of_an_unknown_model_are_known_too(self, backend: Backend) -> None:
        features = backend.features("a-model-nobody-knows")
        assert features.settings <= set(Settings.model_fields)
        assert features.media <= set(MEDIA)

    @in_every_way
    @for_every_setting
    def test_a_setting_is_honoured_or_reported(self, backend: Backend, setting: str, way: Way) -> None:
        declared = setting in self.features(backend).settings
        request = self.sampled(backend, setting)
        if not declared and setting in Settings.GUARANTEES:
            with pytest.raises(Unsupported):
                respond(backend, request, way)
            return
        response = respond(backend, request, way)
        dropped = setting in {warning.subject for warning in response.warnings if warning.kind == "dropped"}
        assert dropped is not declared, f"{setting} is {'' if declared else 'not '}declared; {response.warnings}"

    @for_every_setting
    def test_a_setting_that_the_caller_requires_is_honoured_or_refused(self, backend: Backend, setting: str) -> None:
        request = self.sampled(backend, setting, require=[setting])
        if setting in self.features(backend).settings:
            assert backend.generate(request).message.role == "assistant"
            return
        with pytest.raises(Unsupported) as caught:
            backend.generate(request)
        assert setting in caught.value.message

    @for_every_setting
    def test_an_undeclared_setting_is_an_error_where_the_caller_wants_that(
        self, backend: Backend, setting: str
    ) -> None:
        request = self.sampled(backend, setting, on_unsupported="error")
        if setting in self.features(backend).settings:
            pytest.skip(f"features declare {setting}")
        with pytest.raises(Unsupported):
            backend.generate(request)

    @for_every_setting
    def test_nothing_is_said_where_the_caller_ignores_losses(self, backend: Backend, setting: str) -> None:
        response = backend.generate(self.sampled(backend, setting, on_unsupported="ignore"))
        assert setting not in {warning.subject for warning in response.warnings}

    @in_every_way
    def test_a_stop_text_ends_the_answer_and_is_not_part_of_it(self, backend: Backend, way: Way) -> None:
        if "stop" not in self.features(backend).settings:
            pytest.skip("features declare no stop")
        whole = backend.generate(self.ask(self.long_prompt)).text
        stop = inside(whole)
        response = respond(backend, self.ask(self.long_prompt, settings={"stop": stop}), way)
        assert response.text == whole[: whole.index(stop)]
        assert response.finish == "stop"

    @in_every_way
    def test_max_tokens_ends_a_longer_answer(self, backend: Backend, way: Way) -> None:
        if "max_tokens" not in self.features(backend).settings:
            pytest.skip("features declare no max_tokens")
        response = respond(backend, self.ask(self.long_prompt, settings={"max_tokens": 16}), way)
        assert response.finish == "length"
        assert response.usage.total_output is None or 0 < response.usage.total_output <= 16

    @in_every_way
    def test_n_gives_that_many_answers(self, backend: Backend, way: Way) -> None:
        if "n" not in self.features(backend).settings:
            pytest.skip("features declare no n")
        response = respond(backend, self.ask(settings={"n": 3}), way)
        assert len(response.alternatives) == 2
        assert all(other.message.text for other in response.alternatives)
        assert all(other.finish in get_args(Finish) for other in response.alternatives)

    def test_the_stream_of_several_answers_keeps_them_apart(self, backend: Backend) -> None:
        if "n" not in self.features(backend).settings:
            pytest.skip("features declare no n")
        events = list(backend.stream(self.ask(settings={"n": 2})))
        check_grammar(events)
        response = response_of(events)
        for candidate, message in enumerate([response.message, *(other.message for other in response.alternatives)]):
            pieces = [event.text for event in events if isinstance(event, TextDelta) and event.candidate == candidate]
            assert "".join(pieces) == message.text

    @in_every_way
    def test_logprobs_are_logarithms_of_probabilities(self, backend: Backend, way: Way) -> None:
        if "logprobs" not in self.features(backend).settings:
            pytest.skip("features declare no logprobs")
        response = respond(backend, self.ask(settings={"logprobs": True}), way)
        assert response.logprobs
        assert all(token.logprob <= 1e-6 for token in response.logprobs)


class Abilities(Asks):
    """Tools, schemas, media, vectors, likelihoods: each works if declared, and is refused if not."""

    @in_every_way
    def test_a_tool_is_called_or_refused(self, backend: Backend, way: Way) -> None:
        features = self.features(backend)
        if not features.tools:
            with pytest.raises(Unsupported):
                respond(backend, self.ask("Weather in Oslo?", tools=(WEATHER,)), way)
            return
        settings = {"tool_choice": "required"} if "tool_choice" in features.settings else {}
        response = respond(backend, self.ask("Weather in Oslo?", tools=(WEATHER,), settings=settings), way)
        if not settings and not response.tool_calls:
            pytest.skip("features declare no tool_choice, and the model chose to call no tool")
        assert response.finish == "tool_calls"
        call = response.tool_calls[0]
        assert call.name == "weather"
        assert call.id
        assert call.arguments is not None
        assert isinstance(call.arguments.get("city"), str)

    def test_a_tool_result_is_answered(self, backend: Backend) -> None:
        features = self.features(backend)
        if not features.tools:
            pytest.skip("features declare no tools")
        asked = Message.user("Weather in Oslo?")
        settings = {"tool_choice": "required"} if "tool_choice" in features.settings else {}
        first = backend.generate(self.ask(messages=[asked], tools=(WEATHER,), settings=settings))
        if not first.tool_calls:
            pytest.skip("features declare no tool_choice, and the model chose to call no tool")
        results = [ToolResult(id=c.id, name=c.name, parts=(Text(text="Sunny."),)) for c in first.tool_calls]
        turns = [asked, first.message, Message.tool(*results)]
        assert backend.generate(self.ask(messages=turns, tools=(WEATHER,))).message.parts

    @in_every_way
    def test_an_output_schema_is_kept_or_refused(self, backend: Backend, way: Way) -> None:
        request = self.ask("Ada is 36.", output_schema=PERSON)
        if not self.features(backend).output_schema:
            with pytest.raises(Unsupported):
                respond(backend, request, way)
            return
        value = json.loads(respond(backend, request, way).text)
        assert sorted(value) == ["age", "name"]
        assert isinstance(value["age"], int)
        assert isinstance(value["name"], str)

    @pytest.mark.parametrize("kind", sorted(MEDIA))
    def test_media_are_read_or_refused(self, backend: Backend, kind: str) -> None:
        part: Any = MEDIA[kind]
        request = self.ask(messages=[Message.user(self.prompt, part)])
        if kind not in self.features(backend).media:
            with pytest.raises(Unsupported):
                backend.generate(request)
            return
        response = backend.generate(request)
        assert response.text
        assert not [warning for warning in response.warnings if warning.kind == "dropped"]

    def test_embeddings_are_given_in_order_or_refused(self, backend: Backend) -> None:
        request = self.embedding("one", "two apples", "one")
        if not backend.features(request.model).embeddings:
            with pytest.raises(Unsupported):
                backend.embed(request)
            return
        found = backend.embed(request)
        one, two, again = found.vectors
        assert len(one) == len(two) == len(again) > 0
        assert all(math.isfinite(value) for vector in found.vectors for value in vector)
        assert again == pytest.approx(one, abs=1e-4)
        assert two != pytest.approx(one, abs=1e-4)
        assert backend.embed(self.embedding("two apples")).vectors[0] == pytest.approx(two, abs=1e-4)
        twin = asyncio.run(alone(backend, backend.aembed(request)))
        assert twin.vectors[1] == pytest.approx(two, abs=1e-4)

    def test_the_length_of_embeddings_is_kept_or_reported(self, backend: Backend) -> None:
        request = self.embedding("one", dimensions=8)
        if not backend.features(request.model).embeddings:
            pytest.skip("features declare no embeddings")
        found = backend.embed(request)
        reported = any(warning.subject == "dimensions" for warning in found.warnings)
        assert (len(found.vectors[0]) == 8) is not reported

    def test_scores_are_given_or_refused(self, backend: Backend) -> None:
        texts = ("The sea is blue.", "Blue the is sea", "x")
        if not self.features(backend).scores:
            with pytest.raises(Unsupported):
                backend.score(self.scoring(*texts))
            return
        scores = backend.score(self.scoring(*texts))
        assert len(scores) == len(texts)
        for text, score in zip(texts, scores, strict=True):
            assert len(score.tokens) == len(score.logprobs) > 0
            assert (score.logprobs[0] is None) is not score.bos
            assert all(value is not None and value <= 1e-6 for value in score.logprobs[1:])
            assert backend.score(self.scoring(text))[0].total == pytest.approx(score.total, abs=1e-3)
        twin = asyncio.run(alone(backend, backend.ascore(self.scoring(*texts))))
        assert [score.total for score in twin] == pytest.approx([score.total for score in scores], abs=1e-3)

    def test_tokens_are_counted_or_refused(self, backend: Backend) -> None:
        if not self.features(backend).count_tokens:
            with pytest.raises(Unsupported):
                backend.count_tokens(self.ask())
            return
        short, long = backend.count_tokens(self.ask()), backend.count_tokens(self.ask(self.long_prompt))
        assert 0 < short < long
        assert asyncio.run(alone(backend, backend.acount_tokens(self.ask()))) == short
        assert backend.generate(self.ask()).usage.total_input in (short, None)
