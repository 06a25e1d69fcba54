"""Google's failures in genkit's words: by HTTP status first, by documented fields second, never by words in prose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from ...errors import (
    AuthenticationFailed,
    ContentBlocked,
    GenkitError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    from_status,
)
from ..wire import first_words

__all__ = ["blocked", "failure", "in_stream", "listed"]

JSON = dict[str, Any]

_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY = "type.googleapis.com/google.rpc.RetryInfo"
_QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"

# google.rpc.ErrorInfo's reasons: https://docs.cloud.google.com/dotnet/docs/reference (google.api.ErrorReason), read
# 2026-11-23. A wrong key of the Gemini API comes with status 400.
_BY_REASON: dict[str, type[GenkitError]] = {
    "API_KEY_INVALID": AuthenticationFailed,
    "CREDENTIALS_MISSING": AuthenticationFailed,
    "ACCESS_TOKEN_EXPIRED": AuthenticationFailed,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": AuthenticationFailed,
    "ACCOUNT_STATE_INVALID": AuthenticationFailed,
    "SESSION_COOKIE_INVALID": AuthenticationFailed,
    "API_KEY_SERVICE_BLOCKED": PermissionDenied,
    "API_KEY_HTTP_REFERRER_BLOCKED": PermissionDenied,
    "API_KEY_IP_ADDRESS_BLOCKED": PermissionDenied,
    "SERVICE_DISABLED": PermissionDenied,
    "CONSUMER_INVALID": PermissionDenied,
    "CONSUMER_SUSPENDED": PermissionDenied,
    "BILLING_DISABLED": PermissionDenied,
    "LOCATION_POLICY_VIOLATED": PermissionDenied,
}
# google.rpc.Code by name, for errors inside an answer of status 200.
_BY_WORD: dict[str, type[GenkitError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNAUTHENTICATED": AuthenticationFailed,
    "PERMISSION_DENIED": PermissionDenied,
    "NOT_FOUND": NotFound,
    "RESOURCE_EXHAUSTED": RateLimited,
}


def failure(status: int, headers: Mapping[str, str], body: bytes, *, backend: str) -> GenkitError:
    """Return the error for an HTTP answer with status 400 or more.

    Args:
        status: The HTTP status.
        headers: With lower-case names.
        body: As it came: Google's JSON, alone or in a list, or a proxy's HTML page.
        backend: Name for the error.
    """
    error = _read(body)
    details = _details(error)
    message = error.get("message")
    return from_status(
        status,
        message if isinstance(message, str) and message else _without_message(status, body),
        by_code=_by_details(status, details),
        backend=backend,
        code=_code(error, details),
        retry_after=_retry_after(headers, details),
        request_id=headers.get("x-request-id"),
    )


def listed(content: bytes) -> JSON | None:
    """Return the error out of an answer that is a list, as errors of streams are, or None where there is none."""
    if content.lstrip()[:1] != b"[":
        return None
    try:
        data = from_json(content)
    except ValueError:
        return None
    found = data if isinstance(data, list) else []
    return next(({"error": one["error"]} for one in found if isinstance(one, dict) and one.get("error")), None)


def in_stream(error: Any, *, backend: str) -> GenkitError:
    """Return the error for an error object inside an answer whose HTTP status was 200."""
    fields: JSON = error if isinstance(error, dict) else {"message": str(error)}
    details = _details(fields)
    message = fields.get("message")
    if not isinstance(message, str) or not message:
        message = "the far end reported an error without a message, inside its answer"
    status = _status(fields.get("code"))
    kind: type[GenkitError]
    if status is not None and status < 500 and status != 408:
        kind = type(from_status(status, message, by_code=_by_details(status, details)))
    else:
        kind = _BY_WORD.get(str(fields.get("status")), ServerError) if status is None else ServerError
        if kind is RateLimited and _is_used_up(details):
            kind = QuotaExhausted
    return kind(
        message,
        backend=backend,
        code=_code(fields, details),
        status=status,
        retry_after=_retry_after({}, details),
        sent=True,
    )


def _status(code: Any) -> int | None:
    """Return the HTTP status of a failure that an error object names, as a number or a text, if it does."""
    if isinstance(code, str) and code.isdecimal() and code.isascii():
        code = int(code[:4])
    return code if type(code) is int and 400 <= code < 600 else None


def blocked(feedback: JSON, *, backend: str) -> GenkitError:
    """Return the error for a prompt that was refused, and so has no answer."""
    reason = feedback.get("blockReason")
    said = feedback.get("blockReasonMessage")
    return ContentBlocked(
        f"the prompt was blocked ({reason})" + (f": {said}" if said else "; what the filter said is in .response"),
        backend=backend,
        code=str(reason),
        sent=True,
    )


def _by_details(status: int, details: list[JSON]) -> type[GenkitError] | None:
    if status == 429:
        return QuotaExhausted if _is_used_up(details) else None
    reasons = (detail.get("reason") for detail in details if detail.get("@type") == _INFO)
    return next((_BY_REASON[reason] for reason in reasons if reason in _BY_REASON), None)


def _is_used_up(details: list[JSON]) -> bool:
    """Return whether a quota is used up for the day, which is told by the name of the quota."""
    violations = [
        violation
        for detail in details
        if detail.get("@type") == _QUOTA and isinstance(detail.get("violations"), list)
        for violation in detail["violations"]
    ]
    return any(isinstance(one, dict) and "PerDay" in str(one.get("quotaId")) for one in violations)


def _retry_after(headers: Mapping[str, str], details: list[JSON]) -> float | None:
    """Return the seconds to wait: of the header, else of RetryInfo, such as "57.8s"."""
    delays = (detail.get("retryDelay") for detail in details if detail.get("@type") == _RETRY)
    for value in (headers.get("retry-after"), *delays):
        if not isinstance(value, str):
            continue
        try:
            seconds = float(value.removesuffix("s"))
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _code(error: JSON, details: list[JSON]) -> str | None:
    reason = next((detail.get("reason") for detail in details if detail.get("@type") == _INFO), None)
    found = reason or error.get("status")
    return found if isinstance(found, str) and found else None


def _details(error: JSON) -> list[JSON]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _read(body: bytes) -> JSON:
    """Return the error object of a body; streams wrap it in a list."""
    try:
        data = from_json(body)
    except ValueError:
        return {}
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def _without_message(status: int, body: bytes) -> str:
    quoted = first_words(body)
    return f"HTTP {status} without a readable error: {quoted!r}" if quoted else f"HTTP {status} without a body"
