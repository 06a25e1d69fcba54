"""Backends that speak HTTP: translate purely, send thinly.

A subclass writes pure functions (`encode`, `decode`, a `Decoder`, `failure`) and `sign`, which adds address and
credential. Here is the rest, once for all of them: sending, reading streams, errors, and what a cut or left stream
means.
"""

from __future__ import annotations

import abc
import functools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

from typing_extensions import override

from ..errors import (
    GenkitError,
)
from ..events import dump_json
from ..media import Fetcher, by_url, held_places, show_places
from ..transport import Abort, HttpRequest, HttpResponse, Transport
from ..transport.messages import masked, masked_bytes, masked_url
from ..transport.sse import SSEParser
from ..transport.waiting import in_thread
from ..types import Event, FetchPolicy, Health, Media, Plan, Request, Response, Timeouts, Timing
from .base import Backend
from .body import body_bytes, first_words, misshapen, parse_object, shortened
from .health import examined
from .reading import AsyncWireStream, WireStream
from .signing import Tries, asign_in_time, sign_in_time
from .translation import Decoder, Exchange, WireRequest

__all__ = [
    "Decoder",
    "Exchange",
    "WireBackend",
    "WireRequest",
    "body_bytes",
    "first_words",
    "parse_object",
    "shortened",
]

JSON = dict[str, Any]


