"""Choosing the next token from the model's scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TypicalLogitsWarper,
)

from ...errors import BadResponse, ConfigError, InvalidRequest

__all__ = ["Choice", "Sampler", "Sampling"]

_SEEDS = 2**64
_LEAST, _MOST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
# An odd constant far from simple ratios, so that neighbouring seeds and answers do not share a sequence.
_NEXT_ANSWER = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        temperature: 0 takes the likeliest.
        presence_penalty: Taken off the score of every token that the answer already holds.
        frequency_penalty: Taken off once per occurrence.
        top_logprobs: Alternatives to report per token; None reports no log-probabilities at all.
        more: Options of transformers' generation, by its names; those of `_BEFORE` and `_AFTER`.
    """

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token; its log-probability is the model's own, before penalties and temperature."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one answer. It owns its random numbers, so nothing else that runs can change them."""

    def __init__(self, sampling: Sampling, prompt: list[int], *, answer: int = 0) -> None:
        """Prepare for the answer with number `answer` to `prompt`."""
        self._sampling = sampling
        self._prompt = prompt
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed((sampling.seed + answer * _NEXT_ANSWER) % _SEEDS)
        self._counts: dict[int, int] = {}
        self._chosen: list[int] = []
        self._before, self._after = _processors(sampling.more)

    def choose(
        self,
        logits: Tensor,  # (V,), float32
    ) -> Choice:
        """Return the next token and remember it.

        Raises:
            BadResponse: If the model's scores are no numbers.
            InvalidRequest: If the options leave no token.
        """
        if not math.isfinite(float(logits.max())):
            raise BadResponse(
                "the model's scores are not finite numbers; its dtype may be too narrow: pass dtype='float32'"
            )
        scores = self._penalised(logits)
        if not math.isfinite(float(scores.max())):
            raise InvalidRequest("the options forbid every token, so there is none to choose")
        token = int(scores.argmax()) if self._sampling.temperature == 0 else self._sampled(scores)
        self._chosen.append(token)
        self._counts[token] = self._counts.get(token, 0) + 1
        return self._reported(logits, token)

    def _penalised(self, logits: Tensor) -> Tensor:
        sampling = self._sampling
        scores = logits
        if self._counts and (sampling.presence_penalty or sampling.frequency_penalty):
            scores = scores.clone()
            tokens = torch.tensor(list(self._counts))
            counts = torch.tensor(list(self._counts.values()), dtype=scores.dtype)
            scores[tokens] -= counts * sampling.frequency_penalty + sampling.presence_penalty
        return self._processed(self._before, scores)

    def _processed(self, processors: list[LogitsProcessor], scores: Tensor) -> Tensor:
        if not processors:
            return scores
        ids: Any = torch.tensor([self._prompt + self._chosen])
        rows: Any = scores[None]
        for processor in processors:
            rows = processor(ids, rows)
        row: Tensor = rows[0]
        return row

    def _sampled(self, scores: Tensor) -> int:
        """Draw a token: temperature, then top-k, then top-p, as transformers orders them."""
        sampling = self._sampling
        # Less the largest: a temperature near zero must not overflow. One that float32 does not have, 0 or infinite
        # there, would make the scores no numbers.
        temperature = min(max(sampling.temperature, _LEAST), _MOST)
        scores = (scores - scores.max()) / temperature
        if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
            least = scores.topk(sampling.top_k).values[-1]
            scores = scores.masked_fill(scores < least, -math.inf)
        if sampling.top_p is not None and sampling.top_p < 1:
            ordered, order = scores.sort(descending=True, stable=True)
            shares = ordered.softmax(-1)
            # A token stays if those likelier than it do not make up top_p yet.
            ordered = ordered.masked_fill(shares.cumsum(-1) - shares >= sampling.top_p, -math.inf)
            scores = torch.empty_like(scores).scatter_(-1, order, ordered)
        scores = self._processed(self._after, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))

    def _reported(self, logits: Tensor, token: int) -> Choice:
        wanted = self._sampling.top_logprobs
        if wanted is None:
            return Choice(token)
        logprobs = logits.log_softmax(-1)
        top = logprobs.topk(min(wanted, logprobs.shape[-1]))
        pairs = tuple(zip(top.indices.tolist(), top.values.tolist(), strict=True))
        return Choice(token, float(logprobs[token]), pairs)


# Options of transformers' generation that act on scores, by where they act: before temperature, or after top-p.
_BEFORE: dict[str, Any] = {
    "repetition_penalty": lambda value: RepetitionPenaltyLogitsProcessor(float(value)),
    "no_repeat_ngram_size": lambda value: NoRepeatNGramLogitsProcessor(int(value)),
    "suppress_tokens": lambda value: SuppressTokensLogitsProcessor(list(value), device="cpu"),
}
_AFTER: dict[str, Any] = {
    "min_p": lambda value: MinPLogitsWarper(float(value)),
    "typical_p": lambda value: TypicalLogitsWarper(float(value)),
    "epsilon_cutoff": lambda value: EpsilonLogitsWarper(float(value)),
}


def _processors(more: Mapping[str, Any]) -> tuple[list[LogitsProcessor], list[LogitsProcessor]]:
    return _made(_BEFORE, more), _made(_AFTER, more)


def _made(makers: Mapping[str, Any], more: Mapping[str, Any]) -> list[LogitsProcessor]:
    processors: list[LogitsProcessor] = []
    for name, make in makers.items():
        if name in more:
            try:
                processors.append(make(more[name]))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{name}={more[name]!r}: {error}") from error
    return processors
