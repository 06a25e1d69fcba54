"""Ask another model when one fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from ..backends.base import AnyRequest, Backend
from ..errors import (
    AuthenticationFailed,
    BadResponse,
    ContextTooLong,
    GenkitError,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    StreamInterrupted,
    Transient,
    Unsupported,
)
from ..types import CallWarning, Request, Response
from .base import Call, Flow, Policy, within
from .streams import AsyncLive, Live

__all__ = ["DEFAULT_ON", "Fallback", "Target"]

# What another vendor may do better. A request that is wrong, or that a safety system refused, stays refused.
DEFAULT_ON: tuple[type[GenkitError], ...] = (
    Transient,
    QuotaExhausted,
    AuthenticationFailed,
    PermissionDenied,
    NotFound,
    BadResponse,
    StreamInterrupted,
    ContextTooLong,
    Unsupported,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A backend with the model to ask it for; `label` is its name in reports, such as "openai:gpt-5".

    A model of None is the request's own, which then completes a label that names the backend alone. `adapt` says in the
    request what that target asks by default.
    """

    backend: Backend
    model: str | None
    label: str
    adapt: Callable[[Request], Request] | None = None

    def named(self, request: Request) -> str:
        """Return its name in reports about a request."""
        model = self.model or request.model
        return self.label if ":" in self.label or not model else f"{self.label}:{model}"

    def asked(self, request: Request) -> Request:
        """Return the request as this target is asked."""
        if self.adapt is not None:
            request = self.adapt(request)
        return request if self.model is None else request.model_copy(update={"model": self.model})


class Fallback(Policy):
    """Try targets in order; the answer's warnings say who failed, and the last error is raised when all did.

    A stream changes target only before its first event. Embeddings and scores never do: another model's vectors and
    probabilities do not compare with the first one's.
    """

    def __init__(self, *targets: Target, on: tuple[type[GenkitError], ...] = DEFAULT_ON) -> None:
        super().__init__(targets[0].backend)
        self.targets = targets
        self.on = on

    @override
    def flow(self, request: AnyRequest) -> Flow:
        if not isinstance(request, Request):
            return (yield Call(self.inner, request))
        started = time.monotonic()
        failures: list[tuple[str, GenkitError]] = []
        for target in self.targets:
            try:
                asked = target.asked(request)
                answer = yield Call(target.backend, within(asked, started) if failures else asked)
            except self.on as error:
                failures.append((target.named(request), error))
            else:
                return _noted(answer, failures, target.named(request))
        *earlier, (_, last) = failures
        for name, failure in earlier:
            last.add_note(f"before it, {name} failed: {type(failure).__name__}: {failure}")
        raise last

    @override
    def close(self) -> None:
        for target in self.targets:
            target.backend.close()

    @override
    async def aclose(self) -> None:
        for target in self.targets:
            await target.backend.aclose()


def _noted(answer: Any, failures: list[tuple[str, GenkitError]], answered: str) -> Any:
    warnings = [
        CallWarning(
            kind="fallback",
            subject=name,
            message=f"{name} failed ({type(error).__name__}: {error}); {answered} answered",
        )
        for name, error in failures
    ]
    if isinstance(answer, (Live, AsyncLive)):
        for warning in warnings:
            answer.note(warning)
        return answer
    if warnings and isinstance(answer, Response):
        return answer.model_copy(update={"warnings": (*answer.warnings, *warnings)})
    return answer
