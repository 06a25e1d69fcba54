"""The contract, on Bedrock's backend against a far end on loopback that checks every signature."""

from __future__ import annotations

import pytest

from genkit.backends.base import Backend
from genkit.backends.bedrock import Bedrock
from genkit.testing import BackendContract
from genkit.types import Request
from tests.contract.bedrock_farend import ACCESS, KEY, REGION, SECRET, STALL, TOKEN, UNKNOWN, speak_bedrock
from tests.farend import FarEnd


class BedrockContract(BackendContract):
    """What all models and ways to sign in share."""

    __test__ = False
    embedding_model = "amazon.titan-embed-text-v2:0"

    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            yield backend
            backend.close()

    def unknown_model(self) -> str:
        return UNKNOWN

    def stalling(self, backend: Backend) -> Request:
        return self.ask(f"{STALL} after a few of these words, please.")


class TestClaude(BedrockContract):
    """A model with a schema of the service's own, tools and reasoning, through an inference profile."""

    __test__ = True
    model = "us.anthropic.claude-sonnet-4-6"
    embedding_model = "us.cohere.embed-v4:0"


class TestOlderClaude(BedrockContract):
    """A model with a budget for reasoning, and a forced tool for schemas."""

    __test__ = True
    model = "anthropic.claude-3-7-sonnet-20250219-v1:0"
    embedding_model = "cohere.embed-english-v3"


class TestNova(BedrockContract):
    """A model that sees films, by its ARN."""

    __test__ = True
    model = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0"
    embedding_model = "amazon.nova-2-multimodal-embeddings-v1:0"


class TestUnknownWithAKey(BedrockContract):
    """A profile whose name says nothing of its model, with an API key in place of a signature."""

    __test__ = True
    model = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"

    @pytest.fixture
    def backend(self):
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION, api_key=KEY)
            yield backend
            backend.close()
