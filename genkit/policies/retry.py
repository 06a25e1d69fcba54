"""Repeat what may work the second time. tenacity is the engine; this is its loop with `yield` where it would block."""

from __future__ import annotations

import time
from typing import Any

import tenacity
from typing_extensions import override

from ..backends.base import AnyRequest, Backend
from ..backends.batches import joined
from ..errors import GenkitError, StreamInterrupted, Timeout
from ..types import Embeddings, EmbedRequest
from .base import Call, Flow, Policy, Sleep, remaining, within

__all__ = ["Retry"]


class Retry(Policy):
    """Repeat transient failures; a stream only until its first event arrived.

    The vendor's `retry_after` is kept when it is longer than our own waiting time; one that is longer than
    `longest_wait`, or than what is left of the caller's total time limit, ends the retrying, and the error says how
    long to wait.

    Args:
        inner: The backend.
        retries: How often to repeat, after the first try.
        first_wait: Longest first wait in seconds; it doubles each time, with full jitter.
        longest_wait: Longest wait in seconds.
    """

    def __init__(
        self, inner: Backend, *, retries: int = 2, first_wait: float = 0.5, longest_wait: float = 60.0
    ) -> None:
        super().__init__(inner)
        self.longest_wait = longest_wait
        backoff = tenacity.wait_random_exponential(multiplier=first_wait, max=longest_wait)

        def wait(state: tenacity.RetryCallState) -> float:
            return max(_asked_wait(state.outcome), float(backoff(state)))

        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retries + 1),
            wait=wait,
            retry=tenacity.retry_if_exception(self._repeatable),
            reraise=True,
        )

    def _repeatable(self, error: BaseException) -> bool:
        if not isinstance(error, GenkitError) or (error.retry_after or 0) > self.longest_wait:
            return False
        if isinstance(error, Timeout):
            return error.phase != "total"
        # A stream that broke before its first event has shown nothing to anybody.
        return error.retryable or (isinstance(error, StreamInterrupted) and error.response is None)

    @override
    def flow(self, request: AnyRequest) -> Flow:
        started = time.monotonic()
        try:
            return (yield Call(self.inner, request))
        except GenkitError as error:
            if not self._repeatable(error):
                raise
            last = error
            begun = _Begun(request)
            begun.keep(error)
            retrying = self._retrying.copy()
            retrying.begin()
            state = tenacity.RetryCallState(retry_object=retrying, fn=None, args=(), kwargs={})
            state.set_exception((type(error), error, error.__traceback__))
        while True:
            todo = retrying.iter(retry_state=state)
            if isinstance(todo, tenacity.DoAttempt):
                try:
                    result = yield Call(self.inner, within(begun.request, started))
                except GenkitError as error:
                    last = error
                    begun.keep(error)
                    state.set_exception((type(error), error, error.__traceback__))
                else:
                    state.set_result(begun.whole(result))
            elif isinstance(todo, tenacity.DoSleep):
                state.prepare_for_next_attempt()
                left = remaining(request, started)
                if left is not None and float(todo) >= left:
                    last.add_note(f"not repeated: the wait of {float(todo):.1f} s would pass the total time limit")
                    raise last
                yield Sleep(float(todo))
            else:
                return todo


class _Begun:
    """A request of which a part may be done: only texts whose vectors are missing are sent again.

    Attributes:
        request: What is still to be done.
    """

    def __init__(self, request: AnyRequest) -> None:
        self.request = request
        self._done: list[Embeddings] = []

    def keep(self, error: GenkitError) -> None:
        """Take over the vectors that arrived; the error then has those of all tries."""
        found = error.embeddings
        if found is None or not isinstance(self.request, EmbedRequest):
            return
        self.request = self.request.model_copy(update={"texts": self.request.texts[len(found.vectors) :]})
        self._done.append(found)
        error.embeddings = joined(self._done)

    def whole(self, result: Any) -> Any:
        """Return the answer to all of it."""
        return joined([*self._done, result]) if self._done else result


def _asked_wait(outcome: tenacity.Future | None) -> float:
    error = outcome.exception() if outcome is not None and outcome.failed else None
    return getattr(error, "retry_after", None) or 0.0
