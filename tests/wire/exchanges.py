"""Recorded requests through the real backend, over a real socket, to the replay server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from genkit.backends.base import Backend
from genkit.backends.openai import OpenAI
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import GenkitError, Unsupported
from genkit.policies import Retry
from genkit.transport import HttpRequest
from genkit.types import (
    CallWarning,
    Done,
    Embeddings,
    EmbedRequest,
    Event,
    Message,
    Part,
    Request,
    Response,
    ToolResult,
)

from . import cassettes
from .cassettes import Interaction
from .requests import NotYet, Translator, Vendor

__all__ = ["Conversation", "Outcome"]

JSON = dict[str, Any]


@dataclass
class Outcome:
    """What came of one call.

    Attributes:
        events: Of a stream, in order, `Done` included.
        sent: The body that reached the server, None if none did.
        path: Where it was sent to, and `headers` the names of its headers.
    """

    response: Response[Any] | None = None
    embeddings: Embeddings | None = None
    error: GenkitError | None = None
    events: list[Event] = field(default_factory=list)
    sent: JSON | None = None
    path: str = ""
    headers: frozenset[str] = frozenset()

    @property
    def refused(self) -> bool:
        """Whether genkit knew that the request asks for what is not there, and sent nothing."""
        return self.sent is None and isinstance(self.error, Unsupported)


class Redirected(OpenAI):
    """The backend as it is at home, with the vendor's rules and routes; only the host is another at the last moment."""

    def __init__(self, host: str, *, name: str, api: Any) -> None:
        super().__init__(name=name, api_key="sk-recorded", base_url=cassettes.ADDRESSES[name], api=api)
        self._host = host

    @override
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return self._redirected(super().sign(wire, content))

    @override
    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return self._redirected(await super().asign(wire, content))

    def _redirected(self, request: HttpRequest) -> HttpRequest:
        path = urlsplit(request.url)._replace(scheme="", netloc="").geturl()
        return replace(request, url=self._host + path)


