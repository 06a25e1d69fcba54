"""The tree of errors, and how HTTP statuses become members of it."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from genkit import errors
from genkit.errors import GenkitError, RateLimited, Timeout, from_status, suggest

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GenkitError)]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "InvalidRequest"),
        (401, "AuthenticationFailed"),
        (402, "QuotaExhausted"),
        (403, "PermissionDenied"),
        (404, "NotFound"),
        (408, "Timeout"),
        (409, "ServerError"),
        (413, "InvalidRequest"),
        (422, "InvalidRequest"),
        (429, "RateLimited"),
        (500, "ServerError"),
        (503, "ServerError"),
        (529, "ServerError"),
        (302, "BadResponse"),
        (600, "BadResponse"),
    ],
)
def test_a_status_has_its_class_whatever_the_message_says(status: int, name: str) -> None:
    error = from_status(status, "429 rate_limit quota 500", backend="x")
    assert type(error).__name__ == name
    assert (error.status, error.backend, error.sent) == (status, "x", True)


def test_a_documented_code_refines_the_status() -> None:
    assert isinstance(from_status(429, "pay", by_code=errors.QuotaExhausted), errors.QuotaExhausted)


def test_a_code_never_turns_a_servers_failure_into_something_else() -> None:
    assert isinstance(from_status(500, "oops", by_code=errors.ContentBlocked), errors.ServerError)


def test_only_transient_errors_are_retryable() -> None:
    assert {kind.__name__ for kind in KINDS if kind.retryable} == {
        "Transient",
        "RateLimited",
        "ServerError",
        "ConnectionFailed",
        "Timeout",
    }


def test_every_class_is_drawn_in_the_tree_of_the_docstring_under_its_base() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([│ ]*)(?:[├└]── )?([A-Z]\w+)(?:\s{2,}|$)", line):
            depth = (line.index(match[2])) // 4
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__mro__[1].__name__ for kind in KINDS}


def test_the_facts_stand_in_the_message() -> None:
    error = RateLimited("too fast", backend="openai", status=429, code="rate", retry_after=2.0, request_id="r1")
    assert str(error) == "too fast (backend='openai', status=429, code='rate', retry_after=2.0, request_id='r1')"


def test_errors_survive_pickling_with_their_facts() -> None:
    error = Timeout("late", phase="idle", backend="openai", sent=True)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.phase, again.sent) == (Timeout, str(error), "idle", True)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.ConfigError, ValueError),
        (errors.UnknownSetting, TypeError),
        (errors.MissingExtra, ImportError),
        (errors.Timeout, TimeoutError),
        (errors.ConnectionFailed, ConnectionError),
    ],
)
def test_errors_are_caught_by_pythons_own_class_for_the_same_thing(kind: type, base: type) -> None:
    assert issubclass(kind, base)


def test_a_near_name_is_suggested_and_a_far_one_is_not() -> None:
    assert suggest("temprature", ["temperature", "top_p"]) == ", did you mean 'temperature'?"
    assert suggest("xyz", ["temperature", "top_p"]) == ""


def test_a_far_end_that_gave_up_waiting_may_be_asked_again() -> None:
    error = from_status(408, "slow")
    assert isinstance(error, Timeout)
    assert error.phase != "total"
