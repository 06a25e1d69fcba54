"""The media of a request: found by their URLs, and replaced by their bytes. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import mime as types
from ..errors import InvalidRequest, Unsupported
from ..sources import decode_data_url, fitting
from ..types import CallWarning, FetchPolicy, Media, Message, Request, Text, ToolResult
from .guard import check_url, shown, unusable

__all__ = [
    "Fetched",
    "by_url",
    "data_url",
    "fill",
    "held_places",
    "inline_bytes",
    "media_type",
    "own_file",
    "show_places",
]

_FAMILIES = {"image": "image/", "audio": "audio/", "video": "video/"}
# Types of an answer's head that say nothing.
_VAGUE = frozenset({"application/octet-stream", "binary/octet-stream", "application/x-download"})
_TYPICAL = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4", "document": "application/pdf"}
_PAGE = (b"<!doctype html", b"<html", b"<head")
# A multiple of three bytes, so that their base64 stands whole and unpadded in whatever a backend makes of them.
_HELD = "<genkit keeps this place {:07d}>"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL gave.

    Attributes:
        data: The bytes.
        said: The media type that the far end named, or an empty string.
    """

    data: bytes
    said: str = ""


def by_url(messages: Sequence[Message]) -> list[Media]:
    """Return the media that are given by URL, those within tool results too."""
    found: list[Media] = []
    for message in messages:
        for part in message.parts:
            if type(part) is Text:
                continue
            if isinstance(part, Media):
                if part.url is not None:
                    found.append(part)
            elif isinstance(part, ToolResult):
                found += [inner for inner in part.parts if isinstance(inner, Media) and inner.url is not None]
    return found


def inline_bytes(messages: Sequence[Message]) -> int:
    """Return how many bytes of media are given by value, those within tool results included."""
    total = 0
    for message in messages:
        for part in message.parts:
            if type(part) is Text:
                continue
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            total += sum(len(piece.data or b"") for piece in inner if isinstance(piece, Media))
    return total


def media_type(part: Media, *, backend: str) -> str:
    """Return the type of media given by value: as said, else by the bytes or the name.

    Raises:
        InvalidRequest: If nothing tells, or if the bytes certainly are of another type than is said.
    """
    data, kind = part.data or b"", type(part).__name__
    if part.mime:
        if (certain := types.contradiction(part.mime, data)) is not None:
            raise InvalidRequest(f"the bytes of this {kind} are {certain}, not {part.mime}", backend=backend)
        return part.mime
    found = fitting(kind, types.told(data, part.name))
    if found is None:
        raise InvalidRequest(
            f"the type of this {kind} is unknown: pass mime=, as in {kind}(..., mime=...)", backend=backend
        )
    return found


def own_file(part: Media, origins: Container[str], *, backend: str) -> str:
    """Return the id of a file that the vendor has, one without a mark of its origin included.

    Args:
        part: Media with a `file_id`.
        origins: Marks of what the vendor's file service, or its models, gave out.
        backend: Name for errors.

    Raises:
        Unsupported: If it is in another vendor's file service.
    """
    if part.origin is not None and part.origin not in origins:
        raise Unsupported(
            f"the file {part.file_id!r} is from {part.origin}, and {backend} cannot read it: upload it there with "
            f"llm.upload({type(part).__name__}(...)), from its bytes",
            backend=backend,
        )
    return part.file_id or ""


def data_url(part: Media, *, backend: str) -> str:
    """Return media given by value as a data URL.

    Raises:
        InvalidRequest: If their type is unknown.
    """
    return f"data:{media_type(part, backend=backend)};base64,{base64.b64encode(part.data or b'').decode()}"


def fill(request: Request, wanted: Sequence[Media], files: Mapping[str, Fetched]) -> Request:
    """Return the request with bytes in place of the URLs of `wanted`.

    Raises:
        InvalidRequest: If a file is not what its part says.
    """
    return _replaced(request, wanted, lambda part: _filled(part, files[part.url or ""]))


def _replaced(request: Request, wanted: Sequence[Media], replace: Callable[[Media], Media]) -> Request:
    # By identity: whether a part is wanted may depend on where it stands.
    places = {id(part) for part in wanted}

    def part_of(part: Any) -> Any:
        if id(part) in places:
            return replace(part)
        if isinstance(part, ToolResult) and any(id(inner) in places for inner in part.parts):
            return part.model_copy(update={"parts": tuple(map(part_of, part.parts))})
        return part

    messages: list[Message] = []
    for message in request.messages:
        parts = tuple(map(part_of, message.parts))
        same = all(new is old for new, old in zip(parts, message.parts, strict=True))
        messages.append(message if same else message.model_copy(update={"parts": parts}))
    return request.model_copy(update={"messages": tuple(messages)})