class Conversation:
    """One cassette: its interactions, a replay server, and a backend for each interface."""

    def __init__(self, name: str, server: Any) -> None:
        self.name = name
        self.interactions = cassettes.interactions(name)
        self._server = server
        self._backends: dict[tuple[str, str], OpenAI] = {}
        self._outcomes: dict[int, Outcome] = {}

    def replayable(self) -> list[tuple[Interaction, Request | EmbedRequest]]:
        """Return the interactions that genkit can express, as requests."""
        found = []
        for interaction in self.interactions:
            if not interaction.other:
                try:
                    found.append((interaction, self.request(interaction)))
                except NotYet:
                    continue
        return found

    def request(self, interaction: Interaction) -> Request | EmbedRequest:
        """Return the recorded request in genkit's words."""
        return self.translated(interaction)[0]

    def translated(self, interaction: Interaction) -> tuple[Request | EmbedRequest, list[str]]:
        """Return the request, and the names of what travels as `extra`."""
        translator = Translator(self.vendor(interaction.backend))
        embeds = interaction.api == "embeddings"
        made = translator.embedding(interaction) if embeds else translator.request(interaction)
        return made, translator.through_extra

    def vendor(self, name: str) -> Vendor:
        """Return how the backend marks and makes the vendor's own data."""
        probe = Request(model="gpt-4o", messages=(Message.user("?"),))
        chat, responses = self.backend(name, "chat"), self.backend(name, "responses")
        wire = responses.encode(probe, stream=False)

        def remember(items: Sequence[JSON]) -> tuple[Part, ...]:
            answer = {
                "id": "resp_0",
                "object": "response",
                "status": "completed",
                "model": "gpt-4o",
                "output": [*items],
            }
            return responses.decode(wire, answer, Exchange()).message.parts

        origin = {"chat": chat.encode(probe, stream=False).origin, "responses": wire.origin}
        return Vendor(origin=origin, extra=name, remember=remember)

    def backend(self, name: str, api: str) -> OpenAI:
        """Return the backend that speaks to the server."""
        key = (name, api if api in ("chat", "responses") else "auto")
        if key not in self._backends:
            self._backends[key] = Redirected(self._server.url, name=name, api=key[1])
        return self._backends[key]

    def outcome(self, interaction: Interaction) -> Outcome:
        """Return what came of the call as it was recorded; asked once."""
        if interaction.number not in self._outcomes:
            self._outcomes[interaction.number] = self.call(interaction)
        return self._outcomes[interaction.number]

    def call(
        self,
        interaction: Interaction,
        *,
        content: bytes | None = None,
        plain: bool = False,
        retries: int = 0,
        **faults: Any,
    ) -> Outcome:
        """Call synchronously.

        Args:
            interaction: What to replay.
            content: Another body in place of the recorded one.
            plain: Whether that body is JSON, whatever was recorded.
            retries: How often the policy may repeat.
            faults: Of the replay server: split, cut_after, fail_first, retry_after.
        """
        outcome = Outcome()
        with self._serving(cassettes.served(interaction, content, plain=plain), faults, outcome):
            self._ask(interaction, outcome, retries)
        return outcome

    def _ask(self, interaction: Interaction, outcome: Outcome, retries: int = 0) -> None:
        request = self.request(interaction)
        backend: Backend = self.backend(interaction.backend, interaction.api)
        if retries:
            backend = Retry(backend, retries=retries, first_wait=0.001)
        if isinstance(request, EmbedRequest):
            outcome.embeddings = backend.embed(request)
        elif _streams(interaction):
            for event in backend.stream(request):
                _note(outcome, event)
        else:
            outcome.response = backend.generate(request)

    async def acall(self, interaction: Interaction, *, content: bytes | None = None, **faults: Any) -> Outcome:
        """Async twin of `call`."""
        request, outcome = self.request(interaction), Outcome()
        backend = self.backend(interaction.backend, interaction.api)
        with self._serving(cassettes.served(interaction, content), faults, outcome):
            if isinstance(request, EmbedRequest):
                outcome.embeddings = await backend.aembed(request)
            elif _streams(interaction):
                async for event in backend.astream(request):
                    _note(outcome, event)
            else:
                outcome.response = await backend.agenerate(request)
        return outcome

    def acalls(self, wanted: Iterable[tuple[Interaction, JSON]]) -> list[Outcome]:
        """Run several async calls one after another, in one event loop."""

        async def run() -> list[Outcome]:
            outcomes = [await self.acall(interaction, **options) for interaction, options in wanted]
            for backend in self._backends.values():
                await backend.aclose()
            return outcomes

        return asyncio.run(run())

    @contextmanager
    def _serving(self, cassette: JSON, faults: JSON, outcome: Outcome) -> Iterator[None]:
        self._server.fault = cassettes.replay_server().Fault(**faults)
        self._server.load(cassette)
        try:
            yield
        except GenkitError as error:
            outcome.error = error
        finally:
            if self._server.journal:
                entry = self._server.journal[-1]
                outcome.sent, outcome.path, outcome.headers = entry["body"], entry["path"], frozenset(entry["headers"])

    def again(self, interaction: Interaction) -> Outcome:
        """Ask once more without loading the recording anew: what follows an injected failure."""
        outcome = Outcome()
        try:
            self._ask(interaction, outcome)
        except GenkitError as error:
            outcome.error = error
        return outcome

    def warnings(self, interaction: Interaction) -> Sequence[CallWarning]:
        """Return what genkit says it does not send as asked."""
        request, backend = self.request(interaction), self.backend(interaction.backend, interaction.api)
        if isinstance(request, EmbedRequest):
            return ()
        return backend.plan(request, stream=_streams(interaction)).warnings

    def turn(self, interaction: Interaction, request: Request, answer: Message) -> list[JSON]:
        """Return how an answer is sent back after the request that it answers: its messages or items."""
        backend = self.backend(interaction.backend, interaction.api)
        name = "messages" if interaction.api == "chat" else "input"
        before = backend.encode(request, stream=False).body[name]
        # A call must have its result, which is not looked at.
        results = Message.tool(*(ToolResult(id=call.id, name=call.name) for call in answer.tool_calls))
        answered = (answer, results) if results.parts else (answer,)
        longer = request.model_copy(update={"messages": (*request.messages, *answered)})
        after = backend.encode(longer, stream=False).body[name]
        if isinstance(after, list):
            after = after[: len(after) - len(results.parts)]
        # A lone user turn of Responses is a bare string.
        return list(after[1 if isinstance(before, str) else len(before) :]) if isinstance(after, list) else []

    def close(self) -> None:
        """Close the backends."""
        for backend in self._backends.values():
            backend.close()


def _streams(interaction: Interaction) -> bool:
    """Return whether to ask for a stream: as recorded, and where the answer is one."""
    return bool(interaction.asked.get("stream"))


def _note(outcome: Outcome, event: Event) -> None:
    outcome.events.append(event)
    if isinstance(event, Done):
        outcome.response = event.response
