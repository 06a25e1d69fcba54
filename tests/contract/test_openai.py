"""The contract, on OpenAI's backend against a far end on loopback, through real sockets."""

from __future__ import annotations

import pytest

from genkit.backends.base import Backend
from genkit.backends.openai import OpenAI
from genkit.testing import BackendContract
from genkit.types import Request
from tests.contract.openai_farend import STALL, UNKNOWN, speak_openai
from tests.farend import FarEnd


class OpenAIContract(BackendContract):
    """What the two interfaces share."""

    __test__ = False
    model = "gpt-4.1-mini"
    embedding_model = "text-embedding-3-small"
    api = "chat"

    @pytest.fixture
    def backend(self):
        with FarEnd(speak_openai) as far:
            backend = OpenAI(base_url=f"{far.url}/v1", api_key="sk-test", api=self.api)
            yield backend
            backend.close()

    def unknown_model(self) -> str:
        return UNKNOWN

    def stalling(self, backend: Backend) -> Request:
        return self.ask(f"{STALL} after a few of these words, please.")


class TestChat(OpenAIContract):
    """Chat Completions."""

    __test__ = True


class TestResponses(OpenAIContract):
    """The Responses interface."""

    __test__ = True
    api = "responses"


class TestCompatibleServer(OpenAIContract):
    """A server that speaks Chat Completions, under a name of its own."""

    __test__ = True
    model = "qwen3"
    embedding_model = "nomic-embed-text"

    @pytest.fixture
    def backend(self):
        with FarEnd(speak_openai) as far:
            backend = OpenAI(name="ollama", base_url=f"{far.url}/v1")
            yield backend
            backend.close()


class Azure(OpenAIContract):
    """Azure's v1 route, where both interfaces are."""

    __test__ = False

    @pytest.fixture
    def backend(self):
        with FarEnd(speak_openai) as far:
            backend = OpenAI(name="azure", base_url=far.url, api_key="azure-key", api=self.api)
            yield backend
            assert all(received.target.startswith("/openai/v1/") for received in far.requests)
            assert all(received.headers["api-key"] == "azure-key" for received in far.requests)
            backend.close()


class TestAzureChat(Azure):
    """Chat Completions at Azure."""

    __test__ = True


class TestAzureResponses(Azure):
    """The Responses interface at Azure."""

    __test__ = True
    api = "responses"
