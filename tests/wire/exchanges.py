"""Recorded requests through the real backend, over a real socket, to the replay server."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from genkit.backends.base import Backend
from genkit.backends.wire import WireBackend
from genkit.errors import GenkitError, Unsupported
from genkit.policies import Retry
from genkit.transport import Abort, AsyncByteStream, ByteStream, HttpRequest, HttpResponse, Transport
from genkit.types import CallWarning, Done, Embeddings, EmbedRequest, Event, Message, Request, Response, Timeouts

from . import cassettes
from .cassettes import Interaction
from .requests import NotYet
from .vendor import Translation, Vendor

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
    count: int | None = None
    error: GenkitError | None = None
    events: list[Event] = field(default_factory=list)
    sent: JSON | None = None
    path: str = ""
    headers: frozenset[str] = frozenset()

    @property
    def refused(self) -> bool:
        """Whether genkit knew that the request asks for what is not there, and sent nothing."""
        return self.sent is None and isinstance(self.error, Unsupported)


class Redirected(Transport):
    """Sends everything to another host at the last moment; the backend itself is as it is at home."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    @override
    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return super().send(self._redirected(request), timeouts)

    @override
    def open(self, request: HttpRequest, timeouts: Timeouts, *, abort: Abort | None = None) -> ByteStream:
        return super().open(self._redirected(request), timeouts, abort=abort)

    @override
    async def asend(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return await super().asend(self._redirected(request), timeouts)

    @override
    async def aopen(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream:
        return await super().aopen(self._redirected(request), timeouts)

    def _redirected(self, request: HttpRequest) -> HttpRequest:
        path = urlsplit(request.url)._replace(scheme="", netloc="").geturl()
        return replace(request, url=self._host + path)


class Conversation:
    """One cassette: its interactions, a replay server, and a backend for each place that they were sent to."""

    def __init__(self, vendor: Vendor, name: str, server: Any) -> None:
        self.vendor = vendor
        self.name = name
        self.interactions = cassettes.interactions(vendor, name)
        self._server = server
        self._backends: dict[Hashable, WireBackend] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._translations: dict[int, Translation | NotYet] = {}

    def replayable(self) -> list[tuple[Interaction, Request | EmbedRequest]]:
        """Return the interactions that genkit can express, as requests."""
        found = []
        for interaction in self.interactions:
            if not interaction.other:
                try:
                    found.append((interaction, self.translated(interaction).request))
                except NotYet:
                    continue
        return found

    def translated(self, interaction: Interaction) -> Translation:
        """Return the recorded request in genkit's words; made once."""
        if interaction.number not in self._translations:
            try:
                self._translations[interaction.number] = self.vendor.translate(interaction)
            except NotYet as missing:
                self._translations[interaction.number] = missing
        made = self._translations[interaction.number]
        if isinstance(made, NotYet):
            raise made
        return made

    def backend(self, interaction: Interaction) -> WireBackend:
        """Return the backend that speaks to the server."""
        place = self.vendor.place(interaction)
        if place not in self._backends:
            self._backends[place] = self.vendor.backend(interaction)
            self._backends[place].transport = Redirected(self._server.url)
        return self._backends[place]

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
        with self._serving(self._served(interaction, content, plain=plain), faults, outcome):
            self._ask(interaction, outcome, retries)
        return outcome

    def _served(self, interaction: Interaction, content: bytes | None, *, plain: bool = False) -> JSON:
        return cassettes.served(interaction, self.vendor.route(interaction), content, plain=plain)

    def _ask(self, interaction: Interaction, outcome: Outcome, retries: int = 0) -> None:
        request = self.translated(interaction).request
        backend: Backend = self.backend(interaction)
        if retries:
            backend = Retry(backend, retries=retries, first_wait=0.001)
        if isinstance(request, EmbedRequest):
            outcome.embeddings = backend.embed(request)
        elif interaction.counts:
            outcome.count = backend.count_tokens(request)
        elif interaction.streams:
            for event in backend.stream(request):
                _note(outcome, event)
        else:
            outcome.response = backend.generate(request)

    async def acall(self, interaction: Interaction, *, content: bytes | None = None, **faults: Any) -> Outcome:
        """Async twin of `call`."""
        request, outcome = self.translated(interaction).request, Outcome()
        backend = self.backend(interaction)
        with self._serving(self._served(interaction, content), faults, outcome):
            if isinstance(request, EmbedRequest):
                outcome.embeddings = await backend.aembed(request)
            elif interaction.counts:
                outcome.count = await backend.acount_tokens(request)
            elif interaction.streams:
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
        request = self.translated(interaction).request
        if isinstance(request, EmbedRequest):
            return ()
        return self.backend(interaction).plan(request, stream=interaction.streams).warnings

    def turn(self, interaction: Interaction, request: Request, answer: Message) -> list[JSON]:
        """Return how an answer is sent back after the request that it answers: its messages, items or contents."""
        backend, (following, pieces) = self.backend(interaction), self.vendor.following(answer)

        def encoded(*more: Message) -> list[JSON] | None:
            longer = request.model_copy(update={"messages": (*request.messages, *more)})
            return self.vendor.turns(interaction.api, backend.encode(longer, stream=False).body)

        before, after = encoded(), encoded(answer, *following)
        if after is None:
            return []
        # A conversation that is no list is a lone turn.
        return after[1 if before is None else len(before) : len(after) - pieces]

    def close(self) -> None:
        """Close the backends."""
        for backend in self._backends.values():
            backend.close()


def _note(outcome: Outcome, event: Event) -> None:
    outcome.events.append(event)
    if isinstance(event, Done):
        outcome.response = event.response
