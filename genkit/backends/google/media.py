"""Media as Gemini's parts: by value, by an address it fetches itself, or by the name of an uploaded file."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from ... import mime
from ...errors import InvalidRequest, Unsupported
from ...media import media_type, own_file
from ...types import Audio, Document, Image, Media, Video
from .models import READABLE, Family, Vendor

__all__ = ["Shelf", "files_origin", "part_of"]

JSON = dict[str, Any]

_VIDEO_HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_KINDS: dict[str, type[Media]] = {"image": Image, "audio": Audio, "video": Video}
_FILES_HOST = "generativelanguage.googleapis.com"
# The same types by other names, as files and browsers have them.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-aiff": "audio/aiff",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/m4a",
    "application/x-pdf": "application/pdf",
    "text/xml": "application/xml",
}

# Bytes in one request: 100 MB for the Gemini API since January 2026 (blog.google, "gemini-api-new-file-limits"), 20 MB
# for Vertex AI; read 2026-11-23.
_INLINE = {"google": 100_000_000, "vertex": 20_000_000}
# Bytes of one PDF: https://ai.google.dev/gemini-api/docs/document-processing, read 2026-11-25.
_PDF = 50_000_000


def files_origin(origin: str) -> str:
    """Return the mark of what the file service gave out, at the place that marks its answers with `origin`."""
    return origin.replace("/generateContent", "/files", 1)


class Shelf:
    """What media may be and where they may lie, for one model at one place.

    Args:
        family: The model's rules.
        vendor: Whose door it is.
        files: Address of uploaded files, ending in "/", on the Gemini API.
        name: The backend's name, for errors.
        origins: Marks of the files that are there; without any, none is refused for its mark.

    Attributes:
        doubts: What is to be said of the media that were given.
    """

    def __init__(
        self, family: Family, vendor: Vendor, *, files: str, name: str, origins: frozenset[str] = frozenset()
    ) -> None:
        self.family = family
        self.vendor: Vendor = vendor
        self._files = files
        self._name = name
        self._origins = origins
        self._size = 0
        self.doubts: dict[str, None] = {}

    def part(self, media: Media) -> JSON:
        """Return the part for a piece of media, without what its `native` says.

        Raises:
            Unsupported: If the model does not read it, or not from there.
            InvalidRequest: If its type is unknown, or there is too much of it or none.
        """
        kind: str = media.kind  # type: ignore[attr-defined]  # every subclass has a kind
        if kind not in self.family.media:
            raise self._lacks(f"{kind} for this model")
        if media.file_id is not None:
            return self._file(media, media.file_id)
        if media.url is not None and not media.url.startswith("data:"):
            if not self.fetches(media):
                raise self._lacks(f"{kind} from {_shown(media.url)}; send its bytes")
            return _reference(media.url, self._type(media, _of_url(media.url)))
        data, told = _data(media, self._name)
        if not data:
            raise InvalidRequest(f"this {type(media).__name__} is empty: it has no bytes", backend=self._name)
        found = self._type(media, told or mime.of_bytes(data) or (mime.of_name(media.name) if media.name else None))
        if found is None:
            raise self._unknown(media)
        self._doubt(media, data, found)
        self._weigh(data, found)
        if not self.family.reads(kind, found.partition(";")[0].lower()):
            known = ", ".join(sorted(self.family.mimes or READABLE[kind]))
            raise self._lacks(f"{kind} of type {found!r}; it reads {known}")
        return {"inlineData": {"mimeType": found, "data": base64.b64encode(data).decode()}}

    def _doubt(self, media: Media, data: bytes, found: str) -> None:
        """Note an image that is of another type than is said, which is read all the same.

        Raises:
            InvalidRequest: If the bytes are something else altogether.
        """
        other = mime.contradiction(found, data) or ""
        if other.startswith("image/") and mime.plain(found).startswith("image/"):
            self.doubts[f"the bytes of an image are {other}; it is sent as {found}, as is said"] = None
        else:
            media_type(media.model_copy(update={"url": None, "data": data, "mime": found}), backend=self._name)

    def _weigh(self, data: bytes, found: str) -> None:
        """Add to what the request holds.

        Raises:
            InvalidRequest: If that is more than is taken.
        """
        # As base64, which is what is sent.
        self._size += -(-len(data) // 3) * 4
        if self._size > _INLINE[self.vendor]:
            raise InvalidRequest(self._too_much("media", _INLINE[self.vendor]), backend=self._name)
        if mime.plain(found) == "application/pdf" and len(data) > _PDF:
            raise InvalidRequest(self._too_much("one PDF", _PDF), backend=self._name)

    def fetches(self, media: Media) -> bool:
        """Return whether the vendor takes the address of a piece of media as it is, and fetches it by itself."""
        parts = urlsplit(media.url or "")
        if parts.scheme == "gs" or parts.hostname in _VIDEO_HOSTS:
            return True
        if parts.hostname == _FILES_HOST:
            return self.vendor == "google"
        kind: str = media.kind  # type: ignore[attr-defined]  # every subclass has a kind
        return parts.scheme == "https" and (self.vendor == "vertex" or kind in self.family.urls)

    def holds(self, uri: str) -> bool:
        """Return whether a file lies with the vendor, or where it may be read from inside a tool's result."""
        if uri.startswith("gs://"):
            return True
        # Vertex AI reads any public address there; of the Gemini API only its own files were seen.
        own = uri.startswith(self._files) or urlsplit(uri).hostname == _FILES_HOST
        return own if self.vendor == "google" else uri.startswith("https://")

    def _file(self, media: Media, name: str) -> JSON:
        if self._origins:
            own_file(media, self._origins, backend=self._name)
        if "://" in name:
            return _reference(name, self._type(media, _of_url(name)))
        if self.vendor == "vertex":
            raise self._lacks(f"files by name ({name!r}); put it into Cloud Storage and pass url='gs://...'")
        return _reference(f"{self._files}{name.removeprefix('files/')}", media.mime)

    def _type(self, media: Media, found: str | None) -> str | None:
        given = media.mime or found
        if given is None:
            return None
        word, semicolon, rest = given.partition(";")
        return _ALIASES.get(word.strip().lower(), word.strip()) + semicolon + rest

    def _too_much(self, what: str, most: int) -> str:
        limit = f"{most // 1_000_000} MB"
        way_out = "put them into Cloud Storage, and pass url='gs://...'"
        if self.vendor == "google":
            way_out = "upload them with llm.upload(part), which gives parts with a file_id"
        return f"there are more than {limit} of {what}, which {self._name} does not take in a request: {way_out}"

    def _unknown(self, media: Media) -> InvalidRequest:
        kind = type(media).__name__
        return InvalidRequest(
            f"the type of this {kind} is unknown: give it as {kind}(..., mime=...)", backend=self._name
        )

    def _lacks(self, what: str) -> Unsupported:
        return Unsupported(f"{self._name} takes no {what}", backend=self._name)


