"""Fetching files over our own transport: no credentials, checked addresses, bounded in size and time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Literal
from urllib.parse import urljoin

from .. import mime as types
from ..errors import BadResponse, ConfigError, GenkitError, InvalidRequest, ServerError, StreamClosed, Timeout
from ..transport import Abort, HttpRequest, Transport
from ..types import FetchPolicy, Media, Request, Timeouts
from .guard import NotAdmitted, check_addresses, check_url, refusal, shown, unusable
from .parts import Fetched, fill, unpacked

__all__ = ["Fetcher", "policy_of"]

_AT_ONCE = 4
_HEADERS = {"accept-encoding": "identity", "user-agent": "genkit-llm"}
_PASSING = frozenset({408, 425, 429})


def policy_of(fetch: object, *, backend: str) -> FetchPolicy | Literal[False]:
    """Return what a constructor's `fetch=` means.

    Raises:
        ConfigError: If it is neither a policy nor a bool.
    """
    if fetch is False or isinstance(fetch, FetchPolicy):
        return fetch
    if fetch is not True:
        raise ConfigError(f"fetch={fetch!r:.80} must be a FetchPolicy, True or False", backend=backend)
    return FetchPolicy()


class Fetcher:
    """Fetches the media of requests.

    Args:
        transport: Its proxies and certificates are used, never its `http_client`, whose headers may hold credentials.
        policy: What may be fetched.
    """

    def __init__(self, transport: Transport, policy: FetchPolicy) -> None:
        self._policy = policy
        self._transport = transport.guarded(
            lambda _, addresses: check_addresses(addresses, policy), max_bytes=policy.max_bytes
        )

    def fill(self, request: Request, wanted: Sequence[Media], *, abort: Abort | None = None) -> Request:
        """Return the request with bytes in place of the URLs of `wanted`, each fetched once.

        What it took is taken off the request's total time.

        Raises:
            GenkitError: Naming the URL without its query; nothing has reached the vendor.
        """
        limits = _Limits(request.settings.timeout, self._policy)
        files, urls = _split(wanted)
        if len(urls) == 1:
            files[urls[0]] = self._one(urls[0], limits, abort or Abort())
        elif urls:
            files.update(zip(urls, self._several(urls, limits, abort), strict=True))
        return limits.taken_off(fill(request, wanted, files))

    async def afill(self, request: Request, wanted: Sequence[Media]) -> Request:
        """Async twin of `fill`."""
        limits = _Limits(request.settings.timeout, self._policy)
        files, urls = _split(wanted)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(url: str) -> Fetched:
            async with gate:
                return await self._aone(url, limits)

        tasks = [asyncio.ensure_future(one(url)) for url in urls]
        try:
            files.update(zip(urls, await asyncio.gather(*tasks), strict=True))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return limits.taken_off(fill(request, wanted, files))

    def close(self) -> None:
        """Close the connections of threads."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections of threads and of the running event loop."""
        await self._transport.aclose()

    def _several(self, urls: Sequence[str], limits: _Limits, abort: Abort | None) -> list[Fetched]:
        aborts = [Abort() for _ in urls]

        def end() -> None:
            for one in aborts:
                one.close()

        if abort is not None:
            abort.bind(end)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="genkit-fetch") as pool:
            futures = [pool.submit(self._one, url, limits, one) for url, one in zip(urls, aborts, strict=True)]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                end()
                raise
            if failure := _first_failure(futures, done):
                end()
                raise failure
            return [future.result() for future in futures]

    def _one(self, url: str, limits: _Limits, abort: Abort) -> Fetched:
        visit = _Visit(url, self._policy, limits)
        try:
            while True:
                http, timeouts = visit.step(self._transport)
                with self._transport.open(http, timeouts, abort=abort) as stream:
                    if visit.arrived(stream.status, stream.headers):
                        return visit.done(stream.read())
        except GenkitError as error:
            raise visit.failed(error) from error

    async def _aone(self, url: str, limits: _Limits) -> Fetched:
        visit = _Visit(url, self._policy, limits)
        try:
            while True:
                http, timeouts = visit.step(self._transport)
                async with await self._transport.aopen(http, timeouts) as stream:
                    if visit.arrived(stream.status, stream.headers):
                        return visit.done(await stream.read())
        except GenkitError as error:
            raise visit.failed(error) from error


def _split(wanted: Sequence[Media]) -> tuple[dict[str, Fetched], list[str]]:
    """Return what data URIs among the URLs hold, and those to fetch."""
    urls = list(dict.fromkeys(part.url for part in wanted if part.url is not None))
    inline = {url: unpacked(url) for url in urls if url[:5].lower() == "data:"}
    return inline, [url for url in urls if url not in inline]


def _first_failure(futures: Sequence[Future[Fetched]], done: set[Future[Fetched]]) -> BaseException | None:
    failures = (future.exception() for future in futures if future in done)
    return next((failure for failure in failures if failure is not None), None)


