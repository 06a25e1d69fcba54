"""The transport's errors, worded once for every engine."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BadResponse, ConfigError, ConnectionFailed, GenkitError, StreamClosed

__all__ = [
    "cut",
    "malformed",
    "not_connected",
    "proxy_refused",
    "refuse_two_lengths",
    "stream_closed",
    "tls_failed",
    "unanswered",
]


def not_connected(where: str, reason: object) -> ConnectionFailed:
    """Return the error for a connection that could not be made."""
    return ConnectionFailed(
        f"no connection to {where}: {_words(reason)}; check the address, the network and the proxy settings"
    )


def tls_failed(where: str, reason: object, *, untrusted: bool, source: str = "") -> ConnectionFailed:
    """Return the error for a TLS handshake that failed.

    Args:
        where: The far end.
        reason: The error behind it.
        untrusted: Whether its certificate is to blame, which no repetition mends.
        source: Where the trusted certificates come from, for the message.
    """
    error = ConnectionFailed(
        f"no trusted TLS connection to {where}: {_words(reason)}{source}; for a company's own certificate pass "
        "ca='/path/to/ca.pem' or set SSL_CERT_FILE, and check that the host is the one meant"
    )
    error.retryable = not untrusted
    return error


def proxy_refused(proxy: str, where: str, answer: str) -> GenkitError:
    """Return the error for a proxy whose answer to CONNECT begins with a status that is not success."""
    if answer.startswith("407"):
        return ConfigError(
            f"the proxy {proxy} wants a user and password: write them as proxy='http://user:password@{proxy}'"
        )
    return ConnectionFailed(
        f"the proxy {proxy} refused to connect to {where} ({answer.strip()!r}): "
        "allow the host there, or add it to NO_PROXY"
    )


def unanswered(where: str, reason: object, *, sent: bool) -> ConnectionFailed:
    """Return the error for a connection that broke before any answer."""
    return ConnectionFailed(f"{where} closed the connection without an answer: {_words(reason)}", sent=sent)


def cut(where: str, reason: object) -> ConnectionFailed:
    """Return the error for an answer that broke off."""
    return ConnectionFailed(f"the answer of {where} broke off before its end: {_words(reason)}", sent=True)


def malformed(where: str, reason: object) -> BadResponse:
    """Return the error for bytes that are not HTTP."""
    return BadResponse(
        f"{where} does not speak HTTP as it should: {_words(reason)}; check base_url, its port, and http against https",
        sent=True,
    )


def refuse_two_lengths(headers: Mapping[str, str], where: str) -> None:
    """Raise for an answer that says in two ways where it ends: a proxy and we might each take another."""
    if "content-length" in headers and "transfer-encoding" in headers:
        raise malformed(where, "the answer has both a content-length and a transfer-encoding")


def stream_closed(where: str) -> StreamClosed:
    """Return the error for reading a stream that was closed."""
    return StreamClosed(f"the stream of {where} was closed before its end", sent=True)


def _words(reason: object) -> str:
    """Return what a library says in one line; aiohttp draws pictures of several."""
    return " ".join(str(getattr(reason, "message", reason)).split()).removesuffix(" ^")
