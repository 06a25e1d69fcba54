"""One loaded model: its forward passes, and the loop that makes an answer of them.

This is the simple engine: every call runs its own loop, and the calls of all threads take turns at single steps. What
is above it needs only `Engine.decode`, `embed` and `logprobs`; an engine that batches the calls can take its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ...errors import BadResponse, GenkitError
from .cores import limited
from .sampling import Choice, Sampler, Sampling

__all__ = ["Check", "Engine"]

Check: TypeAlias = Callable[[], float | None]

# Tokens per forward pass of a prompt: between two passes a call can be cancelled, and others get their turn.
_PREFILL = 512
# Scores held at once while texts are scored: 256 MB in float32.
_SCORES = 64 * 1024 * 1024
_POOLED = 4096
# What is worth a thread of its own on a CPU: that many parameters, whatever the pass, or that many multiplications.
# Threads that wait for each other burn CPU. A token of 135M parameters takes 49 ms with one thread; with two, 30 ms and
# 62 ms of CPU on an idle machine, but 97 ms and 128 ms of CPU on a busy one, where one thread still takes 50 ms.
_PARAMETERS = 150_000_000
_MULTIPLICATIONS = 10_000_000_000


@dataclass(slots=True, weakref_slot=True, eq=False)
class Engine:
    """A model with its tokenizer on one device; shared by all threads.

    Every method takes a `check` that is called between steps: it returns the seconds that are left (None for no limit)
    and raises to end the work.

    Attributes:
        context: Longest sequence the model takes, or None if it does not say.
        ends: Tokens that end an answer.
        causal: Whether it is a language model; otherwise it only embeds.
        defaults: The checkpoint's own generation settings.
        size: Number of parameters.
        turn: Held for the time of one pass.
    """

    model: Any
    tokenizer: Any
    context: int | None
    ends: frozenset[int]
    causal: bool
    defaults: dict[str, Any]
    size: int
    turn: threading.Lock = field(default_factory=threading.Lock)

    def decode(
        self, prompt: list[int], sampling: Sampling, *, answers: int, check: Check
    ) -> Generator[list[Choice | None], None, None]:
        """Yield the next token of each answer, until all have ended or the caller stops.

        Args:
            prompt: At least one token.
            sampling: How tokens are chosen.
            answers: How many are made side by side.
            check: See the class.

        Yields:
            One choice per answer; None for an answer that has ended. A token of `ends` is the last of its answer.
        """
        samplers = [Sampler(sampling, prompt, answer=i) for i in range(answers)]
        running = [True] * answers
        inputs: Any = torch.tensor([prompt] * answers, device=self.model.device)
        cache: Any = None
        while True:
            *pieces, last = inputs.split(_PREFILL, dim=1)
            for piece in pieces:
                with self._step(check, piece.numel()):
                    output = self.model(input_ids=piece, past_key_values=cache, use_cache=True, logits_to_keep=1)
                    cache = _cache(output)
            choices: list[Choice | None] = [None] * answers
            # The choice belongs to the step: spread over all of torch's threads, it costs more than it gains.
            with self._step(check, last.numel()):
                output = self.model(input_ids=last, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = _cache(output)
                logits = output.logits[:, -1].float().cpu()
                for i, sampler in enumerate(samplers):
                    if running[i]:
                        choice = choices[i] = sampler.choose(logits[i])
                        running[i] = choice.token not in self.ends
            yield choices
            if not any(running):
                return
            # An ended answer keeps its row; what is put into it is not read.
            following = [prompt[0] if choice is None else choice.token for choice in choices]
            inputs = torch.tensor(following, device=self.model.device)[:, None]

    def logprobs(self, rows: Sequence[Sequence[int]], *, check: Check) -> list[list[float]]:
        """Return the log-probability of every token but the first, for each row of tokens, in their order."""
        results: list[list[float]] = [[] for _ in rows]
        long_enough = [i for i, row in enumerate(rows) if len(row) > 1]
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        budget = max(1, _SCORES // vocabulary)
        for batch in _batches(rows, long_enough, budget):
            ids, mask = self._padded([rows[i] for i in batch])
            found = self._scored(ids, mask, max(1, budget // len(batch)), check)
            for i, values in zip(batch, found, strict=True):
                results[i] = values[: len(rows[i]) - 1]
        return results

    def _scored(self, ids: Tensor, mask: Tensor, width: int, check: Check) -> list[list[float]]:
        pieces: list[Tensor] = []
        cache: Any = None
        last = ids.shape[1] - 1
        for start in range(0, last, width):
            stop = min(start + width, last)
            several = width < last
            with self._step(check, ids.shape[0] * (stop - start)):
                output = self.model(
                    input_ids=ids[:, start:stop],
                    attention_mask=mask[:, :stop],
                    past_key_values=cache,
                    use_cache=several,
                )
                cache = _cache(output) if several else None
                logprobs = output.logits.float().log_softmax(-1)
                pieces.append(logprobs.gather(-1, ids[:, start + 1 : stop + 1, None])[..., 0].cpu())
        values = torch.cat(pieces, dim=1)
        if torch.isnan(values).any():
            raise BadResponse("the model's scores are not numbers; its dtype may be too narrow: pass dtype='float32'")
        return [[float(value) for value in row] for row in values.tolist()]

    def embed(self, rows: Sequence[Sequence[int]], *, check: Check) -> list[list[float]]:
        """Return the mean of each row's last hidden states, scaled to length 1; in the order of the rows."""
        results: list[list[float]] = [[] for _ in rows]
        for batch in _batches(rows, list(range(len(rows))), _POOLED):
            ids, mask = self._padded([rows[i] for i in batch])
            with self._step(check, ids.numel()):
                hidden = self.model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                weights = mask[..., None].float()
                mean = (hidden * weights).sum(1) / weights.sum(1)
                unit = torch.nn.functional.normalize(mean, dim=-1).cpu()
            if not torch.isfinite(unit).all():
                raise BadResponse(
                    "the model's vectors are not finite numbers; its dtype may be too narrow: pass dtype='float32'"
                )
            for i, vector in zip(batch, unit.tolist(), strict=True):
                results[i] = vector
        return results

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return ids and mask, padded on the right, where a causal model cannot see it."""
        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    @contextmanager
    def _step(self, check: Check, tokens: int) -> Iterator[None]:
        """Wait for the turn, and run one pass of the model."""
        while True:
            left = check()
            # A short wait, so that a cancelled call leaves the queue.
            if self.turn.acquire(timeout=0.05 if left is None else max(0.0, min(left, 0.05))):
                break
        try:
            with torch.inference_mode(), self._threads(tokens):
                yield
        except GenkitError:
            raise
        except (RuntimeError, IndexError, AttributeError, TypeError, ValueError, NotImplementedError) as error:
            # torch's own words: out of memory, an operation that the device lacks, an index beyond the vocabulary; or
            # a model of another kind than its class says, without a key-value cache, say.
            raise BadResponse(f"the model failed on {self.model.device}: {error}") from error
        finally:
            self.turn.release()

    def _threads(self, tokens: int) -> AbstractContextManager[None]:
        """Use no more of torch's threads than the work of a pass is worth."""
        if self.model.device.type != "cpu":
            return nullcontext()
        return limited(max(1, self.size // _PARAMETERS, tokens * self.size // _MULTIPLICATIONS))


def _cache(output: Any) -> Any:
    """Return the key-value cache of a pass; without it the next pass would not know what came before."""
    cache = output.past_key_values
    if cache is None:
        raise BadResponse("the model keeps no key-value cache, so it cannot go on from a text: it is no decoder")
    return cache


def _batches(rows: Sequence[Sequence[int]], chosen: list[int], budget: int) -> Iterator[list[int]]:
    """Group rows of like length, at most `budget` tokens with padding (a single row may be longer)."""
    batch: list[int] = []
    # The longest first: what does not fit into memory is known at once.
    for i in sorted(chosen, key=lambda i: len(rows[i]), reverse=True):
        if batch and (len(batch) + 1) * len(rows[batch[0]]) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
