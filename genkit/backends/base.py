"""The backend contract: what a provider, or a model on this machine, must do.

A backend translates and transports, nothing more. It never retries, caches, counts money or runs tools: policies and
the layers above do that, once for all. `genkit.testing.BackendContract` is this contract as a test suite. A backend for
a service on the wire starts from `WireBackend` in `wire.py`.
"""

from __future__ import annotations

import abc
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal, TypeVar

from ..errors import Unsupported
from ..types import (
    CallWarning,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    Health,
    Media,
    Plan,
    Request,
    Response,
    Score,
    ScoreRequest,
    Settings,
    Timeouts,
)
from .waiting import AnyRequest, Pulled, ends, in_thread, within

__all__ = ["CHECK", "AnyRequest", "Backend", "Losses"]

_R = TypeVar("_R", bound=AnyRequest)
_T = TypeVar("_T")

CHECK = "check"
"""An `on_unsupported` beyond the caller's three: nothing is raised, and what would be is reported as an error."""


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
        return await self._in_time(self.generate, request)

    def astream(self, request: Request) -> AsyncIterator[Event]:
        """Async twin of `stream`; what it returns has `aclose()`."""
        since = time.monotonic()
        return Pulled(lambda: self.stream(within(request, since)), until=ends(request), backend=self.name)

    async def _in_time(self, work: Callable[[_R], _T], request: _R) -> _T:
        """Run a blocking twin in a worker thread; the wait for a free one counts towards the total limit."""
        since = time.monotonic()
        return await in_thread(lambda: work(within(request, since)), until=ends(request), backend=self.name)

    def embed(self, request: EmbedRequest) -> Embeddings:
        """Return one vector per text."""
        raise self.lacks("embeddings", request.model)

    async def aembed(self, request: EmbedRequest) -> Embeddings:
        """Async twin of `embed`."""
        return await self._in_time(self.embed, request)

    def measured(self, request: EmbedRequest, found: Embeddings) -> Embeddings:
        """Return embeddings with a report where the vectors are not as long as was asked for, and nobody said so yet.

        Raises:
            Unsupported: By the caller's `on_unsupported` and `require`; the request has been sent then.
        """
        wanted, lengths = request.dimensions, sorted({len(vector) for vector in found.vectors})
        said = any(warning.subject == "dimensions" for warning in found.warnings)
        if wanted is None or said or lengths == [wanted]:
            return found
        losses = Losses(request, backend=self.name)
        losses.lose("dimensions", f"the vectors that came back have {lengths[-1]}, not {wanted}", kind="changed")
        return found.model_copy(update={"warnings": (*found.warnings, *losses.warnings)})

    def score(self, request: ScoreRequest) -> tuple[Score, ...]:
        """Return the log-probabilities of each text's tokens."""
        raise self.lacks("scores of given texts", request.model)

    async def ascore(self, request: ScoreRequest) -> tuple[Score, ...]:
        """Async twin of `score`."""
        return await self._in_time(self.score, request)

    def count_tokens(self, request: Request) -> int:
        """Return the tokens of the prompt as the model will see it."""
        raise self.lacks("token counting", request.model)

    async def acount_tokens(self, request: Request) -> int:
        """Async twin of `count_tokens`."""
        return await self._in_time(self.count_tokens, request)

    def upload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:  # noqa: ARG002  # for those that can
        """Put a part's bytes into the vendor's file service, and return the part with their id there instead.

        Args:
            part: With its bytes.
            model: The model that is to read it.
            timeouts: The time limits; "idle" has no meaning here.
            retries: How often a transient failure is tried again.
        """
        raise Unsupported(
            f"{self.name} has no file service: send the bytes inline, or put them where it reads URLs from "
            "(s3:// for Bedrock, gs:// for Vertex AI)",
            backend=self.name,
        )

    async def aupload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:
        """Async twin of `upload`."""
        return await in_thread(functools.partial(self.upload, part, model, timeouts=timeouts, retries=retries))

    def plan(self, request: Request, *, stream: bool = False) -> Plan:  # noqa: ARG002  # for those that can
        """Return the request that would be sent, without credentials and without sending."""
        raise self.lacks("wire requests to show", request.model)

    def check(self, request: Request) -> tuple[CallWarning, ...]:
        """Return what a call would drop or change, and as kind "error" what it would refuse; nothing is sent.

        A request that cannot be translated at all raises what the call would raise.
        """
        return self.plan(request.model_copy(update={"on_unsupported": CHECK})).warnings

    def health(self, *, online: bool = True, model: str | None = None) -> Health:  # noqa: ARG002  # for those that can
        """Return whether calls can work. Never raises; seconds at most.

        Args:
            online: Whether the far end is asked too.
            model: The model they would ask, for backends that can tell at no cost whether it is there.
        """
        return Health(backend=self.name, state="ready", message="needs no configuration")

    def close(self) -> None:  # noqa: B027  # optional on purpose
        """Release connections or memory; twice is fine, and a later call works again."""

    async def aclose(self) -> None:
        """Async twin of `close`, which also closes what belongs to the running event loop."""
        self.close()

    def lacks(self, what: str, model: str) -> Unsupported:
        """Return the error for something this backend does not have at all."""
        return Unsupported(f"{self.name} has no {what} (model {model!r})", backend=self.name)


class Losses:
    """Collects what a backend cannot send as asked, and applies the caller's `on_unsupported` and `require`.

    Every backend's `encode` makes one, tells it each loss, and hands `warnings` to the response.
    """

    __slots__ = ("_backend", "_model", "_policy", "_require", "warnings")

    def __init__(self, request: AnyRequest, *, backend: str) -> None:
        self._backend = backend
        self._model = request.model
        self._policy: str = request.on_unsupported
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
        if self._policy == CHECK:
            found = CallWarning(
                kind="error" if must or guarantee else kind, subject=subject, message=f"{subject} {kind}: {why}"
            )
            self.warnings.append(found)
        elif must or self._policy == "error" or (guarantee and self._policy != "ignore"):
            way_out = (
                f"it is in require={sorted(self._require)}"
                if must
                else 'leave it out, or pass on_unsupported="ignore" to drop it'
            )
            raise Unsupported(f"{subject!r} cannot be {_DONE[kind]}: {why}; {way_out}", backend=self._backend)
        elif self._policy == "warn":
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
