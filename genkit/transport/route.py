"""How a host is reached: directly or through which proxy. Decided here once, for every engine alike."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from .messages import Target

__all__ = ["Proxy", "Route", "bypasses", "parse_proxy"]


_PROXY_FORM = "write http://user:password@host:port, with every / ? # : @ [ ] in user and password percent-encoded"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: Its host, without brackets.
        port: Its port.
        authorization: The value of its Proxy-Authorization header, or None.
    """

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.where})"

    @property
    def where(self) -> str:
        """Host and port as error messages name them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address without user and password."""
        return f"http://{self.where}"


def parse_proxy(url: str, *, source: str) -> Proxy:
    """Return the proxy at `url`.

    Args:
        url: As `http://user:password@host:port`; a missing scheme means http.
        source: Where the URL comes from, for the error message.

    Raises:
        ConfigError: If it is not the address of an HTTP proxy.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        scheme, url = "http", f"http://{url}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise ConfigError(f"{source} is not a proxy address: {_PROXY_FORM}")
    if scheme.lower() != "http":
        kind = "a SOCKS proxy" if scheme.lower().startswith("socks") else f"a proxy reached over {scheme!r}"
        raise ConfigError(
            f"{source} names {kind}, which genkit does not speak: use an http:// proxy, list the host in NO_PROXY, "
            "or pass http_client=httpx.Client(proxy=...)"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        # Its own words may quote a password.
        raise ConfigError(f"{source} is not a proxy address, or its port is no number: {_PROXY_FORM}") from None
    if "@" in url and "@" not in parts.netloc:
        raise ConfigError(f"{source} has an '@' outside of its user and password: {_PROXY_FORM}")
    if not host or not host.isascii():
        raise ConfigError(f"{source} has no usable host: write http://host:port")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return Proxy(host, port, authorization)


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Return whether the list `no_proxy` exempts a host from the proxy.

    An entry is `*`, a domain (with all below it; a leading `.` or `*.` is allowed), an IP address or a network in
    CIDR notation, each but the last with an optional `:port`.
    """
    host = host.lower().rstrip(".")
    address = _address(host)
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        name, entry_port = _split_port(entry)
        if not name or (entry_port is not None and entry_port != port):
            continue
        if name == "*":
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(name, strict=False):
                    return True
            except ValueError:
                continue
        else:
            domain = name.removeprefix("*").strip(".")
            if domain and (host == domain or host.endswith(f".{domain}")):
                return True
    return False


class Route:
    """The choice of proxy for each host.

    Args:
        proxy: A proxy for every host; it comes before the environment and its NO_PROXY.
        trust_env: Whether HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are heeded.
        environ: Where they are read.

    Raises:
        ConfigError: If `proxy` is not the address of an HTTP proxy.
    """

    def __init__(self, *, proxy: str | None, trust_env: bool, environ: Mapping[str, str] = os.environ) -> None:
        self._fixed = parse_proxy(proxy, source="proxy=") if proxy else None
        self._environ: Mapping[str, str] = environ if trust_env else {}
        self._chosen: dict[tuple[str, str, int], Proxy | None] = {}

    def proxy_for(self, target: Target) -> Proxy | None:
        """Return the proxy for `target`, None for the direct way; the first answer for a host is kept.

        Raises:
            ConfigError: If the environment names a proxy that is not an HTTP proxy.
        """
        key = target[:3]
        try:
            return self._chosen[key]
        except KeyError:
            return self._chosen.setdefault(key, self._fixed or self._from_environment(target))

    def _from_environment(self, target: Target) -> Proxy | None:
        for name in (f"{target.scheme}_proxy", "all_proxy"):
            source = name if self._environ.get(name) else name.upper()
            # In a CGI program HTTP_PROXY may be a client's "Proxy:" header (CVE-2016-5385).
            if source == "HTTP_PROXY" and "REQUEST_METHOD" in self._environ:
                continue
            if url := self._environ.get(source, "").strip():
                exempt = self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or ""
                if bypasses(exempt, target.host, target.port):
                    return None
                return parse_proxy(url, source=f"the environment variable {source}")
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _split_port(entry: str) -> tuple[str, int | None]:
    """Split "host:port"; an IPv6 address has a port only when it stands in brackets."""
    match = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:]*):(\d+)", entry)
    if match is None:
        return entry, None
    name, port = match[1] or match[3] or "", match[2] or match[4]
    return name, int(port) if port else None
