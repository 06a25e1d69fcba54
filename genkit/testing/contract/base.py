"""How the tests ask a backend, and what a subclass says about its far end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from ...backends.base import Backend
from ...types import (
    EmbedRequest,
    Features,
    Message,
    OnUnsupported,
    Request,
    Response,
    Schema,
    ScoreRequest,
    Settings,
    Tool,
)
from .asking import SAMPLES, WEATHER

__all__ = ["Asks"]


class Asks:
    """The hooks that a subclass overrides, and the requests that the tests send."""

    model: str = "any"
    embedding_model: str | None = None
    prompt: str = "Say hello to the world, please."
    long_prompt: str = " ".join(f"number{i}" for i in range(40))
    settings: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """Give the backend under test."""
        raise NotImplementedError(f"{type(self).__name__} must give the fixture 'backend'")

    def comparable(self, response: Response[Any]) -> object:
        """Return what must be equal in two answers to the same request: all but what names the single exchange."""
        return response.model_copy(update={"id": None, "request_id": None, "timing": None})

    def stalling(self, backend: Backend) -> Request | None:  # noqa: ARG002  # subclasses script it
        """Return a request whose stream begins and then gives nothing for 10 s; None where that cannot be arranged."""
        return None

    def unknown_model(self) -> str | None:
        """Return a model that the far end does not know; None where it answers to every name."""
        return None

    def ask(
        self,
        prompt: str | None = None,
        *,
        messages: Iterable[Message] | None = None,
        tools: tuple[Tool, ...] = (),
        output_schema: Schema | None = None,
        settings: Mapping[str, Any] | None = None,
        on_unsupported: OnUnsupported = "warn",
        require: Iterable[str] = (),
    ) -> Request:
        """Return a request: the usual prompt, unless something else is said."""
        asked = (Message.user(prompt or self.prompt),) if messages is None else tuple(messages)
        return Request(
            model=self.model,
            messages=asked,
            tools=tools,
            output_schema=output_schema,
            settings=Settings(**{**self.settings, **(settings or {})}),
            on_unsupported=on_unsupported,
            require=frozenset(require),
        )

    def sampled(
        self, backend: Backend, setting: str, *, on_unsupported: OnUnsupported = "warn", require: Iterable[str] = ()
    ) -> Request:
        """Return a request with a harmless value of one setting."""
        needs_tools = setting in ("tool_choice", "parallel_tool_calls") and self.features(backend).tools
        return self.ask(
            settings=SAMPLES[setting],
            tools=(WEATHER,) if needs_tools else (),
            on_unsupported=on_unsupported,
            require=require,
        )

    def features(self, backend: Backend) -> Features:
        """Return what the backend declares for the model under test."""
        return backend.features(self.model)

    def stalled(self, backend: Backend) -> Request:
        """Return the stalling request, or skip."""
        request = self.stalling(backend)
        if request is None:
            pytest.skip("this far end cannot be made to stall")
        return request

    def embedding(self, *texts: str, dimensions: int | None = None) -> EmbedRequest:
        """Return a request for vectors."""
        return EmbedRequest(model=self.embedding_model or self.model, texts=texts, dimensions=dimensions)

    def scoring(self, *texts: str) -> ScoreRequest:
        """Return a request for likelihoods."""
        return ScoreRequest(model=self.model, texts=texts)
