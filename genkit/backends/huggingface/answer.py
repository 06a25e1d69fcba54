"""An answer while it is made: its clock, its text, its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import GenkitError, StreamClosed, Timeout
from ...events import Blocks
from ...types import (
    CallWarning,
    Candidate,
    Done,
    Event,
    Finish,
    Message,
    Request,
    Response,
    Timeouts,
    Timing,
    TokenLogprob,
    Usage,
)
from .text import Detokeniser, StopFinder, TokenTexts

if TYPE_CHECKING:
    from .engine import Engine
    from .sampling import Choice, Sampling

__all__ = ["Clock", "Job", "Running", "token_texts"]


class Clock:
    """The time limits of a call, counted from now, and whether its caller has left."""

    def __init__(self, limits: Timeouts, *, streaming: bool) -> None:
        self._limits = limits
        self._left = threading.Event()
        self._streaming = streaming
        self._wall = time.time()
        self._start = time.perf_counter()
        # Loading a model is not the model's slowness: `first` counts from `begin`.
        self._since: float | None = None
        self._first: float | None = None

    def begin(self) -> None:
        """Note that the model is ready."""
        self._since = time.perf_counter()

    def leave(self) -> None:
        """Note that nobody waits for the answer any more."""
        self._left.set()

    def asked(self) -> None:
        """Note that the next event is waited for: the time its reader took for the last one is no silence."""
        if self._streaming and self._first is not None:
            self._since = time.perf_counter()

    def token(self) -> None:
        """Note that a token has come."""
        now = time.perf_counter()
        if self._first is None:
            self._first = now - self._start
        if self._streaming:
            self._since = now

    def timing(self) -> Timing:
        """Return the call's times up to now."""
        return Timing(self._wall, self._first, time.perf_counter() - self._start)

    def check(self) -> float | None:
        """Return the seconds that are left, None for no limit.

        Raises:
            Timeout: If there are none.
            StreamClosed: If the caller has left.
        """
        if self._left.is_set():
            raise StreamClosed("the answer was left before it was whole")
        limits, now, least = self._limits, time.perf_counter(), None
        if limits.total is not None:
            least = self._start + limits.total - now
            if least <= 0:
                # No number: what is above may have taken waiting and earlier tries off the limit that was set.
                raise Timeout(
                    "the call was not done within its total time limit: timeout= can be raised", phase="total"
                )
        waiting = self._streaming and self._first is not None
        limit = limits.idle if waiting else limits.first
        if limit is not None and self._since is not None:
            rest = self._since + limit - now
            if rest <= 0:
                phase: Any = "idle" if waiting else "first"
                raise Timeout(f"the model took longer than timeout.{phase}={limit:g} s", phase=phase)
            least = rest if least is None else min(least, rest)
        return least


@dataclass(frozen=True, slots=True)
class Job:
    """A request made ready: everything the loop needs."""

    engine: Engine
    prompt: list[int]
    sampling: Sampling
    answers: int
    limit: int
    stops: tuple[str, ...]
    warnings: tuple[CallWarning, ...]


Prepare: TypeAlias = Callable[[Request, Clock], Job]


def token_texts(engine: Engine) -> TokenTexts:
    """Return the texts of single tokens, special ones included."""
    tokenizer = engine.tokenizer
    probe = tokenizer("a", add_special_tokens=False)["input_ids"]
    return TokenTexts(lambda ids: str(tokenizer.decode(ids, clean_up_tokenization_spaces=False)), probe)


