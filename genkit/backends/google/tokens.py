"""Access tokens of Google Cloud: whatever google-auth can sign in with, asked over genkit's own transport.

google-auth is loaded where credentials are looked for, and by nothing else. It asks token servers through an adapter
here, so that a proxy, certificates and an HTTP client that were given hold for these requests too.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from typing_extensions import override

from ...errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    GenkitError,
    MissingCredential,
    MissingExtra,
    Transient,
)
from ...transport import HttpRequest, Transport
from ...types import Timeouts
from ..tokens import Tokens

__all__ = ["SCOPE", "CloudTokens"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ENDLESS = float("inf")
_TIMEOUT_S = 120.0
_WAYS_IN = (
    "run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, pass "
    "credentials=, or use a key of Vertex AI's express mode (GOOGLE_API_KEY or api_key=)"
)


class CloudTokens(Tokens[str]):
    """Tokens of given credentials, or of those that the environment has (Application Default Credentials).

    Args:
        credentials: An object of google-auth, or None to look for one at the first call.
        transport: What token servers are asked through.
        name: The backend's name, for errors.

    Attributes:
        project: The project that the credentials name, once they were looked for.
    """

    # google-auth's own margin: metadata servers give the same token until shortly before its end.
    early = 225.0

    def __init__(self, credentials: Any, *, transport: Transport, name: str) -> None:
        super().__init__()
        self._given: Any = credentials
        self._credentials: Any = credentials
        self._ask = _Asking(transport)
        self._name = name
        self.project: str | None = getattr(credentials, "project_id", None)

    @property
    def quota_project(self) -> str | None:
        """The project that is billed, where the credentials name one."""
        found = getattr(self._credentials, "quota_project_id", None)
        return found if isinstance(found, str) and found else None

    @override
    def fetch(self) -> tuple[str, float]:
        credentials = self._credentials = self._scoped(self._credentials or self._default())
        if inspect.iscoroutinefunction(credentials.refresh):
            raise ConfigError(
                f"the credentials of {self._name!r} are asynchronous: give those of google.auth, not google.auth.aio",
                backend=self._name,
            )
        lasts = credentials.valid and self._ends(credentials) - self._clock() > self.early
        if not lasts or self.refused(credentials.token or ""):
            credentials.refresh(self._ask)
        return credentials.token or "", self._ends(credentials)

    @override
    def held(self) -> tuple[str, float] | None:
        credentials = self._credentials
        token = getattr(credentials, "token", None)
        if not isinstance(token, str) or not token or getattr(credentials, "requires_scopes", False) is True:
            return None
        return token, self._ends(credentials)

    def _ends(self, credentials: Any) -> float:
        expiry = getattr(credentials, "expiry", None)
        # google-auth's times are UTC without saying so.
        return _ENDLESS if expiry is None else float(expiry.replace(tzinfo=UTC).timestamp())

    def _scoped(self, credentials: Any) -> Any:
        wants = getattr(credentials, "requires_scopes", False) is True
        return credentials.with_scopes([SCOPE]) if wants else credentials

    def _default(self) -> Any:
        """Return Application Default Credentials.

        Raises:
            MissingExtra: If google-auth is not installed.
            MissingCredential: If there are none.
        """
        try:
            auth: Any = importlib.import_module("google.auth")
            failures: Any = importlib.import_module("google.auth.exceptions")
        except ImportError as error:
            raise MissingExtra(
                f"backend {self._name!r} signs in with 'google-auth': pip install 'genkit-llm[google]'; "
                "with a key of Vertex AI's express mode (GOOGLE_API_KEY or api_key=) it is not needed",
                backend=self._name,
            ) from error
        try:
            credentials, self.project = auth.default(scopes=[SCOPE], request=self._ask)
        except failures.DefaultCredentialsError as error:
            raise MissingCredential(f"no credential for {self._name!r}: {_WAYS_IN}", backend=self._name) from error
        return credentials

    @override
    def failed(self, error: Exception) -> GenkitError:
        cause = error.__cause__ or error.__context__
        while cause is not None and not isinstance(cause, GenkitError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, Transient):
            return ConnectionFailed(f"no access token for {self._name!r}: {cause.message}", backend=self._name)
        who = type(self._credentials).__name__ if self._credentials is not None else "google-auth"
        return AuthenticationFailed(
            f"{who} gave no access token for {self._name!r} ({type(error).__name__}): sign in again, or {_WAYS_IN}",
            backend=self._name,
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Asking:
    """What google-auth calls to send a request; see `google.auth.transport.Request`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        content = body.encode() if isinstance(body, str) else body or b""
        seconds = timeout or _TIMEOUT_S
        limits = Timeouts(connect=min(seconds, 10.0), first=seconds, total=seconds)
        try:
            reply = self._transport.send(HttpRequest(url, dict(headers or {}), content, method), limits)
        except GenkitError as error:
            # Its own kind of error is what makes google-auth try again, or look elsewhere.
            failures: Any = importlib.import_module("google.auth.exceptions")
            raise failures.TransportError(error.message) from error
        return _Answer(reply.status, reply.headers, reply.content)
