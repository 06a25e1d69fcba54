"""Every way a call can fail, as one tree.

GenkitError
├── ConfigError                 something in the caller's code or configuration (also a ValueError)
│   ├── UnknownSetting          a misspelt or unknown keyword (also a TypeError)
│   ├── UnknownBackend          no backend of that name
│   ├── MissingCredential       no API key or token where one is needed
│   └── MissingExtra            an optional dependency is not installed (also an ImportError)
├── InvalidRequest              the backend refuses this request; sending it again does not help
│   ├── Unsupported             the backend or model lacks something the request cannot do without
│   └── ContextTooLong          more tokens than the model takes
├── AuthenticationFailed        the credential is wrong or expired
├── PermissionDenied            the credential is right but not allowed to do this
├── NotFound                    no such model, deployment or route
├── QuotaExhausted              out of credit or quota: waiting does not help, paying does
├── ContentBlocked              a safety system refused prompt or answer
├── InvalidOutput               the model's answer does not have the form asked for
├── BadResponse                 the far end did not speak its protocol (HTML, redirect, broken JSON, too large, an
│                               error without status or known code)
├── StreamInterrupted           a stream ended without its terminator; `response` holds what arrived
├── StreamClosed                the stream was closed while it was being read
└── Transient                   the same request may work later: `Retry` acts on these
    ├── RateLimited             too many requests or tokens at once
    ├── ServerError             the far end failed
    ├── ConnectionFailed        no connection, or it broke (also a ConnectionError)
    └── Timeout                 a time limit was reached (also a TimeoutError); `phase` says which

Vendors' failures are classed by HTTP status first and by the vendor's documented code second; never by words in prose.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from .types import Embeddings, Response

__all__ = [
    "AuthenticationFailed",
    "BadResponse",
    "ConfigError",
    "ConnectionFailed",
    "ContentBlocked",
    "ContextTooLong",
    "GenkitError",
    "InvalidOutput",
    "InvalidRequest",
    "MissingCredential",
    "MissingExtra",
    "NotFound",
    "PermissionDenied",
    "Phase",
    "QuotaExhausted",
    "RateLimited",
    "ServerError",
    "StreamClosed",
    "StreamInterrupted",
    "Timeout",
    "Transient",
    "UnknownBackend",
    "UnknownSetting",
    "Unsupported",
    "from_status",
    "suggest",
]

Phase: TypeAlias = Literal["connect", "first", "idle", "total"]


class GenkitError(Exception):
    """Base of every error that leaves genkit.

    Attributes:
        message: What is wrong, where, and what to do about it.
        backend: Name of the backend that failed, such as "openai"; None before one was chosen.
        status: HTTP status, or None where there was no HTTP answer.
        code: The vendor's own error code, such as "context_length_exceeded".
        retry_after: Seconds the vendor asked to wait, or None.
        request_id: The vendor's id of the request, for its support.
        sent: Whether the request may have reached the far end (and may be billed).
        response: What had arrived of the answer when it failed, or None.
        embeddings: The vectors of the first texts, where those of all took several requests and a later one failed.
        retryable: Whether the same request may succeed later.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        backend: str | None = None,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        sent: bool = False,
        response: Response[Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.backend = backend
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.request_id = request_id
        self.sent = sent
        self.response = response
        self.embeddings: Embeddings | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their positional arguments; ours live in __dict__ (needed by process pools).
        return (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        facts = [
            f"{name}={value!r}"
            for name in ("backend", "status", "code", "retry_after", "request_id")
            if (value := getattr(self, name)) is not None
        ]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class ConfigError(GenkitError, ValueError):
    """Something in the caller's code or configuration is wrong; nothing was sent."""


class UnknownSetting(ConfigError, TypeError):
    """A keyword that nothing here knows; the message suggests the nearest known one."""


class UnknownBackend(ConfigError):
    """No backend of that name is known."""


class MissingCredential(ConfigError):
    """A key or token is needed and none was found; the message names the variable to set."""


class MissingExtra(ConfigError, ImportError):
    """An optional dependency is not installed; the message is the command that installs it."""


class InvalidRequest(GenkitError):
    """The backend refuses this request; sending it again does not help."""


class Unsupported(InvalidRequest):
    """The request needs something that the backend or the model does not have."""


class ContextTooLong(InvalidRequest):
    """Prompt and answer need more tokens than the model takes."""


class AuthenticationFailed(GenkitError):
    """The credential is missing at the far end, wrong or expired."""


class PermissionDenied(GenkitError):
    """The credential is right, and not allowed to do this."""


class NotFound(GenkitError):
    """The model, deployment or route does not exist, or is not visible to this credential."""


class QuotaExhausted(GenkitError):
    """Out of credit or quota. Unlike `RateLimited`, waiting does not help."""


class ContentBlocked(GenkitError):
    """A safety system refused the prompt or withheld the answer."""


class InvalidOutput(GenkitError):
    """The model's answer does not have the form asked for; `response` holds it."""


class BadResponse(GenkitError):
    """The far end did not speak its protocol: HTML, a redirect, broken JSON, too large an answer, an unknown error."""


class StreamInterrupted(GenkitError):
    """A stream ended without its terminator; `response` holds what had arrived, with `complete=False`."""


class StreamClosed(GenkitError):
    """The stream was closed, here or from another thread, while it was being read."""


class Transient(GenkitError):
    """The same request may work later."""

    retryable = True


class RateLimited(Transient):
    """Too many requests or tokens in too short a time."""


class ServerError(Transient):
    """The far end failed to answer a request it accepted."""


class ConnectionFailed(Transient, ConnectionError):
    """No connection could be made, or it broke before the answer was whole."""


class Timeout(Transient, TimeoutError):
    """A time limit was reached.

    Attributes:
        phase: "connect" (no connection), "first" (no first token or answer), "idle" (a stream without events),
            "total" (the whole call).
    """

    def __init__(self, message: str, *, phase: Phase = "total", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.phase: Phase = phase


# Statuses that mean the same at every vendor. 409 is a conflict that vendors' SDKs retry.
_BY_STATUS: dict[int, type[GenkitError]] = {
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: PermissionDenied,
    404: NotFound,
    408: Timeout,
    409: ServerError,
    425: ServerError,
    429: RateLimited,
}


def from_status(
    status: int,
    message: str,
    *,
    by_code: type[GenkitError] | None = None,
    **facts: Any,
) -> GenkitError:
    """Return the error for an HTTP status.

    Args:
        status: The status, 400 to 599; others become `BadResponse`.
        message: What the vendor said.
        by_code: The class for the vendor's documented code, where the backend knows one. It refines the status
            (a 429 that is an exhausted quota), and never turns a server's failure (5xx) into something else.
        facts: Further attributes of `GenkitError`.
    """
    if 400 <= status < 500:
        kind = by_code or _BY_STATUS.get(status, InvalidRequest)
    elif 500 <= status < 600:
        kind = ServerError
    else:
        kind = BadResponse
    if kind is Timeout:
        facts.setdefault("phase", "first")  # the far end gave up, not the caller's own limit
    return kind(message, status=status, sent=True, **facts)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest of `known`, or an empty string when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]!r}?" if near else ""