def _filled(part: Media, file: Fetched) -> Media:
    return part.model_copy(update={"data": file.data, "url": None, "mime": _type_of(part, file)})


def _type_of(part: Media, file: Fetched) -> str | None:
    """Return the type of what was fetched: as given, else by its bytes, else as the far end or the URL's ending says.

    Raises:
        InvalidRequest: If it certainly is something else than the part says.
    """
    url, kind = part.url or "", _kind(part)
    if part.mime is not None:
        if (certain := types.contradiction(part.mime, file.data)) is not None:
            raise unusable(url, f"it is {certain}, not {part.mime}")
        if _is_page(file) and not part.mime.startswith(("text/", "application/x")):
            raise _page(url, kind)
        return part.mime
    if types.of_bytes(file.data) is None and _is_page(file):
        if kind == "document" and types.of_url(url) in (None, "text/html"):
            return "text/html"
        raise _page(url, kind)
    found = _told(kind, url, file)
    if found is not None and not found.startswith(_FAMILIES.get(kind, "")):
        raise unusable(url, f"it is {found}, and {'an' if kind[0] in 'ai' else 'a'} {kind} was expected")
    return found


def _told(kind: str, url: str, file: Fetched) -> str | None:
    """Return the type by the bytes, else as the far end says, else by the URL's ending."""
    said = None if file.said in _VAGUE else file.said or None
    by_name = types.of_url(url)
    textual = (said or "").startswith("text/") or (by_name or "").startswith("text/")
    by_bytes = types.certain(file.data) if textual else types.of_bytes(file.data)
    # Servers call what they do not know plain text.
    return fitting(kind.title(), by_bytes) or (said if said != "text/plain" else None) or by_name or said


def _kind(part: Media) -> str:
    kind: str = part.kind  # type: ignore[attr-defined]  # every subclass has one
    return kind


def _is_page(file: Fetched) -> bool:
    start = file.data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith(_PAGE) or (file.said == "text/html" and types.of_bytes(file.data) is None)


def _page(url: str, kind: str) -> Exception:
    return unusable(url, f"it is an HTML page where the {kind} was expected; is it behind a login?")


# ---------------------------------------------------------------- for plans, which fetch nothing


def held_places(
    request: Request, wanted: Sequence[Media], policy: FetchPolicy
) -> tuple[Request, dict[str, str], list[CallWarning]]:
    """Return the request with marks in place of bytes that nobody fetched.

    Returns:
        The request, for each mark as base64 what a plan shows instead, and notes on what was guessed.

    Raises:
        InvalidRequest: If a URL would not be fetched, as far as that is known without asking anybody.
    """
    marks: dict[str, str] = {}
    notes: list[CallWarning] = []

    def hold(part: Media) -> Media:
        url = part.url or ""
        if url[:5].lower() == "data:":
            return _filled(part, unpacked(url))
        check_url(url, policy)
        mark = _HELD.format(len(marks)).encode()
        marks[base64.b64encode(mark).decode()] = f"<the bytes of {shown(url)}>"
        mime, kind = part.mime, _kind(part)
        if mime is None:
            by_name = types.of_url(url)
            mime = by_name or _TYPICAL[kind]
            shows = f"{mime}, as its ending says, is shown" if by_name else f"{mime} is shown"
            why = f"the type of {shown(url)} is told by its bytes, which a plan does not fetch; {shows}"
            notes.append(CallWarning(kind="note", subject=kind, message=why))
        return part.model_copy(update={"data": mark, "url": None, "mime": mime})

    return _replaced(request, wanted, hold), marks, notes


def show_places(value: Any, marks: Mapping[str, str]) -> Any:
    """Return a body with what a plan shows in place of its marks."""
    match value:
        case dict():
            return {key: show_places(item, marks) for key, item in value.items()}
        case list() | tuple():
            return [show_places(item, marks) for item in value]
        case str():
            for mark, shown_as in marks.items():
                if mark in value:
                    value = value.replace(mark, shown_as)
            return value
        case _:
            return value


def unpacked(url: str) -> Fetched:
    """Return what a data URI holds."""
    data, said = decode_data_url(url)
    return Fetched(data, types.plain(said or ""))
