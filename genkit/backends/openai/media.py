"""Where media of a request may come from; in what form they are sent is each interface's own matter."""

from __future__ import annotations

from ...media import own_file
from ...types import Media
from ..services import Service

__all__ = ["check_source"]


def check_source(part: Media, service: Service, *, origin: str) -> None:
    """Refuse media that cannot be read at the service, whatever the interface.

    Args:
        part: Media of a kind that is taken there.
        service: Where they go.
        origin: Mark of native data that is sent back there.

    Raises:
        Unsupported: If they are in another vendor's file service.
    """
    if part.file_id is not None:
        own_file(part, _file_origins(origin), backend=service.name)


def _file_origins(origin: str) -> frozenset[str]:
    """Return the marks of files at an address: its interfaces share them, and the service that takes uploads."""
    name, _, rest = origin.partition("/")
    _, at, base = rest.partition("@")
    return frozenset({f"{name}/{api}{at}{base}" for api in ("chat", "responses", "files")})