class _Limits:
    """The time of one call: what is left of its total, and of each file's own limit."""

    def __init__(self, timeouts: Timeouts, policy: FetchPolicy) -> None:
        self._timeouts = timeouts
        self._file_s = policy.timeout
        self._started = time.monotonic()

    def left(self) -> float:
        """Return the seconds left of the call; infinite without a limit.

        Raises:
            Timeout: If there are none.
        """
        total = self._timeouts.total
        left = math.inf if total is None else total - (time.monotonic() - self._started)
        if left <= 0:
            raise Timeout("the call's total time went into fetching its media: raise timeout=, or pass bytes")
        return left

    def begin(self) -> float:
        """Return when a file that is begun now must be there."""
        return time.monotonic() + self._file_s

    def step(self, until: float) -> Timeouts:
        """Return the limits of one request for a file that must be there by then."""
        left = min(self.left(), until - time.monotonic())
        if left <= 0:
            raise Timeout("it took too long", phase="first")
        return Timeouts(connect=self._timeouts.connect, first=None, idle=None, total=left)

    def taken_off(self, request: Request) -> Request:
        """Return the request with what is left of its total time."""
        if self._timeouts.total is None:
            return request
        timeouts = self._timeouts.model_copy(update={"total": self.left()})
        return request.model_copy(update={"settings": request.settings.model_copy(update={"timeout": timeouts})})


class _Visit:
    """One file on its way: where it is sought, and what each answer means. No I/O."""

    def __init__(self, url: str, policy: FetchPolicy, limits: _Limits) -> None:
        self._asked = self._url = url
        self._policy = policy
        self._limits = limits
        self._until = limits.begin()
        self._redirects = policy.redirects
        self._said = ""

    def step(self, transport: Transport) -> tuple[HttpRequest, Timeouts]:
        """Return the next request, after a check of where it goes."""
        check_url(self._url, self._policy)
        if not self._policy.through_proxy and (proxy := transport.proxy_of(self._url)) is not None:
            why = f"the proxy {proxy} would look its name up, where the address cannot be checked"
            raise refusal(self._url, f"{why}; add the host to NO_PROXY, or allow it by FetchPolicy(through_proxy=True)")
        return HttpRequest(url=self._url, headers=_HEADERS, method="GET"), self._limits.step(self._until)

    def arrived(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the head is that of the file, and not of a redirect to follow.

        Raises:
            GenkitError: If it is that of something else.
        """
        if 300 <= status < 400 and "location" in headers:
            self._redirect(headers["location"])
            return False
        if status != 200:
            message = f"{shown(self._url)} cannot be fetched: its host answered with status {status}"
            if status >= 500 or status in _PASSING:
                raise ServerError(message, status=status)
            raise InvalidRequest(f"{message}; open it to the public, or pass the bytes", status=status)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._policy.max_bytes:
            raise self._too_large(f"it has {length} bytes")
        self._said = types.plain(headers.get("content-type", ""))
        return True

    def done(self, data: bytes) -> Fetched:
        """Return the file.

        Raises:
            InvalidRequest: If there is nothing in it.
        """
        if not data:
            raise unusable(self._asked, "it is empty")
        return Fetched(data, self._said)

    def _redirect(self, location: str) -> None:
        try:
            goal = urljoin(self._url, location)
        except ValueError:
            raise refusal(self._asked, f"it redirects to {shown(location)}, which is malformed") from None
        if self._redirects == 0:
            way_out = "pass that URL, or allow it by FetchPolicy(redirects=3)" if not self._policy.redirects else ""
            raise refusal(self._asked, f"it redirects to {shown(goal)}; {way_out or 'there are too many redirects'}")
        if self._url.lower().startswith("https:") and not goal.lower().startswith("https:"):
            raise refusal(self._asked, f"it redirects from https to {shown(goal)}")
        self._redirects -= 1
        self._url = goal

    def _too_large(self, what: str) -> InvalidRequest:
        return refusal(self._asked, f"{what}, more than FetchPolicy(max_bytes={self._policy.max_bytes})")

    def failed(self, error: GenkitError) -> GenkitError:
        """Return an error of the transport as one of this file; nothing of it has reached the vendor."""
        if isinstance(error, NotAdmitted):
            return refusal(self._url, error.message)
        if isinstance(error, InvalidRequest | ServerError | StreamClosed):
            return error
        where = f"{shown(self._url)} cannot be fetched"
        if isinstance(error, Timeout):
            self._limits.left()
            limit = f"FetchPolicy(timeout={self._policy.timeout:g})"
            return Timeout(f"{where} within {limit}: {error.message}", phase="first")
        if isinstance(error, BadResponse) and "exceeds the limit" in error.message:
            return self._too_large("it is larger")
        return type(error)(f"{where}: {error.message}")
