"""Google's failures in genkit's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from genkit.backends.google.failures import failure, in_stream
from genkit.errors import (
    AuthenticationFailed,
    GenkitError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout,
)

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"


def failed(status: int, word: str = "", *details: dict[str, Any], headers: dict[str, str] | None = None) -> GenkitError:
    """Return the error for an answer of Google's."""
    error = {"code": status, "message": "It failed.", "status": word, "details": list(details)}
    return failure(status, headers or {}, json.dumps({"error": error}).encode(), backend="google")


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", InvalidRequest),
        (400, "FAILED_PRECONDITION", InvalidRequest),
        (401, "UNAUTHENTICATED", AuthenticationFailed),
        (403, "PERMISSION_DENIED", PermissionDenied),
        (404, "NOT_FOUND", NotFound),
        (408, "", Timeout),
        (429, "RESOURCE_EXHAUSTED", RateLimited),
        (500, "INTERNAL", ServerError),
        (503, "UNAVAILABLE", ServerError),
        (504, "DEADLINE_EXCEEDED", ServerError),
    ],
)
def test_the_status_says_what_kind_of_failure_it_is(status: int, word: str, kind: type[GenkitError]) -> None:
    error = failed(status, word)
    assert type(error) is kind
    assert (error.message, error.status, error.code or "") == ("It failed.", status, word)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("API_KEY_INVALID", AuthenticationFailed),
        ("API_KEY_SERVICE_BLOCKED", PermissionDenied),
        ("NEWS", InvalidRequest),
    ],
)
def test_a_documented_reason_says_more_than_the_status(reason: str, kind: type[GenkitError]) -> None:
    error = failed(400, "INVALID_ARGUMENT", {"@type": INFO, "reason": reason, "domain": "googleapis.com"})
    assert type(error) is kind
    assert error.code == reason


def test_a_failure_of_the_far_end_stays_one_whatever_its_reason() -> None:
    assert type(failed(500, "INTERNAL", {"@type": INFO, "reason": "API_KEY_INVALID"})) is ServerError


@pytest.mark.parametrize(
    ("quota", "kind"),
    [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", QuotaExhausted),
        ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", RateLimited),
        ("GenerateContentInputTokensPerModelPerMinute-FreeTier", RateLimited),
    ],
)
def test_a_quota_of_a_day_is_used_up_and_one_of_a_minute_is_a_rate(quota: str, kind: type[GenkitError]) -> None:
    violation = {"quotaMetric": "generativelanguage.googleapis.com/x", "quotaId": quota}
    error = failed(
        429,
        "RESOURCE_EXHAUSTED",
        {"@type": QUOTA, "violations": [violation]},
        {"@type": RETRY, "retryDelay": "57.8s"},
    )
    assert type(error) is kind
    assert error.retry_after == 57.8


@pytest.mark.parametrize(
    ("value", "seconds"), [("12s", 12.0), ("0.5s", 0.5), ("soon", None), ("-3s", None), (7, None), ("nans", None)]
)
def test_the_delay_stands_in_the_body(value: Any, seconds: float | None) -> None:
    assert failed(503, "UNAVAILABLE", {"@type": RETRY, "retryDelay": value}).retry_after == seconds


def test_the_header_goes_before_the_body() -> None:
    error = failed(429, "", {"@type": RETRY, "retryDelay": "9s"}, headers={"retry-after": "3"})
    assert error.retry_after == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'[{"error": {"code": 400, "message": "in a list"}}]', "in a list"),
        (b'{"error": "a word"}', "a word"),
        (b"<html>nginx</html>", "without a readable error: '<html>nginx</html>'"),
        (b"", "without a body"),
        (b"[]", "readable error"),
        (b"7", "readable error"),
        (b'{"error": {"message": 3, "details": 7}}', "readable error"),
    ],
)
def test_any_body_is_read(body: bytes, said: str) -> None:
    assert said in failure(400, {}, body, backend="google").message


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 503, "status": "UNAVAILABLE"}, ServerError, 503),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, RateLimited, 429),
        ({"code": 400, "status": "INVALID_ARGUMENT"}, InvalidRequest, 400),
        ({"code": 408}, ServerError, 408),
        ({"status": "PERMISSION_DENIED"}, PermissionDenied, None),
        ({"code": 200, "status": "OK"}, ServerError, None),
        ({"code": "429", "status": "RESOURCE_EXHAUSTED"}, RateLimited, 429),
        ({"code": "bad", "status": "NOT_FOUND"}, NotFound, None),
        ({"code": 200, "status": "RESOURCE_EXHAUSTED"}, RateLimited, None),
        ("a word", ServerError, None),
        ({}, ServerError, None),
    ],
)
def test_an_error_inside_an_answer_is_read_by_its_code(error: Any, kind: type[GenkitError], status: int | None) -> None:
    found = in_stream(error, backend="google")
    assert type(found) is kind
    assert (found.status, found.sent) == (status, True)
    assert found.message
