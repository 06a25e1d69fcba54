"""Failures of OpenAI's wire: status first, documented code second, prose never."""

from __future__ import annotations

import json
import time
import typing
from email.utils import formatdate
from typing import Any

import pytest

from genkit.backends.openai import failures
from genkit.errors import (
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
)


def failed(status: int, error: Any = None, headers: dict[str, str] | None = None) -> GenkitError:
    content = json.dumps({"error": error if error is not None else {"message": "m"}}).encode()
    return failures.failure(status, headers or {}, content, backend="openai")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AuthenticationFailed),
        (402, QuotaExhausted),
        (403, PermissionDenied),
        (404, NotFound),
        (408, Timeout),
        (409, ServerError),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
        (302, BadResponse),
    ],
)
def test_the_status_decides_first(status: int, kind: type[GenkitError]) -> None:
    assert type(failed(status)) is kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "insufficient_quota", QuotaExhausted),
        (429, "credit_balance_exhausted", QuotaExhausted),
        (429, "project_spend_limit_exceeded", QuotaExhausted),
        (429, "rate_limit_exceeded", RateLimited),
        (400, "context_length_exceeded", ContextTooLong),
        (400, "string_above_max_length", ContextTooLong),
        (400, "content_filter", ContentBlocked),
        (400, "content_policy_violation", ContentBlocked),
        (400, "model_not_found", NotFound),
        (404, "DeploymentNotFound", NotFound),
        (401, "invalid_api_key", AuthenticationFailed),
        (403, "unsupported_country_region_territory", PermissionDenied),
        (400, "unknown_parameter", InvalidRequest),
    ],
)
def test_a_documented_code_refines_it(status: int, code: str, kind: type[GenkitError]) -> None:
    error = failed(status, {"message": "m", "code": code, "type": "invalid_request_error"})
    assert type(error) is kind
    assert error.code == code


def test_a_broader_type_counts_where_the_code_says_nothing() -> None:
    assert type(failed(429, {"message": "m", "type": "insufficient_quota", "code": None})) is QuotaExhausted
    assert type(failed(400, {"message": "m", "type": "exceed_context_size_error", "code": 400})) is ContextTooLong


@pytest.mark.parametrize("status", [401, 404, 429])
def test_a_type_that_says_less_than_the_status_is_not_believed(status: int) -> None:
    assert type(failed(status, {"message": "m", "type": "invalid_request_error"})) is type(failed(status))


@pytest.mark.parametrize("code", ["insufficient_quota", "context_length_exceeded", "invalid_api_key"])
def test_a_servers_failure_stays_one_whatever_the_code(code: str) -> None:
    assert type(failed(500, {"message": "m", "code": code})) is ServerError


def test_a_refused_request_is_not_retried_for_its_code() -> None:
    assert not failed(400, {"message": "m", "code": "rate_limit_exceeded"}).retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
    ],
)
def test_the_wait_that_the_vendor_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert failed(429, headers=headers).retry_after == seconds


def test_the_wait_may_be_a_date() -> None:
    found = failed(429, headers={"retry-after": formatdate(time.time() + 60, usegmt=True)}).retry_after
    assert found is not None
    assert 50 < found <= 60


@pytest.mark.parametrize("header", ["x-request-id", "apim-request-id"])
def test_the_vendors_id_of_the_request_is_kept(header: str) -> None:
    assert failed(500, headers={header: "req_1"}).request_id == "req_1"


def test_the_message_is_the_vendors() -> None:
    error = failed(400, {"message": "No such thing", "param": "x"})
    assert error.message == "No such thing"
    assert (error.backend, error.status, error.sent) == ("openai", 400, True)


def test_a_page_of_html_is_quoted_shortly() -> None:
    page = b"<html><body>" + b"Bad gateway " * 100
    error = failures.failure(502, {"content-type": "text/html"}, page, backend="openai")
    assert type(error) is ServerError
    assert "<html><body>Bad gateway" in error.message
    assert len(error.message) < 400


def test_an_empty_body_is_named_as_such() -> None:
    assert failures.failure(503, {}, b"", backend="openai").message == "HTTP 503 without a body"


@pytest.mark.parametrize(
    "content",
    [
        b'{"error": "No"}',
        b'{"message": "No"}',
        b'{"detail": "No"}',
        b'[{"error": {"message": "No", "code": 400}}]',
        b'{"object": "error", "message": "No", "code": 400}',
        b'{"error": {"message": "No", "code": ["odd"], "type": {"odd": 1}}}',
        b'"No"',
    ],
)
def test_errors_in_other_shapes_are_read(content: bytes) -> None:
    error = failures.failure(400, {}, content, backend="openai")
    assert type(error) is InvalidRequest
    assert error.message == "No"


@pytest.mark.parametrize("content", [b"null", b"[]", b"{}", b"12", b'{"error": null}', b"\xff\xfe"])
def test_a_body_that_says_nothing_is_no_trouble(content: bytes) -> None:
    assert type(failures.failure(400, {}, content, backend="openai")) is InvalidRequest


def test_azures_inner_code_for_a_filtered_prompt_is_read() -> None:
    error = {"message": "m", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    assert type(failed(400, error)) is ContentBlocked


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "m", "code": "server_error"}, ServerError),
        ({"message": "m", "code": "rate_limit_exceeded"}, RateLimited),
        ({"message": "m", "code": "insufficient_quota"}, QuotaExhausted),
        ({"message": "m", "code": "invalid_prompt"}, InvalidRequest),
        ({"message": "m", "code": "bio_policy"}, ContentBlocked),
        ({"message": "m", "type": "invalid_request_error", "code": None}, InvalidRequest),
        ({"message": "m", "code": 429}, RateLimited),
        ({"message": "m", "code": "401"}, AuthenticationFailed),
        ({"message": "m", "code": 502}, ServerError),
        ({"message": "m", "type": "overloaded_error"}, ServerError),
        ({"message": "m", "code": "brand_new"}, BadResponse),
        ({"message": "m", "code": "brand_new", "status": 503}, ServerError),
        ({}, BadResponse),
        ("m", BadResponse),
    ],
)
def test_errors_inside_an_answer_are_classed_by_code(error: Any, kind: type[GenkitError]) -> None:
    assert type(failures.in_stream(error, backend="openai")) is kind


def test_an_unknown_error_inside_an_answer_is_not_sent_again() -> None:
    assert not failures.in_stream("model not found", backend="openai").retryable


@pytest.mark.parametrize(
    "code", ["invalid_image", "image_too_large", "failed_to_download_image", "data_residency_mismatch"]
)
def test_a_picture_or_place_that_is_refused_is_refused_again_and_so_no_failure_of_the_server(code: str) -> None:
    error = failures.in_stream({"code": code, "message": "m"}, backend="openai")
    assert type(error) is InvalidRequest
    assert error.code == code


def test_every_code_of_a_failed_response_that_the_sdk_lists_has_its_class() -> None:
    listed = pytest.importorskip("openai.types.responses.response_error").ResponseError.model_fields["code"]
    temporary = {"server_error": ServerError, "vector_store_timeout": ServerError, "rate_limit_exceeded": RateLimited}
    for code in typing.get_args(listed.annotation):
        kind = type(failures.in_stream({"code": code, "message": "m"}, backend="openai"))
        if code in temporary:
            assert kind is temporary[code], code
        else:
            assert kind is (ContentBlocked if "policy" in code else InvalidRequest), code


def test_a_byte_order_mark_before_an_error_is_passed_over() -> None:
    error = failures.failure(400, {}, b'\xef\xbb\xbf{"error": {"message": "no"}}', backend="x")
    assert error.message == "no"
