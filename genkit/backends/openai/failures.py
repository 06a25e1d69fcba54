"""OpenAI's failures in genkit's words: by HTTP status first, by documented code second, never by words in prose."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from ...errors import (
    AuthenticationFailed,
    BadResponse,
    ContentBlocked,
    ContextTooLong,
    GenkitError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout,
    Transient,
    from_status,
)
from ...events import load_json
from ..wire import first_words, shortened

__all__ = ["failure", "fault", "in_stream", "request_id", "retry_after"]

JSON = dict[str, Any]

# https://developers.openai.com/api/docs/guides/error-codes and the codes of the Responses reference, read 2026-11-23;
# Azure's: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter, read 2026-11-23.
_BY_CODE: dict[str, type[GenkitError]] = {
    "insufficient_quota": QuotaExhausted,
    "credit_balance_exhausted": QuotaExhausted,
    "organization_spend_limit_exceeded": QuotaExhausted,
    "project_spend_limit_exceeded": QuotaExhausted,
    "organization_usage_limit_exceeded": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "context_length_exceeded": ContextTooLong,
    "string_above_max_length": ContextTooLong,
    "content_filter": ContentBlocked,
    "content_policy_violation": ContentBlocked,
    "image_content_policy_violation": ContentBlocked,
    "moderation_blocked": ContentBlocked,
    "bio_policy": ContentBlocked,
    "misalignment_policy_violation": ContentBlocked,
    "invalid_prompt": InvalidRequest,
    "data_residency_mismatch": InvalidRequest,
    "invalid_image": InvalidRequest,
    "invalid_image_format": InvalidRequest,
    "invalid_image_mode": InvalidRequest,
    "invalid_image_url": InvalidRequest,
    "invalid_base64_image": InvalidRequest,
    "image_too_large": InvalidRequest,
    "image_too_small": InvalidRequest,
    "image_file_too_large": InvalidRequest,
    "image_file_not_found": InvalidRequest,
    "image_parse_error": InvalidRequest,
    "empty_image_file": InvalidRequest,
    "failed_to_download_image": InvalidRequest,
    "unsupported_image_media_type": InvalidRequest,
    "invalid_api_key": AuthenticationFailed,
    "invalid_issuer": AuthenticationFailed,
    "account_deactivated": AuthenticationFailed,
    "unsupported_country_region_territory": PermissionDenied,
    "model_not_found": NotFound,
    "DeploymentNotFound": NotFound,
    "rate_limit_exceeded": RateLimited,
    "slow_down": RateLimited,
    "server_error": ServerError,
    "server_is_overloaded": ServerError,
    "vector_store_timeout": ServerError,
}

# The coarser `type`, looked at where the code says nothing.
_BY_TYPE: dict[str, type[GenkitError]] = {
    "insufficient_quota": QuotaExhausted,
    # llama.cpp's, from its server's README.
    "exceed_context_size_error": ContextTooLong,
    "server_error": ServerError,
    "service_unavailable_error": ServerError,
    # llama.cpp's and Anthropic's words for a server that has no room now.
    "unavailable_error": ServerError,
    "overloaded_error": ServerError,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "requests": RateLimited,
    "tokens": RateLimited,
    "authentication_error": AuthenticationFailed,
    "permission_error": PermissionDenied,
    "not_found_error": NotFound,
    "invalid_request_error": InvalidRequest,
}


def failure(status: int, headers: Mapping[str, str], body: bytes, *, backend: str) -> GenkitError:
    """Return the error for an HTTP answer with status 400 or more.

    Args:
        status: The HTTP status.
        headers: With lower-case names.
        body: As it came: OpenAI's JSON, another service's, or a proxy's HTML page.
        backend: Name for the error.
    """
    error, message = _read(body)
    code = _word(error.get("code")) or _word(error.get("type"))
    return from_status(
        status,
        message or _without_message(status, headers, body),
        by_code=_by_code(status, error),
        backend=backend,
        code=code,
        retry_after=retry_after(headers),
        request_id=request_id(headers),
    )


def _by_code(status: int, error: JSON) -> type[GenkitError] | None:
    """Return the finer class, if the code gives one that the status allows."""
    code = _word(error.get("code")) or ""
    kind = _BY_CODE.get(code) or _inner(error)
    # Some services repeat the status as the code.
    if kind is None and (not code or code.isdigit()):
        kind = _BY_TYPE.get(_word(error.get("type")) or "")
        # A type as coarse as "invalid_request_error" must not turn a 401 or 404 into less than it is.
        if kind is InvalidRequest:
            kind = None
    # A refused request stays refused: the far end's own failures are 5xx, waiting does not mend a 4xx.
    if kind is not None and issubclass(kind, Transient) and status not in (408, 409, 425, 429):
        return None
    if kind in (AuthenticationFailed, PermissionDenied, NotFound) and status in (408, 409, 425, 429):
        return None
    return kind


def _inner(error: JSON) -> type[GenkitError] | None:
    """Return the class for Azure's inner code; a filtered prompt says "ResponsibleAIPolicyViolation" there."""
    inner = error.get("innererror") or error.get("inner_error")
    if isinstance(inner, dict) and inner.get("code") == "ResponsibleAIPolicyViolation":
        return ContentBlocked
    return None


