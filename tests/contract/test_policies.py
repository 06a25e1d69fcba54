"""The contract, on policies around a backend: a stack keeps every promise of what is under it."""

from __future__ import annotations

import pytest

from genkit.backends.base import Backend
from genkit.backends.mock import Mock
from genkit.policies import Fallback, Limit, Retry, Target
from genkit.testing import BackendContract
from genkit.types import Features, Request
from tests.contract.test_mock import stalled


class TestFullStack(BackendContract):
    """Fallback, Retry and Limit, in the order of a plain LLM."""

    @pytest.fixture
    def mock(self):
        return Mock()

    @pytest.fixture
    def backend(self, mock):
        self.mock = mock
        limited = Limit(mock, concurrency=32, requests_per_minute=1_000_000)
        return Fallback(Target(Retry(limited, retries=2), None, "mock"), Target(Mock(name="second"), None, "second"))

    def stalling(self, backend: Backend) -> Request:
        return stalled(self.mock, self.ask())


class TestStackOverLittle(BackendContract):
    """What the backend lacks, the stack lacks too."""

    @pytest.fixture
    def backend(self):
        return Retry(Limit(Mock(features=Features(settings=frozenset({"timeout"}))), concurrency=16), retries=1)