class WireBackend(Backend):
    """Base of the backends behind HTTP.

    Attributes:
        transport: How it sends.
        fetch: What may be fetched for it where it takes no URL; False for nothing. Set by the constructor.
    """

    transport: Transport
    fetch: FetchPolicy | Literal[False] = FetchPolicy()

    @abc.abstractmethod
    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        """Translate a request. Pure; raises `Unsupported` or `InvalidRequest` for what cannot be sent."""

    @abc.abstractmethod
    def decode(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        """Translate a whole answer. Pure."""

    @abc.abstractmethod
    def decoder(self, wire: WireRequest) -> Decoder:
        """Return a fresh decoder for one stream."""

    @abc.abstractmethod
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        """Translate an HTTP error. Pure."""

    @abc.abstractmethod
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        """Add base URL and credential. May block to refresh a token; what waits for it is held to the time limits."""

    @abc.abstractmethod
    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        """Return URL and headers for `plan`, with names in place of secrets; works without a credential."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the vendor's id of the request, out of the answer's headers (names in lower case)."""
        return headers.get("x-request-id")

    def parser(self) -> Any:
        """Return the framing of this vendor's streams: `feed(bytes)` gives frames for the decoder.

        One with `rest()` says what to feed it at the end of a body, so that what is left in it is a frame.
        """
        return SSEParser()

    def parsed(self, content: bytes, headers: Mapping[str, str], request: HttpRequest | None) -> JSON:
        """Return the JSON object of an answer with status 200; one that is anything else is a `BadResponse`."""
        return parse_object(content, headers, request_id=self.request_id(headers), request=request)

    def may_wait(self) -> bool:
        """Whether `sign` may wait now: for a token to be fetched, or for a function of the user's.

        It runs in a thread then, within the time limits of the call; a backend that says no, where it can, saves that.
        """
        return True

    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        """Async twin of `sign`; one that may block moves to a thread here."""
        return self.sign(wire, content)

    def renews(self, request: HttpRequest, error: GenkitError) -> bool:  # noqa: ARG002  # for those that do
        """Give up the credential that the far end refused; return whether `sign` may have another, to try once more.

        Args:
            request: What was refused, as it was signed.
            error: The refusal, an `AuthenticationFailed`.
        """
        return False

    # ------------------------------------------------------------ media by URL

    def fetches(self, part: Media, model: str) -> bool:  # noqa: ARG002  # for those that do
        """Return whether this backend cannot take the part's URL, and wants the bytes instead. Pure."""
        return False

    def wanted(self, request: Request) -> list[Media]:
        """Return the parts whose URLs `fetches` wants replaced, as far as the policy lets them be."""
        found = by_url(request.messages)
        if not found:
            return found
        return [
            part
            for part in found
            if (self.fetch or (part.url or "")[:5].lower() == "data:") and self.fetches(part, request.model)
        ]

    def fetched(self, request: Request, *, abort: Abort | None = None) -> Request:
        """Return the request with the bytes of its `wanted` media: what comes before each `encode` of a call."""
        wanted = self.wanted(request)
        return self._fetcher.fill(request, wanted, abort=abort) if wanted else request

    async def afetched(self, request: Request) -> Request:
        """Async twin of `fetched`."""
        wanted = self.wanted(request)
        return await self._fetcher.afill(request, wanted) if wanted else request

    @functools.cached_property
    def _fetcher(self) -> Fetcher:
        return Fetcher(self.transport, self.fetch or FetchPolicy())

    @override
    def plan(self, request: Request, *, stream: bool = False) -> Plan:
        wanted = self.wanted(request)
        policy = self.fetch or FetchPolicy()
        request, marks, notes = held_places(request, wanted, policy) if wanted else (request, {}, [])
        wire = self.encode(request, stream=stream)
        body_bytes(wire.body)  # raises for what could not be sent
        url, headers = self.placeholders(wire)
        return Plan(
            backend=self.name,
            api=wire.api,
            url=masked_url(url),
            headers={**headers},
            body=show_places(wire.body, marks) if marks else wire.body,
            warnings=(*wire.warnings, *notes),
        )

    def probe(self) -> WireRequest:
        """Return a request that costs nothing and shows whether the far end takes the credential."""
        return WireRequest(path="", body={}, model="", api="", origin="", method="GET")

    def probe_answers(self) -> Mapping[int, Literal["ready", "configured"]]:
        """Return what statuses mean beside success, where they come with JSON and no credential is refused by them.

        "ready" where the far end says so after a look at the credential, "configured" where it may lack the probe's
        route; any other failure is one.
        """
        return {}

    @override
    async def aupload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:
        # In a thread of its own, for which neither a cancelled task nor the end of the loop waits.
        work = functools.partial(self.upload, part, model, timeouts=timeouts, retries=retries)
        return await in_thread(work, name="genkit-upload")

    @override
    def health(self, *, online: bool = True, model: str | None = None) -> Health:
        return examined(self, online=online)

    # ------------------------------------------------------------ one exchange

    def exchange(self, wire: WireRequest) -> tuple[JSON, Exchange]:
        """Send and return the JSON answer; every call that is not a stream goes through here."""
        started, clock = time.time(), time.perf_counter()
        http: HttpRequest | None = None
        try:
            tries, content = Tries(self, wire), body_bytes(wire.body)
            while True:
                http, limits = sign_in_time(self, tries.wire, content)
                tries.signed(http)
                reply = self.transport.send(http, limits)
                if reply.status < 400:
                    return self._read(reply, http, started, clock)
                tries.failed(reply.status, reply.headers, reply.content, http)
        except GenkitError as error:
            self.name_error(error, http)
            raise

    async def aexchange(self, wire: WireRequest) -> tuple[JSON, Exchange]:
        """Async twin of `exchange`."""
        started, clock = time.time(), time.perf_counter()
        http: HttpRequest | None = None
        try:
            tries, content = Tries(self, wire), body_bytes(wire.body)
            while True:
                http, limits = await asign_in_time(self, tries.wire, content)
                tries.signed(http)
                reply = await self.transport.asend(http, limits)
                if reply.status < 400:
                    return self._read(reply, http, started, clock)
                tries.failed(reply.status, reply.headers, reply.content, http)
        except GenkitError as error:
            self.name_error(error, http)
            raise

    def _read(self, reply: HttpResponse, http: HttpRequest, started: float, clock: float) -> tuple[JSON, Exchange]:
        total = time.perf_counter() - clock
        data = self.parsed(reply.content, reply.headers, http)
        return data, Exchange(reply.headers, Timing(started, total, total), http)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, http: HttpRequest) -> GenkitError:
        """Return `failure` of a body that may quote the request, without the request's secrets."""
        # Here already: once a body is cut, half a key would be left at its end.
        error = self.failure(status, headers, masked_bytes(body, http.secrets()))
        self.name_error(error, http)
        return error

    def name_error(self, error: GenkitError, request: HttpRequest | None) -> None:
        """Give an error that leaves here its backend, and a message without secrets that is no longer than is read."""
        error.backend = error.backend or self.name
        secrets = () if request is None else request.secrets()
        error.code = error.code and masked(error.code, secrets)
        message = shortened(masked(error.message, secrets))
        if message != error.message:
            error.message, error.args = message, (message, *error.args[1:])

    # ------------------------------------------------------------ the four ways to ask

    @override
    def generate(self, request: Request) -> Response[Any]:
        wire = self.encode(self.fetched(request), stream=False)
        data, exchange = self.exchange(wire)
        return self.decoded(wire, data, exchange)

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        wire = self.encode(await self.afetched(request), stream=False)
        data, exchange = await self.aexchange(wire)
        return self.decoded(wire, data, exchange)

    def decoded(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        """Decode, with every failure typed and named."""
        try:
            return self.decode(wire, data, exchange)
        except GenkitError as error:
            self.name_error(error, exchange.request)
            raise
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            wrong = misshapen(error, dump_json(data).encode(), exchange.request)
            wrong.request_id = self.request_id(exchange.headers)
            self.name_error(wrong, exchange.request)
            raise wrong from error

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        return WireStream(self, request if self.wanted(request) else self.encode(request, stream=True))

    @override
    def astream(self, request: Request) -> AsyncIterator[Event]:
        return AsyncWireStream(self, request if self.wanted(request) else self.encode(request, stream=True))

    @override
    def close(self) -> None:
        self.transport.close()
        if "_fetcher" in self.__dict__:
            self._fetcher.close()

    @override
    async def aclose(self) -> None:
        await self.transport.aclose()
        self.transport.close()
        if "_fetcher" in self.__dict__:
            await self._fetcher.aclose()
