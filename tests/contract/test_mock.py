"""The contract, on the mock."""

from __future__ import annotations

import pytest

from genkit.backends.base import Backend
from genkit.backends.mock import Mock
from genkit.testing import BackendContract
from genkit.types import Features, Request, Settings


def stalled(mock: Mock, request: Request) -> Request:
    """Make the next stream stop after its first event."""
    mock.reply("one two three", pace=10.0)
    mock.reply_always(lambda asked: asked.messages[-1].text)
    return request


class TestMock(BackendContract):
    @pytest.fixture
    def backend(self):
        return Mock()

    def stalling(self, backend: Backend) -> Request:
        assert isinstance(backend, Mock)
        return stalled(backend, self.ask())


class TestMockWithoutAnything(BackendContract):
    """A backend that has no feature at all refuses or reports everything."""

    @pytest.fixture
    def backend(self):
        return Mock(features=Features())


class TestMockWithHalf(BackendContract):
    """Half of the settings, to see the other half reported."""

    @pytest.fixture
    def backend(self):
        half = frozenset(sorted(Settings.model_fields)[::2])
        return Mock(features=Features(settings=half, tools=True, media=frozenset({"image"}), embeddings=True))