class _Answer:
    """One of the answers to a request, growing token by token."""

    def __init__(self, job: Job, number: int, texts: TokenTexts | None) -> None:
        tokenizer = job.engine.tokenizer

        def decode(ids: Sequence[int]) -> str:
            return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

        self._job = job
        self._blocks = Blocks(number)
        self._text = Detokeniser(decode)
        self._stop = StopFinder(job.stops)
        self._texts = texts
        self._written = 0
        self._shown = 0
        self._logprobs: list[tuple[int, TokenLogprob]] = []
        self.tokens = 0
        self.finish: Finish | None = None
        self.finish_raw: str | None = None

    def take(self, choice: Choice) -> list[Event]:
        """Add a token; return the events it makes."""
        self.tokens += 1
        if choice.token in self._job.engine.ends:
            return self._end("stop", "eos_token")
        if self._texts is not None:
            self._logprobs.append((self._written, self._logprob(choice, self._texts)))
        events = self._show(self._text.feed(choice.token))
        if self._stop.found is not None:
            return [*events, *self._finish("stop", "stop_string")]
        if self.tokens >= self._job.limit:
            return [*events, *self._end("length", "max_tokens")]
        return events

    def _show(self, piece: str) -> list[Event]:
        self._written += len(piece)
        certain = self._stop.feed(piece) if piece else ""
        return self._grow(certain)

    def _grow(self, text: str) -> list[Event]:
        self._shown += len(text)
        return self._blocks.grow("text", text) if text else []

    def _end(self, finish: Finish, raw: str) -> list[Event]:
        events = self._show(self._text.end())
        if self._stop.found is not None:
            return [*events, *self._finish("stop", "stop_string")]
        return [*events, *self._grow(self._stop.end()), *self._finish(finish, raw)]

    def _finish(self, finish: Finish, raw: str) -> list[Event]:
        self.finish, self.finish_raw = finish, raw
        return self._blocks.end()

    def _logprob(self, choice: Choice, texts: TokenTexts) -> TokenLogprob:
        assert choice.logprob is not None
        top = tuple(TokenLogprob(texts[token], logprob) for token, logprob in choice.top)
        return TokenLogprob(texts[choice.token], choice.logprob, top)

    def candidate(self) -> Candidate:
        """Return the answer as it stands."""
        logprobs = None
        if self._texts is not None:
            # Tokens of a stop string are not part of the answer.
            logprobs = tuple(value for start, value in self._logprobs if start < self._shown or not self._stop.found)
        return Candidate(
            message=Message(role="assistant", parts=self._blocks.parts()),
            finish=self.finish or "other",
            finish_raw=self.finish_raw,
            logprobs=logprobs,
        )


class Running:
    """The events of one request. Any thread may call `close()`; a reader then ends at its next token."""

    def __init__(self, prepare: Prepare, request: Request, backend: str, clock: Clock) -> None:
        self._prepare = prepare
        self._request = request
        self._backend = backend
        self._clock = clock
        self._job: Job | None = None
        self._answers: list[_Answer] = []
        self._events = self._run()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        self._clock.asked()
        try:
            return next(self._events)
        except GenkitError as error:
            error.backend = error.backend or self._backend
            if error.response is None and any(answer.tokens for answer in self._answers):
                error.response = self.partial().model_copy(update={"complete": False})
            raise

    def close(self) -> None:
        """End the work; twice is fine."""
        self._clock.leave()
        try:
            self._events.close()
        except ValueError:
            # Another thread is inside; it sees that nobody waits before its next token.
            return

    def partial(self) -> Response[Any]:
        """Return what there is so far."""
        job = self._job
        first, *others = [answer.candidate() for answer in self._answers] or [_NOTHING]
        return Response(
            message=first.message,
            finish=first.finish,
            finish_raw=first.finish_raw,
            usage=Usage(
                input=None if job is None else len(job.prompt),
                output=sum(answer.tokens for answer in self._answers),
            ),
            model=self._request.model,
            backend=self._backend,
            warnings=() if job is None else job.warnings,
            timing=self._clock.timing(),
            alternatives=tuple(others),
            logprobs=first.logprobs,
        )

    def _run(self) -> Generator[Event, None, None]:
        self._clock.check()
        job = self._job = self._prepare(self._request, self._clock)
        texts = None if job.sampling.top_logprobs is None else token_texts(job.engine)
        self._answers = answers = [_Answer(job, number, texts) for number in range(job.answers)]
        steps = job.engine.decode(job.prompt, job.sampling, answers=job.answers, check=self._clock.check)
        with closing(steps):
            for choices in steps:
                # A pass that took longer than the limit is too late, though nothing could interrupt it.
                self._clock.check()
                self._clock.token()
                for answer, choice in zip(answers, choices, strict=True):
                    if choice is not None and answer.finish is None:
                        yield from answer.take(choice)
                if all(answer.finish is not None for answer in answers):
                    break
        yield Done(self.partial())


_NOTHING = Candidate(message=Message(role="assistant", parts=()), finish="other")
