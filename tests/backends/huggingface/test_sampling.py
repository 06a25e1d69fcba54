"""Choosing tokens, against transformers' own processors and against arithmetic."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from genkit.backends.huggingface.sampling import Sampler, Sampling
from genkit.errors import BadResponse, ConfigError, InvalidRequest

VOCABULARY = 50


def scores(seed: int = 0) -> torch.Tensor:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def drawn(sampling: Sampling, logits: torch.Tensor, times: int = 4000) -> Counter[int]:
    """Return how often each token comes first."""
    return Counter(
        Sampler(Sampling(**{name: getattr(sampling, name) for name in Sampling.__slots__} | {"seed": seed}), [1])
        .choose(logits)
        .token
        for seed in range(times)
    )


def expected(*warpers: object, logits: torch.Tensor) -> list[float]:
    return LogitsProcessorList(warpers)(torch.tensor([[1]]), logits[None].clone())[0].softmax(-1).tolist()


class TestDistribution:
    @pytest.mark.parametrize(
        ("sampling", "warpers"),
        [
            (Sampling(temperature=0.7), [TemperatureLogitsWarper(0.7)]),
            (Sampling(temperature=2.0, top_k=5), [TemperatureLogitsWarper(2.0), TopKLogitsWarper(5)]),
            (Sampling(temperature=1.5, top_p=0.8), [TemperatureLogitsWarper(1.5), TopPLogitsWarper(0.8)]),
            (
                Sampling(temperature=1.5, top_k=8, top_p=0.7),
                [TemperatureLogitsWarper(1.5), TopKLogitsWarper(8), TopPLogitsWarper(0.7)],
            ),
            (
                Sampling(temperature=1.5, more={"min_p": 0.1}),
                [TemperatureLogitsWarper(1.5), MinPLogitsWarper(0.1)],
            ),
        ],
    )
    def test_tokens_are_as_frequent_as_transformers_own_warpers_say(
        self, sampling: Sampling, warpers: list[object]
    ) -> None:
        logits = scores()
        found, wanted = drawn(sampling, logits), expected(*warpers, logits=logits)
        assert set(found) <= {token for token, share in enumerate(wanted) if share > 0}
        for token, share in enumerate(wanted):
            # Four standard deviations of a binomial count, and four for the rare ones.
            assert abs(found[token] - 4000 * share) <= 4 * math.sqrt(4000 * share * (1 - share)) + 4

    def test_top_k_above_the_vocabulary_and_top_p_of_one_change_nothing(self) -> None:
        plain = drawn(Sampling(temperature=1.0), scores(), 200)
        assert drawn(Sampling(temperature=1.0, top_k=10**6, top_p=1.0), scores(), 200) == plain

    def test_a_tiny_top_p_leaves_the_likeliest(self) -> None:
        assert set(drawn(Sampling(temperature=5.0, top_p=1e-9), scores(), 100)) == {int(scores().argmax())}

    @pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-39, 1e-46, 5e-324])
    def test_no_temperature_and_next_to_none_take_the_likeliest(self, temperature: float) -> None:
        assert set(drawn(Sampling(temperature=temperature), scores(), 100)) == {int(scores().argmax())}

    @pytest.mark.parametrize("temperature", [1e39, 1e300, math.inf])
    def test_a_temperature_beyond_all_measure_takes_any_token_that_is_allowed(self, temperature: float) -> None:
        sampling = Sampling(temperature=temperature, more={"suppress_tokens": list(range(3, VOCABULARY))})
        found = drawn(sampling, scores(), 600)
        assert set(found) == {0, 1, 2}
        assert min(found.values()) > 140


class TestSeed:
    def tokens(self, seed: int | None, answer: int = 0) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=seed), [1], answer=answer)
        return [sampler.choose(torch.zeros(VOCABULARY)).token for _ in range(20)]

    @pytest.mark.parametrize("seed", [0, 7, -1, 2**63, 2**70])
    def test_the_same_seed_draws_the_same_tokens(self, seed: int) -> None:
        assert self.tokens(seed) == self.tokens(seed)

    def test_another_seed_or_another_answer_draws_others(self) -> None:
        drawn = [self.tokens(1), self.tokens(2), self.tokens(1, 1), self.tokens(2, 1)]
        assert len({tuple(tokens) for tokens in drawn}) == 4

    def test_without_a_seed_every_call_draws_others(self) -> None:
        assert self.tokens(None) != self.tokens(None)

    def test_the_process_wide_random_numbers_are_neither_used_nor_changed(self) -> None:
        torch.manual_seed(3)
        before = torch.random.get_rng_state()
        first = self.tokens(5)
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(4)
        assert self.tokens(5) == first


class TestPenalties:
    def test_they_act_as_openai_defines_them(self) -> None:
        # Token 0 leads by 3; each time it comes it loses 0.5, and 1 once.
        logits = torch.zeros(VOCABULARY)
        logits[0], logits[1] = 3.0, 0.6
        sampler = Sampler(Sampling(presence_penalty=1.0, frequency_penalty=0.5), [0, 0, 0])
        chosen = [sampler.choose(logits).token for _ in range(5)]
        # 3; 3-1.5=1.5; 3-2=1; 3-2.5=0.5 < 0.6; then token 1 is at 0.6-1.5 and token 0 leads again.
        assert chosen == [0, 0, 0, 1, 0]

    def test_a_negative_one_makes_repetition_likelier(self) -> None:
        logits = torch.zeros(VOCABULARY)
        logits[0] = 0.1
        sampler = Sampler(Sampling(frequency_penalty=-1.0), [1])
        assert [sampler.choose(logits).token for _ in range(4)] == [0, 0, 0, 0]

    def test_the_scores_given_are_not_changed(self) -> None:
        logits = scores()
        kept = logits.clone()
        sampler = Sampler(Sampling(presence_penalty=1.0, temperature=0.5, top_k=3, top_p=0.5), [1])
        for _ in range(5):
            sampler.choose(logits)
        assert torch.equal(logits, kept)

    def test_transformers_repetition_penalty_counts_the_prompt_too(self) -> None:
        logits = scores()
        wanted = RepetitionPenaltyLogitsProcessor(1.9)(torch.tensor([[4, 9]]), logits[None].clone())[0].argmax()
        assert Sampler(Sampling(more={"repetition_penalty": 1.9}), [4, 9]).choose(logits).token == int(wanted)

    def test_no_sequence_comes_twice_when_that_is_asked(self) -> None:
        sampler = Sampler(Sampling(more={"no_repeat_ngram_size": 2}), [1])
        chosen = [1, *(sampler.choose(scores()).token for _ in range(12))]
        pairs = list(pairwise(chosen))
        assert len(set(pairs)) == len(pairs)

    def test_a_value_that_transformers_refuses_is_a_typed_error(self) -> None:
        with pytest.raises(ConfigError, match="min_p=7"):
            Sampler(Sampling(temperature=1.0, more={"min_p": 7}), [1])

    def test_options_that_leave_no_token_are_a_typed_error(self) -> None:
        sampler = Sampler(Sampling(more={"suppress_tokens": list(range(VOCABULARY))}), [1])
        with pytest.raises(InvalidRequest, match="forbid every token"):
            sampler.choose(scores())


class TestLogprobs:
    def test_they_are_the_model_s_own_whatever_the_temperature(self) -> None:
        logits = scores()
        own = logits.log_softmax(-1)
        choice = Sampler(Sampling(temperature=0.3, top_k=2, presence_penalty=1, seed=1, top_logprobs=3), [1]).choose(
            logits
        )
        assert choice.logprob == float(own[choice.token])
        assert choice.top == tuple(sorted(enumerate(own.tolist()), key=lambda pair: -pair[1])[:3])

    def test_none_are_computed_when_none_are_asked(self) -> None:
        choice = Sampler(Sampling(), [1]).choose(scores())
        assert (choice.logprob, choice.top) == (None, ())

    def test_more_alternatives_than_tokens_are_all_of_them(self) -> None:
        assert len(Sampler(Sampling(top_logprobs=10**6), [1]).choose(scores()).top) == VOCABULARY


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_a_typed_error(value: float) -> None:
    with pytest.raises(BadResponse, match="dtype='float32'"):
        Sampler(Sampling(temperature=1.0), [1]).choose(torch.full((VOCABULARY,), value))
