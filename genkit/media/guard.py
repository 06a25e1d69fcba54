"""Which URLs may be fetched: what the URL says is checked before the look-up, the addresses found for it after."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from ..errors import InvalidRequest
from ..types import FetchPolicy

__all__ = ["NotAdmitted", "check_addresses", "check_url", "refusal", "shown", "unusable"]

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_USUAL_PORTS = {"http": 80, "https": 443}
_IN_URL = re.compile(r"[!-~]+")
# What urlsplit lets pass beside the brackets, engines read in different ways.
_IN_BRACKETS = re.compile(r"\[[^\[\]]*\](:\d*)?")
# The URL standard reads a host whose last label is a number as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1.
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)

# Where clouds tell their machines' credentials. Most are in refused networks anyway; these are refused by name too,
# and where private addresses are allowed.
_METADATA_NAMES = frozenset(
    {
        *("metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal"),
        *("instance-data", "instance-data.ec2.internal"),
    }
)
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure and most others
        "169.254.170.2",  # AWS containers
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "168.63.129.16",  # Azure's host, a public address
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",  # Scaleway, whose IPv4 address is link-local
    )
)

_SHARED = ipaddress.ip_network("100.64.0.0/10")
_OWN = (*map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")), _SHARED)
# Not refused by `is_global` in every version of Python.
_NEVER = tuple(map(ipaddress.ip_network, ("192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class NotAdmitted(InvalidRequest):
    """An address that is not to be connected to; whoever knows the URL says so in its place."""


def shown(url: str) -> str:
    """Return a URL as messages may show it: without user, query and fragment, where secrets stand."""
    if url[:5].lower() == "data:":
        return "data: URL"
    bare = re.sub(r"//[^/?#]*@", "//***@", url.partition("#")[0])
    path, question, _ = bare.partition("?")
    return f"{path[:200]}{question and '?...'}"


def refusal(url: str, why: str) -> InvalidRequest:
    """Return the error for a URL that is not fetched."""
    return InvalidRequest(f"genkit does not fetch {shown(url)}: {why}")


def unusable(url: str, why: str) -> InvalidRequest:
    """Return the error for a file that was fetched, and is not what was expected."""
    return InvalidRequest(f"what {shown(url)} gave cannot be used: {why}")


def check_url(url: str, policy: FetchPolicy) -> str:
    """Check all that can be known without a look-up, and return the host.

    Raises:
        InvalidRequest: If the URL is not to be fetched.
    """
    scheme, host, port = _parts(url)
    if host.rstrip(".") in _METADATA_NAMES:
        raise refusal(url, "its host gives away a cloud machine's credentials")
    if (address := _address(host)) is not None:
        try:
            check_addresses([str(address)], policy)
        except NotAdmitted as error:
            raise refusal(url, error.message) from None
    elif _NUMBER.fullmatch(host):
        raise refusal(url, f"its host {host!r} is an address in disguise; write addresses as 192.0.2.1")
    usual = port in (None, _USUAL_PORTS[scheme])
    if policy.allow_hosts is not None:
        if not any(_matches(host, port or _USUAL_PORTS[scheme], entry, usual=usual) for entry in policy.allow_hosts):
            named = host if usual else f"{host}:{port}"
            raise refusal(url, f"{named!r} is not in FetchPolicy(allow_hosts=...)")
    elif not usual and not policy.allow_private:
        raise refusal(
            url, f"port {port} is not the usual one of {scheme}; allow_hosts=[{f'{host}:{port}'!r}] allows it"
        )
    return host


def _parts(url: str) -> tuple[str, str, int | None]:
    if not _IN_URL.fullmatch(url):
        raise refusal(url, "it holds a space or a non-ASCII character; percent-encode it")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if "[" in parts.netloc and not _IN_BRACKETS.fullmatch(parts.netloc.rpartition("@")[2]):
            raise ValueError
    except ValueError:
        raise refusal(url, "it is malformed; check its host and port") from None
    if parts.scheme not in _USUAL_PORTS or not host:
        raise refusal(url, "only absolute http and https URLs can be fetched")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise refusal(url, "it holds a user or password; fetch it yourself and pass the bytes")
    return parts.scheme, host.lower(), port


def _matches(host: str, port: int, entry: str, *, usual: bool) -> bool:
    name, _, number = (
        entry.lower().rpartition(":") if re.search(r"[^:]:\d+$|\]:\d+$", entry) else (entry.lower(), "", "")
    )
    if (number and int(number) != port) or not (number or usual):
        return False
    name = name.strip("[]").rstrip(".")
    host = host.rstrip(".")
    return host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name


def check_addresses(addresses: Sequence[str], policy: FetchPolicy) -> None:
    """Check the addresses of a host; a single bad one refuses them all, as it has no business beside good ones.

    Raises:
        NotAdmitted: If one of them is not to be connected to.
    """
    for text in addresses:
        address = _address(text)
        why = "is no address" if address is None else _reason(address, allow_private=policy.allow_private)
        if why is not None:
            way_out = "; FetchPolicy(allow_private=True) allows it" if why in _ALLOWABLE else ""
            raise NotAdmitted(f"its host leads to {text}, which {why}{way_out}")


_LOOPBACK = "is this machine's own (loopback)"
_PRIVATE = "belongs to a private network"
_ALLOWABLE = frozenset({_LOOPBACK, _PRIVATE})


def _reason(address: _Address, *, allow_private: bool) -> str | None:
    """Return why an address is refused, or None."""
    if address in _METADATA:
        return "gives away a cloud machine's credentials"
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := _embedded(address)) is not None:
            return _reason(inner, allow_private=allow_private)
        if address.scope_id is not None or address.is_link_local or address.is_site_local:
            return "is link-local"
    if address.is_loopback:
        return None if allow_private else _LOOPBACK
    if any(address in network for network in _OWN):
        return None if allow_private else _PRIVATE
    if address.is_link_local:
        return "is link-local"
    if address.is_multicast:
        return "is a multicast address"
    usable = address.is_global and not (address.is_reserved or address.is_unspecified)
    if isinstance(address, ipaddress.IPv6Address):
        usable = usable and address in _GLOBAL_UNICAST
    return None if usable and not any(address in network for network in _NEVER) else "is not a public address"


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, where gateways would lead to it."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
