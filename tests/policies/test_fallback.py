"""Who is asked when the first model fails, and how that shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from genkit.errors import ContentBlocked, GenkitError, InvalidRequest, NotFound, ServerError, Unsupported
from genkit.policies import Fallback, Target
from genkit.types import EmbedRequest
from tests.policies.backends import REQUEST, STREAMS, WAYS, Scripted, Watch, answer, failure

Way = Callable[..., Any]


def fallback(first: Any, *others: Any) -> Fallback:
    targets = [Target(other, f"model{i}", f"other:model{i}") for i, other in enumerate(others)]
    return Fallback(Target(first, None, "first:m"), *targets)


@pytest.mark.parametrize("way", WAYS)
def test_the_next_model_answers_and_a_warning_says_so(way: Way) -> None:
    second = Scripted(answer("second"))
    response = way(fallback(Scripted(failure()), second))
    assert response.text == "second"
    assert second.requests[0].model == "model0"
    [warning] = response.warnings
    assert (warning.kind, warning.subject) == ("fallback", "first:m")
    assert "it failed" in warning.message
    assert "other:model0 answered" in warning.message


@pytest.mark.parametrize("way", WAYS)
def test_the_first_model_answers_without_a_warning_when_it_can(way: Way) -> None:
    second = Scripted(answer("second"))
    response = way(fallback(Scripted(answer("first")), second))
    assert (response.text, response.warnings, second.requests) == ("first", (), [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [InvalidRequest, ContentBlocked])
def test_a_request_that_is_wrong_or_blocked_is_not_taken_elsewhere(way: Way, kind: type[GenkitError]) -> None:
    second = Scripted(answer())
    with pytest.raises(kind):
        way(fallback(Scripted(kind("no", sent=True)), second))
    assert second.requests == []


@pytest.mark.parametrize("way", WAYS)
def test_what_one_backend_lacks_another_may_have(way: Way) -> None:
    assert way(fallback(Scripted(Unsupported("no seed")), Scripted(answer("yes")))).text == "yes"


@pytest.mark.parametrize("way", WAYS)
def test_when_all_fail_the_last_error_is_raised_and_names_the_others(way: Way) -> None:
    with pytest.raises(NotFound) as caught:
        way(fallback(Scripted(failure()), Scripted(NotFound("no such model"))))
    assert caught.value.__notes__ == ["before it, first:m failed: ServerError: it failed (status=500)"]


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_stays_with_its_model_after_the_first_event(way: Way) -> None:
    second = Scripted(answer())
    with pytest.raises(ServerError):
        way(fallback(Scripted(failure(), after=2), second))
    assert second.requests == []


def test_embeddings_never_come_from_another_model() -> None:
    second = Scripted(answer())
    with pytest.raises(GenkitError):
        fallback(Scripted(failure()), second).embed(EmbedRequest(model="m", texts=("a",)))
    assert second.requests == []


def test_the_first_target_keeps_the_requests_own_model() -> None:
    first = Scripted(answer())
    fallback(first, Scripted(answer())).generate(REQUEST)
    assert first.requests[0].model == "m"


@pytest.mark.parametrize("way", WAYS)
def test_a_policy_below_sees_only_its_own_targets_attempts(way: Way) -> None:
    first, second = Watch(Scripted(failure())), Watch(Scripted(answer()))
    way(fallback(first, second))
    assert (first.outcomes, second.outcomes) == (["failed"], ["completed"])


@pytest.mark.parametrize("way", WAYS)
def test_a_target_that_is_asked_for_the_requests_own_model_is_named_with_it(way: Way) -> None:
    targets = Target(Scripted(failure()), None, "acme"), Target(Scripted(answer()), "other", "else")
    [warning] = way(Fallback(*targets)).warnings
    assert (warning.subject, warning.message.rpartition("; ")[2]) == ("acme:m", "else:other answered")
