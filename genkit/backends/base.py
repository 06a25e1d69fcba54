"""The backend contract: what a provider, or a model on this machine, must do.

A backend translates and transports, nothing more. It never retries, caches, counts money or runs tools: policies and
the layers above do that, once for all. `genkit.testing.BackendContract` is this contract as a test suite. A backend for
a service on the wire starts from `WireBackend` in `wire.py`.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any, Literal, TypeAlias, TypeVar

from ..errors import Unsupported
from ..types import (
    CallWarning,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    OnUnsupported,
    Plan,
    Request,
    Response,
    Score,
    ScoreRequest,
    Settings,
)

__all__ = ["AnyRequest", "Backend", "Losses"]

AnyRequest: TypeAlias = Request | EmbedRequest | ScoreRequest


class Backend(abc.ABC):
    """One provider, or one local runtime, behind the common vocabulary.

    Instances are shared between threads, tasks and event loops. Every failure leaves as a `GenkitError` with the
    foreign exception as its cause. Subclasses write `features`, `generate` and `stream`; the async twins default to
    worker threads, and a backend that can do better overrides them.
    """

    name: str

    @abc.abstractmethod
    def features(self, model: str) -> Features:
        """Return what this backend can do with `model`. No I/O; an unknown model gets the newest rules."""

    @abc.abstractmethod
    def generate(self, request: Request) -> Response[Any]:
        """Answer in one piece.

        Raises:
            GenkitError: As the tree in `genkit.errors` says.
        """

    @abc.abstractmethod
    def stream(self, request: Request) -> Iterator[Event]:
        """Answer piece by piece: blocks of start, deltas and end, then exactly one `Done`.

        The iterator may be a generator. One that has `close()` may be closed early, and where that is safe from
        another thread the reader ends at once; one that has `partial()` says what had arrived until then.
        """

    async def agenerate(self, request: Request) -> Response[Any]:
        """Async twin of `generate`."""
        return await in_thread(self.generate, request)

    def astream(self, request: Request) -> AsyncIterator[Event]:
        """Async twin of `stream`; what it returns has `aclose()`."""
        return _Pulled(lambda: self.stream(request))

    def embed(self, request: EmbedRequest) -> Embeddings:
        """Return one vector per text."""
        raise self.lacks("embeddings", request.model)

    async def aembed(self, request: EmbedRequest) -> Embeddings:
        """Async twin of `embed`."""
        return await in_thread(self.embed, request)

    def score(self, request: ScoreRequest) -> tuple[Score, ...]:
        """Return the log-probabilities of each text's tokens."""
        raise self.lacks("scores of given texts", request.model)

    async def ascore(self, request: ScoreRequest) -> tuple[Score, ...]:
        """Async twin of `score`."""
        return await in_thread(self.score, request)

    def count_tokens(self, request: Request) -> int:
        """Return the tokens of the prompt as the model will see it."""
        raise self.lacks("token counting", request.model)

    async def acount_tokens(self, request: Request) -> int:
        """Async twin of `count_tokens`."""
        return await in_thread(self.count_tokens, request)

    def plan(self, request: Request, *, stream: bool = False) -> Plan:  # noqa: ARG002  # for those that can
        """Return the request that would be sent, without credentials and without sending."""
        raise self.lacks("wire requests to show", request.model)

    def close(self) -> None:  # noqa: B027  # optional on purpose
        """Release connections or memory; twice is fine, and a later call works again."""

    async def aclose(self) -> None:
        """Async twin of `close`, which also closes what belongs to the running event loop."""
        self.close()

    def lacks(self, what: str, model: str) -> Unsupported:
        """Return the error for something this backend does not have at all."""
        return Unsupported(f"{self.name} has no {what} (model {model!r})", backend=self.name)


_END = object()


T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work in a worker thread. asyncio is loaded here: it is a third of the import's time."""
    result: T = await import_module("asyncio").to_thread(work, *arguments)
    return result


class _Pulled:
    """Reads a blocking stream in worker threads, one event at a time; closing it closes the stream at once."""

    def __init__(self, open_: Callable[[], Iterator[Event]]) -> None:
        self._open = open_
        self._events: Iterator[Event] | None = None
        self._reading: Any = None
        self._over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        asyncio: Any = import_module("asyncio")
        self._reading = asyncio.ensure_future(in_thread(self._next))
        try:
            # Shielded: a cancelled task must not leave a thread inside a generator that is about to be closed.
            event = await asyncio.shield(self._reading)
        except BaseException:
            await self.aclose()
            raise
        if event is _END:
            await self.aclose()
            raise StopAsyncIteration
        return event  # type: ignore[no-any-return]  # the sentinel is gone here

    def _next(self) -> Any:
        if self._events is None:
            self._events = self._open()
        return next(self._events, _END)

    async def aclose(self) -> None:
        """Close the stream, and wait until no thread is in it any more."""
        self._over = True
        close = getattr(self._events, "close", None)
        reading, self._reading = self._reading, None
        if close is not None:
            try:
                await in_thread(close)
            except ValueError:  # a plain generator cannot be closed while a thread runs it
                await _settled(reading)
                await in_thread(close)
        await _settled(reading)


async def _settled(reading: Any) -> None:
    """Wait for a read, whatever comes of it."""
    if reading is not None:
        await import_module("asyncio").gather(reading, return_exceptions=True)


class Losses:
    """Collects what a backend cannot send as asked, and applies the caller's `on_unsupported` and `require`.

    Every backend's `encode` makes one, tells it each loss, and hands `warnings` to the response.
    """

    __slots__ = ("_backend", "_model", "_policy", "_require", "warnings")

    def __init__(self, request: AnyRequest, *, backend: str) -> None:
        self._backend = backend
        self._model = request.model
        self._policy: OnUnsupported = request.on_unsupported
        self._require = request.require
        self.warnings: list[CallWarning] = []

    def lose(
        self, subject: str, why: str, *, kind: Literal["dropped", "changed"] = "dropped", guarantee: bool = False
    ) -> None:
        """Report that `subject` is dropped or changed.

        Args:
            subject: Name of the setting, part or role.
            why: The rest of the sentence "genkit dropped 'seed': ...".
            kind: What happened to it.
            guarantee: The caller relies on it; an error unless `on_unsupported="ignore"`.

        Raises:
            Unsupported: By the caller's policy; nothing has been sent.
        """
        must = subject in self._require
        if must or self._policy == "error" or (guarantee and self._policy != "ignore"):
            way_out = (
                f"it is in require={sorted(self._require)}"
                if must
                else 'leave it out, or pass on_unsupported="ignore" to drop it'
            )
            raise Unsupported(f"{subject!r} cannot be {_DONE[kind]}: {why}; {way_out}", backend=self._backend)
        if self._policy == "warn":
            self.warnings.append(CallWarning(kind=kind, subject=subject, message=f"{subject} {kind}: {why}"))

    def note(self, subject: str, message: str) -> None:
        """Report something that the caller may want to know, and that loses nothing; never an error."""
        if self._policy != "ignore":
            self.warnings.append(CallWarning(kind="note", subject=subject, message=message))

    def settings(self, settings: Settings, supported: frozenset[str] | set[str], *, where: str) -> set[str]:
        """Return the names of the given settings to send, after reporting those that `where` does not have."""
        given = settings.given()
        for name in sorted(given - supported):
            guarantee = name in Settings.GUARANTEES
            self.lose(name, f"{where} has no such setting (model {self._model!r})", guarantee=guarantee)
        return given & supported


_DONE = {"dropped": "honoured", "changed": "sent as asked"}
