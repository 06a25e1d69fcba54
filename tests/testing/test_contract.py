"""The contract is red for a backend that breaks a promise: one broken backend for each."""

from __future__ import annotations

import pytest

# What is broken, the body of such a backend, and the test that must be red.
BROKEN = [
    (
        "a stream without its Done",
        "def stream(self, request): return iter(list(super().stream(request))[:-1])",
        "test_each_part_has_start_deltas_and_end_and_one_done_is_last",
    ),
    (
        "a part that never ends",
        "def stream(self, request): return (e for e in super().stream(request) if e.kind != 'block_end')",
        "test_each_part_has_start_deltas_and_end_and_one_done_is_last",
    ),
    (
        "a lost delta",
        "def stream(self, request): return (e for e in super().stream(request) if 'r7' not in getattr(e, 'text', ''))",
        "test_the_deltas_add_up_to_the_response",
    ),
    (
        "a stream that says something else",
        "def generate(self, request): return changed(super().generate(request), finish='other')",
        "test_a_stream_ends_in_the_response_that_generate_gives",
    ),
    (
        "an async twin that says something else",
        "async def agenerate(self, request): return changed(self.generate(request), finish='other')",
        "test_agenerate_gives_what_generate_gives",
    ),
    (
        "a setting lost in silence",
        """
    def features(self, model): return changed(super().features(model), settings=frozenset({'timeout'}))
    def generate(self, request): return changed(super().generate(request), warnings=())
        """,
        "test_a_setting_is_honoured_or_reported",
    ),
    (
        "a plan without the prompt",
        "def plan(self, request, *, stream=False): return changed(super().plan(request), body={})",
        "test_a_plan_shows_the_prompt",
    ),
    (
        "a check that says nothing",
        """
    def features(self, model): return changed(super().features(model), settings=frozenset({'timeout'}))
    def check(self, request): return ()
        """,
        "test_a_check_tells_what_becomes_of_a_setting",
    ),
    (
        "a declared setting that is dropped",
        "def generate(self, request): return Mock(features=Features()).generate(request)",
        "test_a_setting_is_honoured_or_reported",
    ),
    (
        "an undeclared ability that works",
        """
    def features(self, model): return changed(super().features(model), tools=False)
    def generate(self, request): return Mock().generate(request)
        """,
        "test_a_tool_is_called_or_refused",
    ),
    (
        "a declared ability that fails",
        "def embed(self, request): raise self.lacks('embeddings', request.model)",
        "test_embeddings_are_given_in_order_or_refused",
    ),
    (
        "embeddings out of order",
        """
    def embed(self, request):
        found = super().embed(request)
        return changed(found, vectors=found.vectors[1:] + found.vectors[:1])
        """,
        "test_embeddings_are_given_in_order_or_refused",
    ),
    (
        "a stop text that stays in the answer",
        "def generate(self, request): return super().generate(without(request, 'stop'))",
        "test_a_stop_text_ends_the_answer_and_is_not_part_of_it",
    ),
    (
        "a limit that does not hold",
        "def generate(self, request): return super().generate(without(request, 'max_tokens'))",
        "test_max_tokens_ends_a_longer_answer",
    ),
    (
        "a time limit that does not hold",
        "def generate(self, request): return super().generate(without(request, 'timeout'))",
        "test_a_time_limit_ends_in_a_timeout",
    ),
    (
        "a foreign exception",
        "def generate(self, request): return super().generate(request) if request.messages else [][0]",
        "test_a_request_without_messages_is_refused",
    ),
    (
        "usage that is negative",
        "def generate(self, request): return changed(super().generate(request), usage=Usage(input=-1))",
        "test_token_counts_are_unknown_or_add_up",
    ),
    (
        "a backend that dies of being closed",
        """
    gone = False
    def close(self): self.gone = True
    def generate(self, request): assert not self.gone; return super().generate(request)
        """,
        "test_closing_twice_is_fine_and_a_later_call_works_again",
    ),
    (
        "a socket left open",
        "def generate(self, request): socket.socket(); return super().generate(request)",
        "test_nothing_is_left_open",
    ),
    (
        "a closed stream that goes on",
        "def stream(self, request): return Deaf(super().stream(request))",
        "test_a_stream_may_be_left_and_the_next_call_works",
    ),
    (
        "answers of neighbours",
        """
    def generate(self, request):
        self.last = request
        time.sleep(0.01)
        return super().generate(self.last)
        """,
        "test_concurrent_threads_get_their_own_answers",
    ),
    (
        "a stream that only its own thread can close",
        """
    def stream(self, request): return Bound(super().stream(request))
        """,
        "test_closing_ends_a_reader_that_waits_in_another_thread",
    ),
]

# Plugins of other packages are not what is tested.
ALONE = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:hypothesispytest")

PROGRAM = """
import socket, time
import pytest
from genkit.testing import BackendContract, Mock
from genkit.types import Features, Settings, Usage


def without(request, name):
    settings = Settings(**{{n: getattr(request.settings, n) for n in request.settings.given() - {{name}}}})
    return request.model_copy(update={{"settings": settings}})


def changed(value, **changes):
    return value.model_copy(update=changes)


class Deaf:
    def __init__(self, stream): self.stream = stream
    def __iter__(self): return self
    def __next__(self): return next(self.stream)


class Bound(Deaf):
    def close(self): pass


class Broken(Mock):
    {body}


class TestBroken(BackendContract):
    @pytest.fixture
    def backend(self, monkeypatch):
        monkeypatch.setattr("genkit.testing.contract.answers.SOON", 0.3)
        return Broken()

    def stalling(self, backend):
        backend.reply("one two three", pace=2.0)
        backend.reply_always("ok")
        return self.ask()
"""


@pytest.mark.parametrize(("body", "name"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_it_is_red_for(pytester, body, name):
    pytester.makepyfile(PROGRAM.format(body=body))
    result = pytester.runpytest_inprocess("-q", "-k", name, *ALONE)
    assert result.parseoutcomes().get("failed", 0) > 0


def test_a_backend_without_the_fixture_is_told_so(pytester):
    pytester.makepyfile("from genkit.testing import BackendContract\nclass TestMine(BackendContract): pass")
    result = pytester.runpytest_inprocess("-k", "six_words", *ALONE)
    result.stdout.fnmatch_lines(["*NotImplementedError: TestMine must give the fixture 'backend'*"])