def in_stream(error: Any, *, backend: str, request_id: str | None = None) -> GenkitError:
    """Return the error for an error object inside an answer whose HTTP status was 200.

    One that has neither a status nor a known code is `BadResponse`: nothing says that asking again would help.

    Args:
        error: The object under "error", the `error` event of Responses, or the `error` of a failed response; some
            services send a bare string.
        backend: Name for the error.
        request_id: The vendor's id of the request, where it is known.
    """
    fields = error if isinstance(error, dict) else {"message": str(error)}
    message = _text(fields.get("message")) or "the far end reported an error without a message, inside its answer"
    code = _word(fields.get("code")) or _word(fields.get("type"))
    status = _status(fields)
    kind: type[GenkitError] | None
    if status is not None and status < 500:
        found = from_status(status, message, by_code=_by_code(status, fields))
        kind = type(found)
    else:
        kind = _BY_CODE.get(code or "") or _inner(fields) or _BY_TYPE.get(_word(fields.get("type")) or "")
    kind = kind or (BadResponse if status is None else ServerError)
    if issubclass(kind, Timeout):
        kind = ServerError
    return kind(message, backend=backend, code=code, status=status, request_id=request_id, sent=True)


def fault(choices: Sequence[JSON]) -> str | None:
    """Return what makes the choices of a whole answer none; None where they are in order."""
    for choice in choices:
        said = choice.get("message", choice.get("delta"))
        # Azure leaves the message of a filtered answer out.
        if not said and choice.get("finish_reason") != "content_filter":
            return "has a choice without a message"
    indices = [choice["index"] for choice in choices if isinstance(choice.get("index"), int)]
    return "has two choices of one number" if len(set(indices)) < len(indices) else None


def _status(fields: JSON) -> int | None:
    """Return the HTTP status that gateways put into the error object as its code."""
    for name in ("status", "status_code", "code"):
        value = fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds the vendor asks to wait: `retry-after-ms`, else `retry-after` in seconds or as a date."""
    if (value := headers.get("retry-after-ms")) is not None:
        seconds = _number(value)
        if seconds is not None:
            return seconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - time.time())


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the vendor's id of the request; Azure has its own header for it."""
    return headers.get("x-request-id") or headers.get("apim-request-id") or None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _read(body: bytes) -> tuple[JSON, str]:
    """Return the error object of a body, and its message; both empty where there is none."""
    try:
        data = load_json(body)
    except ValueError:
        return {}, ""
    # One compatible route wraps its error in a list.
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return {}, data
    if not isinstance(data, dict):
        return {}, ""
    error = data.get("error", data)
    if isinstance(error, str):
        return {**data}, _text(data.get("message")) or error
    if not isinstance(error, dict):
        error = data
    message = _text(error.get("message")) or _text(error.get("detail")) or _text(data.get("message"))
    return error, message


def _text(value: object) -> str:
    """Return a message as text; servers built on FastAPI send a list of findings."""
    if isinstance(value, str):
        return value
    return "" if value is None else shortened(str(value), 500)


def _word(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _without_message(status: int, headers: Mapping[str, str], body: bytes) -> str:
    quoted = first_words(body)
    if not quoted:
        return f"HTTP {status} without a body"
    kind = headers.get("content-type", "").partition(";")[0].strip() or "no content type"
    return f"HTTP {status} without a readable error ({kind}): {quoted!r}"
