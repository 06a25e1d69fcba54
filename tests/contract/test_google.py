"""The contract, on Google's two doors against a far end on loopback, through real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from genkit.backends.base import Backend
from genkit.backends.google import Google
from genkit.testing import BackendContract
from genkit.types import Request
from tests.contract.google_farend import KEY, LOCATION, PROJECT, STALL, TOKEN, UNKNOWN, speak_google
from tests.farend import FarEnd


class Credentials:
    """What a token of google-auth looks like that nobody has to renew."""

    valid, token, expiry, requires_scopes = True, TOKEN, None, False

    def refresh(self, request: Any) -> None:
        raise AssertionError("a token that does not end is not renewed")


class GoogleContract(BackendContract):
    """What the two doors share."""

    __test__ = False
    model = "gemini-2.5-flash"
    embedding_model = "gemini-embedding-001"

    def make(self, url: str) -> Google:
        return Google(base_url=url, api_key=KEY)

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        with FarEnd(speak_google) as far:
            backend = self.make(far.url)
            yield backend
            backend.close()

    def unknown_model(self) -> str:
        return UNKNOWN

    def stalling(self, backend: Backend) -> Request:
        return self.ask(f"{STALL} after a few of these words, please.")


class TestGemini(GoogleContract):
    """The Gemini API."""

    __test__ = True


class TestGemini3(GoogleContract):
    """Its newest models, with other rules."""

    __test__ = True
    model = "gemini-3.8-flash"
    embedding_model = "gemini-embedding-2"


class TestVertex(GoogleContract):
    """Vertex AI, whose embeddings take two routes."""

    __test__ = True
    embedding_model = "text-embedding-005"

    def make(self, url: str) -> Google:
        return Google(name="vertex", base_url=url, project=PROJECT, location=LOCATION, credentials=Credentials())


class TestVertex3(TestVertex):
    """Its newest models."""

    model = "gemini-3-flash-preview"
    embedding_model = "gemini-embedding-2"
