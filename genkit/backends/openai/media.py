"""Where media of a request may come from; in what form they are sent is each interface's own matter."""

from __future__ import annotations

from ...errors import InvalidRequest, Unsupported
from ...media import media_type, own_file
from ...mime import plain
from ...types import Document, Media
from ..services import Service

__all__ = ["check_source"]

_READ = frozenset({"http", "https", "data"})


def check_source(part: Media, service: Service, *, origin: str) -> None:
    """Refuse media that cannot be read at the service, whatever the interface.

    Args:
        part: Media of a kind that is taken there.
        service: Where they go.
        origin: Mark of native data that is sent back there.

    Raises:
        InvalidRequest: If they are empty, of another kind than the part says, or in a file of some machine.
        Unsupported: If they are where the service does not read: at an address, or in another vendor's file service.
    """
    _check_kind(part, backend=service.name)
    if part.file_id is not None:
        own_file(part, _file_origins(origin), backend=service.name)
    if part.url is not None:
        _check_address(part, part.url, service)


def _check_kind(part: Media, *, backend: str) -> None:
    """Refuse media whose type is not of the part's kind; a document may be of any."""
    word = type(part).__name__
    if part.data is not None and not part.data:
        raise InvalidRequest(f"this {word} is empty: it has no bytes", backend=backend)
    if isinstance(part, Document):
        return
    given = media_type(part, backend=backend) if part.data is not None else part.mime or _of_data_url(part.url or "")
    said = plain(given)
    if said and not said.startswith(f"{word.lower()}/"):
        other = next((name for name in ("Image", "Audio", "Video") if said.startswith(name.lower())), "Document")
        raise InvalidRequest(f"this {word} is {said}: write {other}(...) instead of {word}(...)", backend=backend)


def _of_data_url(url: str) -> str:
    """Return the type that a data URL names, and nothing for any other."""
    return url[5:].partition(",")[0].partition(";")[0] if _scheme(url) == "data" else ""


def _scheme(url: str) -> str:
    return url.partition(":")[0].strip().lower()


def _check_address(part: Media, url: str, service: Service) -> None:
    scheme, word = _scheme(url), type(part).__name__
    if scheme == "file":
        # Another machine would look among its own files.
        raise InvalidRequest(
            f"a file: URL is not sent: pass the path without url=, as in {word}('path'), and the file is read here",
            backend=service.name,
        )
    if service.rules != "free" and scheme not in _READ:
        given = f"{scheme}: URLs" if ":" in url else "URLs without a scheme"
        raise Unsupported(
            f"{service.name} reads no {given} ({word}): send the bytes or an https URL, or upload them with llm.upload",
            backend=service.name,
        )


def _file_origins(origin: str) -> frozenset[str]:
    """Return the marks of files at an address: its interfaces share them, and the service that takes uploads."""
    name, _, rest = origin.partition("/")
    _, at, base = rest.partition("@")
    return frozenset({f"{name}/{api}{at}{base}" for api in ("chat", "responses", "files")})
