"""Bedrock's failures in genkit's words: by documented code and HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ...errors import (
    AuthenticationFailed,
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
    Unsupported,
    from_status,
)
from ...events import load_json
from ..wire import first_words

__all__ = ["ClockSkew", "failure", "in_stream", "is_skew", "request_id", "server_time"]

JSON = dict[str, Any]


class ClockSkew(AuthenticationFailed, Transient):
    """This machine's clock is wrong, so the signature was refused; the next one allows for it."""


# https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the service's model, read 2026-11-23.
_BY_CODE: dict[str, type[GenkitError]] = {
    "AccessDeniedException": PermissionDenied,
    "OptInRequired": PermissionDenied,
    "NotAuthorized": PermissionDenied,
    "ExpiredToken": AuthenticationFailed,
    "ExpiredTokenException": AuthenticationFailed,
    "IncompleteSignature": AuthenticationFailed,
    "IncompleteSignatureException": AuthenticationFailed,
    "InvalidClientTokenId": AuthenticationFailed,
    "InvalidSignatureException": AuthenticationFailed,
    "MissingAuthenticationToken": AuthenticationFailed,
    "MissingAuthenticationTokenException": AuthenticationFailed,
    "RequestExpired": AuthenticationFailed,
    "RequestTimeTooSkewed": AuthenticationFailed,
    "SignatureDoesNotMatch": AuthenticationFailed,
    "UnrecognizedClientException": AuthenticationFailed,
    "ResourceNotFoundException": NotFound,
    "UnknownOperationException": NotFound,
    "ServiceQuotaExceededException": QuotaExhausted,
    "ThrottlingException": RateLimited,
    "ThrottledException": RateLimited,
    "ModelNotReadyException": ServerError,
    "ModelErrorException": ServerError,
    "ModelStreamErrorException": ServerError,
    "InternalServerException": ServerError,
    "ServiceUnavailableException": ServerError,
    "ModelTimeoutException": Timeout,
    "ValidationException": InvalidRequest,
}

# Bedrock has one code, ValidationException, for all of these, and tells them apart by the whole sentence alone.
_BY_SENTENCE: tuple[tuple[str, type[GenkitError]], ...] = (
    ("The provided model identifier is invalid.", NotFound),
    ("The provided model doesn't support counting tokens.", Unsupported),
    ("Input is too long for requested model.", ContextTooLong),
)

_SKEWED = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired"})

_WAYS_OUT = {
    "AccessDeniedException": "check that the model is enabled for the account in this region, and that the policy "
    "allows bedrock:InvokeModel (for streams bedrock:InvokeModelWithResponseStream) on it",
    "ExpiredToken": "get new credentials: run aws sso login, or assume the role again",
    "ExpiredTokenException": "get new credentials: run aws sso login, or assume the role again",
    "UnrecognizedClientException": "the access key, session token or API key is unknown to AWS: check that they belong "
    "together and to this region's partition",
    "InvalidClientTokenId": "the access key is unknown to AWS: check it",
    "InvalidSignatureException": "the secret key may not belong to the access key, or something between here and AWS "
    "changed the request",
    "ResourceNotFoundException": "check the id, and that the model is offered in this region",
    "MissingAuthenticationTokenException": "something between here and AWS removed the authorization header",
}
_SENTENCE_WAYS_OUT: dict[type[GenkitError], str] = {
    NotFound: "check the id, and that the model is offered in this region; many models need an inference profile "
    "there, whose id begins with us., eu., apac. or global.",
    Unsupported: "count with the model's own id, without us. or eu.",
}


def failure(status: int, headers: Mapping[str, str], body: bytes, *, backend: str) -> GenkitError:
    """Return the error for an HTTP answer with status 400 or more.

    Args:
        status: The HTTP status.
        headers: With lower-case names.
        body: As it came: AWS's JSON, or a proxy's page.
        backend: Name for the error.
    """
    error = _read(body)
    code = _code(headers.get("x-amzn-errortype")) or _code(error.get("__type")) or _code(error.get("code"))
    said = error.get("message") or error.get("Message") or error.get("originalMessage")
    message = said if isinstance(said, str) and said else _without_message(status, headers, body)
    kind = _BY_CODE.get(code or "")
    way_out = _WAYS_OUT.get(code or "")
    for sentence, finer in _BY_SENTENCE:
        if status == 400 and message == sentence:
            kind, way_out = finer, _SENTENCE_WAYS_OUT.get(finer)
    if kind is ServerError and status < 500 and status not in (408, 409, 424, 429):
        kind = None
    return from_status(
        status,
        f"{message} ({way_out})" if way_out else message,
        by_code=kind,
        backend=backend,
        code=code,
        retry_after=_seconds(headers.get("retry-after")),
        request_id=request_id(headers),
    )


def in_stream(kind: str, payload: bytes, *, backend: str, message: str | None = None) -> GenkitError:
    """Return the error for an exception frame in a stream whose HTTP status was 200.

    Args:
        kind: The frame's exception type or error code, such as "throttlingException".
        payload: JSON with the message.
        backend: Name for the error.
        message: The message, where the frame's headers give it.
    """
    error = _read(payload)
    code = kind[:1].upper() + kind[1:] if kind else None
    found = _BY_CODE.get(code or "", ServerError)
    text = message or error.get("message") or error.get("Message") or first_words(payload) or "no message"
    found = next((finer for sentence, finer in _BY_SENTENCE if found is InvalidRequest and text == sentence), found)
    if original := error.get("originalMessage"):
        text = f"{text}; the model's own error: {original}"
        if isinstance(status := error.get("originalStatusCode"), int):
            text += f" (status {status})"
    said = f"the stream was ended by Bedrock: {text}"
    if found is Timeout:
        return Timeout(
            said, phase="first", backend=backend, code=code, sent=True
        )  # the model's limit, not the caller's
    return found(said, backend=backend, code=code, sent=True)


def is_skew(error: GenkitError) -> bool:
    """Return whether an error may come from a wrong clock."""
    return error.code in _SKEWED


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the time of the far end, in seconds since 1970, if it says it."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return AWS's id of the request."""
    return headers.get("x-amzn-requestid") or headers.get("x-amzn-request-id") or None


def _code(value: object) -> str | None:
    """Return the bare code: headers append a URL after a colon, bodies put a namespace before a hash."""
    if not isinstance(value, str):
        return None
    return value.partition(":")[0].rpartition("#")[2].strip() or None


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _read(body: bytes) -> JSON:
    try:
        data = load_json(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _without_message(status: int, headers: Mapping[str, str], body: bytes) -> str:
    quoted = first_words(body)
    if not quoted:
        return f"HTTP {status} without a body"
    kind = headers.get("content-type", "").partition(";")[0].strip() or "no content type"
    return f"HTTP {status} without a readable error ({kind}): {quoted!r}"