def _reference(uri: str, found: str | None) -> JSON:
    return {"fileData": {"fileUri": uri, **({"mimeType": found} if found else {})}}


def _of_url(url: str) -> str | None:
    parts = urlsplit(url)
    # A film there has no ending, and the type is wanted all the same.
    return "video/mp4" if parts.hostname in _VIDEO_HOSTS else mime.of_name(parts.path)


def _data(media: Media, name: str) -> tuple[bytes, str | None]:
    """Return the bytes of a piece of media, and the type that a data URL tells."""
    if media.data is not None:
        return media.data, None
    head, comma, body = (media.url or "").removeprefix("data:").partition(",")
    try:
        data = base64.b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
    except binascii.Error as error:
        raise InvalidRequest(
            f"the data URL of a {type(media).__name__} is not base64: {error}", backend=name
        ) from error
    if not comma:
        raise InvalidRequest(f"the data URL of a {type(media).__name__} has no comma", backend=name)
    return data, head.removesuffix(";base64") or None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"


def part_of(part: JSON, *, origin: str, native: JSON | None) -> Media | None:
    """Return the media that a part of an answer holds, or None where it holds something else."""
    if "inlineData" in part:
        found = part["inlineData"]
        kind = str(found.get("mimeType") or "")
        fields: JSON = {
            "data": base64.b64decode(found.get("data") or "", validate=True),
            "name": found.get("displayName"),
        }
    elif "fileData" in part:
        found = part["fileData"]
        kind = str(found.get("mimeType") or "")
        fields = {"url": found["fileUri"], "name": found.get("displayName")}
    else:
        return None
    made: type[Media] = _KINDS.get(kind.partition("/")[0], Document)
    return made(**fields, mime=kind or None, origin=origin, native=native)
