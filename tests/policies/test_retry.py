"""What is repeated, how long that waits, and where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from genkit.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    GenkitError,
    QuotaExhausted,
    RateLimited,
    StreamInterrupted,
    Timeout,
    from_status,
)
from genkit.policies import Retry
from tests.policies.backends import STREAMS, WAYS, Scripted, Watch, answer, failure, request

Way = Callable[..., Any]


def quick(backend: Any, retries: int = 2) -> Retry:
    return Retry(backend, retries=retries, first_wait=0.001)


@pytest.mark.parametrize("way", WAYS)
def test_a_transient_failure_is_repeated_until_it_works(way: Way) -> None:
    backend = Scripted(failure(), ConnectionFailed("no"), answer("third"))
    assert way(quick(backend)).text == "third"
    assert len(backend.requests) == 3


@pytest.mark.parametrize("way", WAYS)
def test_the_last_error_is_raised_after_the_last_try(way: Way) -> None:
    backend = Scripted(failure(code="a"), failure(code="b"), failure(code="c"), answer())
    with pytest.raises(GenkitError) as caught:
        way(quick(backend))
    assert caught.value.code == "c"
    assert len(backend.requests) == 3


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [AuthenticationFailed("no"), QuotaExhausted("broke", status=429)])
def test_what_waiting_does_not_help_is_not_repeated(way: Way, error: GenkitError) -> None:
    backend = Scripted(error, answer())
    with pytest.raises(type(error)):
        way(quick(backend))
    assert len(backend.requests) == 1


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_is_not_repeated_after_its_first_event(way: Way) -> None:
    backend = Scripted(failure(), answer(), after=2)
    with pytest.raises(GenkitError):
        way(quick(backend))
    assert len(backend.requests) == 1


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_that_ends_before_its_first_event_is_repeated(way: Way) -> None:
    backend = Scripted(StreamInterrupted("cut", sent=True), answer("whole"))
    assert way(quick(backend)).text == "whole"


@pytest.mark.parametrize("way", WAYS)
def test_a_total_time_limit_that_ended_is_not_repeated(way: Way) -> None:
    backend = Scripted(Timeout("late", phase="total", sent=True), answer())
    with pytest.raises(Timeout):
        way(quick(backend))
    assert len(backend.requests) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_408_of_the_far_end_is_repeated(way: Way) -> None:
    backend = Scripted(from_status(408, "slow"), answer("second"))
    assert way(quick(backend)).text == "second"


@pytest.mark.parametrize("way", WAYS)
def test_the_vendors_retry_after_is_waited_for(way: Way) -> None:
    backend = Scripted(RateLimited("slow", retry_after=0.05), answer())
    started = time.monotonic()
    way(quick(backend))
    assert time.monotonic() - started >= 0.05


def test_only_the_retry_after_of_the_latest_error_counts() -> None:
    backend = Scripted(RateLimited("slow", retry_after=0.05), failure(), answer())
    waits: list[float] = []
    policy = quick(backend)
    flow = policy.flow(request())
    effect = next(flow)
    for _ in range(2):
        try:
            backend.generate(effect.request)  # type: ignore[union-attr]
        except GenkitError as error:
            sleep = flow.throw(error)
        waits.append(sleep.seconds)  # type: ignore[union-attr]
        effect = flow.send(None)
    assert waits[0] >= 0.05
    assert waits[1] < 0.05


@pytest.mark.parametrize("way", WAYS)
def test_a_retry_after_beyond_the_longest_wait_ends_the_retrying(way: Way) -> None:
    backend = Scripted(RateLimited("slow", retry_after=3600.0), answer())
    with pytest.raises(RateLimited) as caught:
        way(quick(backend))
    assert caught.value.retry_after == 3600.0
    assert len(backend.requests) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_wait_that_would_pass_the_total_time_limit_ends_the_retrying(way: Way) -> None:
    backend = Scripted(RateLimited("slow", retry_after=5.0), answer())
    started = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        way(quick(backend), request(timeout=1.0))
    assert time.monotonic() - started < 1.0
    assert "total time limit" in caught.value.__notes__[0]


def test_a_repeated_call_gets_what_is_left_of_the_total_time_limit() -> None:
    backend = Scripted(RateLimited("slow", retry_after=0.05), answer())
    quick(backend).generate(request(timeout=10.0))
    first, second = (asked.settings.timeout.total for asked in backend.requests)
    assert first == 10.0
    assert 9.0 < second <= 9.95


@pytest.mark.parametrize("way", WAYS)
def test_every_attempt_that_reached_the_wire_is_settled_by_the_policies_above(way: Way) -> None:
    backend = Scripted(failure(), answer())
    watch = Watch(quick(backend))
    way(watch)
    assert watch.outcomes == ["failed", "completed"]


@pytest.mark.parametrize("way", WAYS)
def test_an_attempt_that_never_left_is_not_settled(way: Way) -> None:
    watch = Watch(quick(Scripted(ConnectionFailed("refused", sent=False), answer())))
    way(watch)
    assert watch.outcomes == ["completed"]


def test_embeddings_and_scores_are_repeated_too() -> None:
    class Embeds(Scripted):
        def embed(self, request: Any) -> Any:
            return self.generate(request)

    backend = Embeds(failure(), answer("as good as vectors"))
    assert quick(backend).embed(request()).text == "as good as vectors"  # type: ignore[arg-type, attr-defined]
