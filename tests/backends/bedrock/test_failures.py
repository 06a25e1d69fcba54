"""Bedrock's errors: which class, which code, and what to do."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from genkit.backends.bedrock import Bedrock
from genkit.backends.bedrock.failures import ClockSkew, in_stream
from genkit.errors import (
    AuthenticationFailed,
    BadResponse,
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
)
from genkit.transport import HttpRequest

NOW = 1_790_000_000.0


def failed(status: int, code: str, message: str = "Said.", **headers: str) -> GenkitError:
    named = {"x-amzn-errortype": f"{code}:http://internal.amazon.com/", "x-amzn-requestid": "req-9", **headers}
    return Bedrock().failure(status, named, json.dumps({"message": message}).encode())


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ValidationException", InvalidRequest),
        (403, "AccessDeniedException", PermissionDenied),
        (403, "ExpiredTokenException", AuthenticationFailed),
        (403, "UnrecognizedClientException", AuthenticationFailed),
        (403, "InvalidSignatureException", AuthenticationFailed),
        (404, "ResourceNotFoundException", NotFound),
        (408, "ModelTimeoutException", Timeout),
        (424, "ModelErrorException", ServerError),
        (429, "ThrottlingException", RateLimited),
        (429, "ModelNotReadyException", ServerError),
        (400, "ServiceQuotaExceededException", QuotaExhausted),
        (500, "InternalServerException", ServerError),
        (503, "ServiceUnavailableException", ServerError),
        (418, "TomorrowsException", InvalidRequest),
        (503, "ValidationException", ServerError),
    ],
)
def test_a_code_and_its_status_give_the_class(status: int, code: str, kind: type[GenkitError]) -> None:
    error = failed(status, code)
    assert type(error) is kind
    assert (error.status, error.code, error.backend, error.request_id, error.sent) == (
        status,
        code,
        "bedrock",
        "req-9",
        True,
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Input is too long for requested model.", ContextTooLong),
        ("The provided model identifier is invalid.", NotFound),
        ("The provided model doesn't support counting tokens.", Unsupported),
        ("429 tokens were sent", InvalidRequest),
    ],
)
def test_one_code_for_several_faults_is_told_apart_by_whole_sentences(message: str, kind: type[GenkitError]) -> None:
    assert type(failed(400, "ValidationException", message)) is kind


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        ("AccessDeniedException", "bedrock:InvokeModel"),
        ("ExpiredTokenException", "aws sso login"),
        ("UnrecognizedClientException", "unknown to AWS"),
        ("ResourceNotFoundException", "offered in this region"),
    ],
)
def test_an_error_says_what_to_do(code: str, way_out: str) -> None:
    assert way_out in failed(403, code).message


def test_a_code_that_does_not_fit_its_status_is_not_believed() -> None:
    assert type(failed(400, "InternalServerException")) is InvalidRequest


@pytest.mark.parametrize("place", ["__type", "code"])
def test_the_code_is_found_in_the_body_too(place: str) -> None:
    body = json.dumps({place: "com.amazon.coral.service#ExpiredTokenException", "Message": "Old."}).encode()
    error = Bedrock().failure(403, {}, body)
    assert (type(error), error.code) == (AuthenticationFailed, "ExpiredTokenException")
    assert error.message.startswith("Old.")


def test_a_page_in_place_of_an_error_is_quoted() -> None:
    error = Bedrock().failure(502, {"content-type": "text/html"}, b"<html>Bad gateway</html>")
    assert isinstance(error, ServerError)
    assert "<html>Bad gateway" in error.message
    assert "without a body" in Bedrock().failure(403, {}, b"").message
    assert isinstance(Bedrock().failure(700, {}, b""), BadResponse)


@pytest.mark.parametrize(
    ("kind", "error", "retryable"),
    [
        ("internalServerException", ServerError, True),
        ("modelStreamErrorException", ServerError, True),
        ("throttlingException", RateLimited, True),
        ("serviceUnavailableException", ServerError, True),
        ("modelTimeoutException", Timeout, True),
        ("validationException", InvalidRequest, False),
        ("accessDeniedException", PermissionDenied, False),
        ("exceptionOfTomorrow", ServerError, True),
        ("", ServerError, True),
    ],
)
def test_an_exception_frame_gives_the_class_of_its_type(kind: str, error: type[GenkitError], retryable: bool) -> None:
    found = in_stream(kind, b'{"message": "Said."}', backend="bedrock")
    assert (type(found), found.retryable, found.status) == (error, retryable, None)
    assert "Said." in found.message


def test_a_wait_that_is_asked_for_is_told() -> None:
    assert failed(429, "ThrottlingException", **{"retry-after": "3"}).retry_after == 3.0
    assert failed(429, "ThrottlingException", **{"retry-after": "soon"}).retry_after is None


def test_whole_sentences_tell_faults_apart_inside_a_stream_too() -> None:
    said = b'{"message": "Input is too long for requested model."}'
    assert type(in_stream("validationException", said, backend="bedrock")) is ContextTooLong
    assert type(in_stream("internalServerException", said, backend="bedrock")) is ServerError


class TestClocks:
    def backend(self) -> Bedrock:
        backend = Bedrock()
        backend._signer.clock = lambda: NOW
        return backend

    def refused(
        self,
        backend: Bedrock,
        *,
        date: float | None,
        code: str = "InvalidSignatureException",
        signed: float | None = None,
    ) -> GenkitError:
        """Return the error for a request that was signed with the backend's clock, or at another time."""
        at = backend._signer.clock() + backend._signer.offset if signed is None else signed
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        http = HttpRequest("https://x.example", {"x-amz-date": moment, "authorization": "AWS4-HMAC-SHA256 x"})
        headers = {"x-amzn-errortype": code} | ({"date": formatdate(date, usegmt=True)} if date is not None else {})
        return backend.refusal(403, headers, b'{"message": "Signature expired."}', http)

    @pytest.mark.parametrize(("ahead", "side"), [(3600.0, "behind"), (-3600.0, "ahead of")])
    def test_a_wrong_clock_is_set_by_the_far_ends_and_told(self, ahead: float, side: str) -> None:
        backend = self.backend()
        error = self.refused(backend, date=NOW + ahead)
        assert isinstance(error, ClockSkew)
        assert isinstance(error, AuthenticationFailed)
        assert isinstance(error, Transient)
        assert error.retryable
        assert f"3600 s {side} AWS's" in error.message
        assert backend._signer.offset == ahead

    def test_a_refusal_after_the_clock_was_set_is_final(self) -> None:
        backend = self.backend()
        self.refused(backend, date=NOW + 3600)
        error = self.refused(backend, date=NOW + 3600)
        assert type(error) is AuthenticationFailed
        assert not error.retryable

    def test_requests_that_were_under_way_are_excused_too(self) -> None:
        backend = self.backend()
        self.refused(backend, date=NOW + 3600)
        backend._signer.clock = lambda: NOW + 200
        assert isinstance(self.refused(backend, date=NOW + 3800, signed=NOW), ClockSkew)

    @pytest.mark.parametrize("date", [None, NOW, NOW + 20])
    def test_a_right_clock_is_not_blamed(self, date: float | None) -> None:
        assert type(self.refused(self.backend(), date=date)) is AuthenticationFailed

    def test_an_expired_token_is_no_matter_of_clocks(self) -> None:
        error = self.refused(self.backend(), date=NOW + 3600, code="ExpiredTokenException")
        assert type(error) is AuthenticationFailed
