"""The loop and the batches, against transformers' own generate and against one text at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.backends.huggingface import engine as module
from genkit.backends.huggingface.engine import Engine
from genkit.backends.huggingface.sampling import Sampling

PROMPTS = ("Say hello", "one two three", "The capital of France", "東京 🙂")


def always() -> None:
    return None


def tokens(engine: Engine, text: str) -> list[int]:
    return engine.tokenizer(text, add_special_tokens=False)["input_ids"]


GREEDY = Sampling()


def decoded(
    engine: Engine, prompt: list[int], count: int, sampling: Sampling = GREEDY, answers: int = 1
) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(answers)]
    steps = engine.decode(prompt, sampling, answers=answers, check=always)
    for _, choices in zip(range(count), steps, strict=False):
        for row, choice in zip(rows, choices, strict=True):
            if choice is not None:
                row.append(choice.token)
    steps.close()
    return rows


class TestDecode:
    @pytest.mark.parametrize("prompt", PROMPTS)
    def test_the_likeliest_tokens_are_those_of_transformers_generate(self, engine: Engine, prompt: str) -> None:
        ids = tokens(engine, prompt)
        whole = engine.model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0].tolist()
        assert decoded(engine, ids, 40) == [whole[len(ids) :]]

    def test_a_prompt_longer_than_one_pass_gives_the_same(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = tokens(engine, "one two three four five six seven")
        expected = decoded(engine, ids, 20)
        monkeypatch.setattr(module, "_PREFILL", 3)
        assert decoded(engine, ids, 20) == expected

    def test_an_answer_ends_with_its_end_token(self, engine: Engine) -> None:
        sampling = Sampling(temperature=5.0, seed=3)
        (row,) = decoded(engine, tokens(engine, "Say"), 2000, sampling)
        assert row[-1] in engine.ends
        assert not engine.ends & set(row[:-1])

    def test_answers_side_by_side_are_those_made_alone(self, engine: Engine) -> None:
        ids = tokens(engine, "Say hello")
        sampling = Sampling(temperature=1.0, seed=11)
        rows = decoded(engine, ids, 30, sampling, answers=4)
        assert decoded(engine, ids, 30, sampling) == rows[:1]
        assert len({tuple(row) for row in rows}) == 4

    def test_every_end_token_of_the_checkpoint_is_known(self, engine: Engine) -> None:
        names = ("<|im_end|>", "<|endoftext|>")
        assert engine.ends == {engine.tokenizer.convert_tokens_to_ids(name) for name in names}

    def test_leaving_runs_no_further_pass(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        passes: list[int] = []
        forward = engine.model.forward

        def counted(*arguments: Any, **options: Any) -> Any:
            passes.append(1)
            return forward(*arguments, **options)

        monkeypatch.setattr(engine.model, "forward", counted)
        decoded(engine, tokens(engine, "Say hello"), 3)
        assert len(passes) == 3


def slow_logprobs(engine: Engine, row: list[int]) -> list[float]:
    with torch.no_grad():
        logits = engine.model(torch.tensor([row])).logits[0].double()
    return [float(logits[i].log_softmax(-1)[token]) for i, token in enumerate(row[1:])]


def rows(engine: Engine, count: int, longest: int, seed: int = 0) -> list[list[int]]:
    chance = random.Random(seed)
    size = engine.model.config.vocab_size
    return [[chance.randrange(size) for _ in range(chance.randrange(1, longest))] for _ in range(count)]


class TestLogprobs:
    def test_batches_of_unlike_lengths_give_what_one_at_a_time_gives(self, engine: Engine) -> None:
        given = rows(engine, 23, 60)
        for row, values in zip(given, engine.logprobs(given, check=always), strict=True):
            assert values == pytest.approx(slow_logprobs(engine, row), abs=1e-4)

    @pytest.mark.parametrize("budget", [1, 7, 100])
    def test_texts_cut_into_pieces_give_the_same(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, budget: int
    ) -> None:
        monkeypatch.setattr(module, "_SCORES", budget * engine.model.config.vocab_size)
        given = rows(engine, 5, 40)
        for row, values in zip(given, engine.logprobs(given, check=always), strict=True):
            assert values == pytest.approx(slow_logprobs(engine, row), abs=1e-4)

    def test_rows_of_one_token_and_of_none_have_none(self, engine: Engine) -> None:
        assert engine.logprobs([[], [5], []], check=always) == [[], [], []]

    def test_no_rows_are_no_work(self, engine: Engine) -> None:
        assert engine.logprobs([], check=always) == []

    def test_a_batch_stays_within_its_budget(self) -> None:
        lengths = [[0] * n for n in (5, 1, 30, 7, 7, 2, 100)]
        batches = list(module._batches(lengths, list(range(7)), 32))
        assert sorted(i for batch in batches for i in batch) == list(range(7))
        assert all(len(batch) == 1 or len(batch) * max(len(lengths[i]) for i in batch) <= 32 for batch in batches)
        assert len(batches) == 4


class TestEmbed:
    def test_a_vector_is_the_mean_of_the_last_states_with_length_one(self, engine: Engine) -> None:
        given = rows(engine, 9, 50)
        for row, vector in zip(given, engine.embed(given, check=always), strict=True):
            with torch.no_grad():
                states = engine.model.model(torch.tensor([row])).last_hidden_state[0].double()
            mean = states.mean(0)
            assert vector == pytest.approx((mean / mean.norm()).tolist(), abs=1e-5)


GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "tiny_llama"


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference checkpoint is not beside this checkout")
def test_the_reference_checkpoint_answers_as_transformers_makes_it() -> None:
    from genkit.backends.huggingface.loading import Source, find, load

    source = Source(str(GOLDEN), device="cpu")
    engine = load(source, find(source))
    ids = tokens(engine, "the quick brown fox")
    whole = engine.model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0].tolist()
    assert decoded(engine, ids, 40) == [whole[len(ids) :]]
    assert engine.logprobs([ids], check=always)[0] == pytest.approx(slow_logprobs(engine, ids), abs=1e-4)
