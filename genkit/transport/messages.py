"""What goes onto the wire and what comes back whole: `HttpRequest` and `HttpResponse`, and the check of both."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from ..errors import BadResponse, ConfigError

__all__ = [
    "Admit",
    "HttpRequest",
    "HttpResponse",
    "Target",
    "is_public",
    "lower_headers",
    "masked",
    "masked_bytes",
    "masked_url",
    "quoted_url",
    "refuse_redirect",
    "target_of",
    "wire_headers",
]

Admit: TypeAlias = Callable[[str, Sequence[str]], None]

# What may be shown, of headers and of queries. Anything else may be a credential, whatever its name is.
_PUBLIC = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "content-encoding", "content-length", "content-type", "date"),
        *("host", "http-referer", "traceparent", "user-agent", "x-client-request-id", "x-request-id", "x-title"),
        *("anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project"),
        *("x-amz-content-sha256", "x-amz-date", "x-amz-target", "x-goog-api-client", "x-goog-user-project"),
        *("after", "alt", "api-version", "before", "include", "limit", "model", "order", "pagesize", "version"),
    }
)
# A shorter value is no secret of weight, and would cut ordinary words out of messages.
_SHORTEST_SECRET = 8
_URL = re.compile(r"[!-~]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """One HTTP request, ready to send.

    Attributes:
        url: Absolute and percent-encoded; it is sent byte for byte (without a fragment or an empty query).
        headers: Sent as they are; `host`, `content-length`, `accept` and `accept-encoding` are added where missing.
        content: The body.
        method: The HTTP method.
    """

    url: str
    headers: Mapping[str, str]
    content: bytes = b""
    method: str = "POST"

    def __repr__(self) -> str:
        shown = {name: value if is_public(name) or not value else "***" for name, value in self.headers.items()}
        return (
            f"HttpRequest({self.method} {masked_url(self.url)}, headers={shown!r}, content=<{len(self.content)} bytes>)"
        )

    def secrets(self) -> tuple[str, ...]:
        """Return the values in it that nobody should see, the longest first."""
        found = [value for name, value in self.headers.items() if not is_public(name)]
        # "Bearer KEY", of which the key may turn up alone.
        found += [value.partition(" ")[2] for value in found]
        query = urlsplit(self.url).query
        for name, value in parse_qsl(query, keep_blank_values=True):
            found += [] if is_public(name) else [value or name, quote(value or name, safe="")]
        return tuple(sorted({value for value in found if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True))


def is_public(name: str) -> bool:
    """Return whether the value of a header or of a query's parameter may be shown: that of no other may."""
    return name.lower() in _PUBLIC


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text that may quote the far end, which may have sent a credential back, without that."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def masked_bytes(content: bytes, secrets: Iterable[str]) -> bytes:
    """Do what `masked` does."""
    for secret in secrets:
        content = content.replace(secret.encode(), b"***")
    return content


def masked_url(url: str) -> str:
    """Return a URL for people to see: without a user's name and password, and with what is public of its query."""
    url = re.sub(r"//[^/?#]*@", "//***@", url).partition("#")[0]
    address, mark, query = url.partition("?")
    return f"{address}{mark}{re.sub(r'[^&;]+', _masked_parameter, query)}"


def _masked_parameter(match: re.Match[str]) -> str:
    name, sign, value = match[0].partition("=")
    if not sign:
        return name if is_public(name) else "***"
    return f"{name}={value if is_public(name) or not value else '***'}"


def quoted_url(url: str) -> str:
    """Return a URL that cannot be used as an error message may quote it: not at all if it may hold a password."""
    # Where such a password ends cannot be told: a "/", "?" or "#" in it ends the authority.
    return "(not shown, because of its '@')" if "@" in url else repr(masked_url(url)[:60])


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One whole HTTP response of any status.

    Attributes:
        status: The HTTP status; 4xx and 5xx are answers like any other here.
        headers: By lower-case name; repeated ones are joined with ", ".
        content: The body, its content-encoding undone.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Target(NamedTuple):
    """Where a request goes: the parts of its URL, none of them re-encoded."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def where(self) -> str:
        """Host and port as error messages name them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@functools.lru_cache(maxsize=512)
def target_of(url: str) -> Target:
    """Return where `url` leads.

    Raises:
        ConfigError: If it is not an absolute, percent-encoded http(s) URL.
    """
    if not _URL.fullmatch(url):
        raise ConfigError(f"the URL {quoted_url(url)} holds a space or a non-ASCII character: percent-encode it")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # Its own words may quote a password.
        raise ConfigError(f"the URL {quoted_url(url)} is malformed: check its host and port") from None
    if parts.scheme not in _PORTS or not host:
        raise ConfigError(f"the URL {quoted_url(url)} is not absolute: write it as https://host/path")
    if "@" in parts.netloc:
        raise ConfigError(f"the URL of host {host!r} holds a user or password: pass credentials as a header")
    # Cut from the string itself, so that it stays as it is; a bare "?" is dropped, because aiohttp cannot send it.
    path = url[len(parts.scheme) + len("://") + len(parts.netloc) :].partition("#")[0].removesuffix("?")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path if path.startswith("/") else f"/{path}")


def wire_headers(request: HttpRequest, target: Target) -> list[tuple[str, str]]:
    """Return the headers as they are sent, the same on every engine.

    Raises:
        ConfigError: If a name or value cannot stand in a header, as an API key with a line break cannot.
    """
    given: set[str] = set()
    headers: list[tuple[str, str]] = []
    for name, value in request.headers.items():
        lower = _lower_name(name)
        if not (value.isascii() and (value.isprintable() or value.replace("\t", "").isprintable())):
            raise ConfigError(
                f"the value of header {name!r} holds a line break or a character outside ASCII: "
                "check the key or setting it comes from for stray characters"
            )
        given.add(lower)
        if lower != "content-length":
            headers.append((name, value))
    if "transfer-encoding" in given:
        raise ConfigError("the header 'transfer-encoding' is set by the transport alone: leave it out")
    if "host" not in given:
        headers.insert(0, ("host", target.where))
    if "accept" not in given:
        headers.append(("accept", "*/*"))
    if "accept-encoding" not in given:
        headers.append(("accept-encoding", "gzip, deflate"))
    if request.content or request.method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
        headers.append(("content-length", str(len(request.content))))
    return headers


@functools.lru_cache(maxsize=512)
def _lower_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ConfigError(f"the header name {name!r} is not allowed in HTTP")
    return name.lower()


def lower_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return response headers by lower-case name, repeated ones joined."""
    headers: dict[str, str] = {}
    for given, value in pairs:
        name = given.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def refuse_redirect(status: int, headers: Mapping[str, str], target: Target) -> None:
    """Raise `BadResponse` for a status that is not a final answer.

    A redirect is not followed: it would carry the key and the prompt to another host.
    """
    if 200 <= status < 300 or 400 <= status < 600:
        return
    location = headers.get("location")
    if 300 <= status < 400 and location is not None:
        try:
            goal = urlsplit(location).netloc.rpartition("@")[2] or target.where
        except ValueError:
            goal = "an unreadable address"
        message = (
            f"{target.where} redirects to {goal}, which genkit does not follow (key and prompt would go along): "
            "set base_url to the final address, and check http against https"
        )
    else:
        message = f"{target.where} answered with a status that is no answer to an API call: check base_url"
    raise BadResponse(message, status=status, sent=True, request_id=headers.get("x-request-id"))
