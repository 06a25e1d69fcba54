"""Media on Converse: which format is called what, and the block that carries it."""

from __future__ import annotations

import base64
import re
from typing import Any

from ... import mime
from ...errors import InvalidRequest, Unsupported
from ...media import media_type
from ...types import Audio, Document, Image, Media, Video
from .models import Family

__all__ = ["FORMATS", "MIMES", "block", "check_bytes", "kind_of", "sent_bytes"]

JSON = dict[str, Any]

# The formats are those of the service's own model (ImageFormat, DocumentFormat, VideoFormat, AudioFormat).
FORMATS: dict[str, dict[str, str]] = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "video": {
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/mp4": "m4a",
        "audio/x-m4a": "m4a",
        "audio/webm": "webm",
    },
}

MIMES: dict[str, dict[str, str]] = {
    kind: {form: name for name, form in reversed(table.items())} for kind, table in FORMATS.items()
}
"""The media type of each format, for what comes back."""

# Beyond this the whole request is refused, counted as it is sent; a file in S3 may be larger.
MOST_BYTES = 25_000_000
_S3 = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?", re.DOTALL)


def kind_of(part: Media) -> str:
    """Return a part's kind: "image", "audio", "video" or "document"."""
    match part:
        case Image():
            return "image"
        case Audio():
            return "audio"
        case Video():
            return "video"
        case Document():
            return "document"
        case _:
            raise TypeError(f"{type(part).__name__} is no kind of media")


def block(part: Media, family: Family, *, name: str, backend: str) -> JSON:
    """Return the content block of a part.

    Args:
        part: The part.
        family: What the model reads.
        name: What a document is called; the model sees it.
        backend: For errors.

    Raises:
        Unsupported: If the model does not read such media, or not from such a place.
        InvalidRequest: If the type of the data is unknown, or there are none, or too many.
    """
    kind = kind_of(part)
    if kind not in family.media:
        raise Unsupported(f"this model takes no {kind} on Converse", backend=backend)
    source = _source(part, kind, family, backend)
    content: JSON = {"format": _format(part, kind, backend), "source": source}
    return {kind: {"name": name, **content} if kind == "document" else content}


def _source(part: Media, kind: str, family: Family, backend: str) -> JSON:
    if part.data is not None:
        if not part.data:
            raise InvalidRequest(f"the {kind} has no bytes in it", backend=backend)
        check_bytes(sent_bytes(part), f"the {kind} has", family, backend=backend)
        return {"bytes": base64.b64encode(part.data).decode()}
    if part.url is None or not part.url.startswith("s3://"):
        what = "by file id" if part.url is None else f"from {part.url[:60]!r}"
        raise Unsupported(f"Converse takes no {kind} {what}: send its bytes, or put it into S3", backend=backend)
    if not family.s3:
        raise Unsupported(f"this model takes no {kind} out of S3: send its bytes", backend=backend)
    if not _S3.fullmatch(part.url):
        raise InvalidRequest(f"{part.url[:100]!r} is no address in S3: write it as s3://bucket/key", backend=backend)
    return {"s3Location": {"uri": part.url}}


def sent_bytes(part: Media) -> int:
    """Return how many bytes a part's data have as they are sent, in base64."""
    return -(-len(part.data or b"") // 3) * 4


def check_bytes(count: int, whose: str, family: Family, *, backend: str) -> None:
    """Refuse more bytes in base64 than a request takes.

    Raises:
        InvalidRequest: It names the way out.
    """
    if count > MOST_BYTES:
        way_out = "give it as an s3:// URL" if family.s3 else "make it smaller"
        raise InvalidRequest(
            f"{whose} {count:,} bytes in base64, and a request takes {MOST_BYTES:,}: {way_out}", backend=backend
        )


def _format(part: Media, kind: str, backend: str) -> str:
    if part.mime and part.data is not None:
        media_type(part, backend=backend)  # refuses what the bytes contradict
    given = part.mime or (mime.of_bytes(part.data) if part.data is not None else None)
    given = given or mime.of_name(part.url or part.name or "")
    if given is None:
        name = type(part).__name__
        raise InvalidRequest(f"the type of this {kind} is unknown: give it as {name}(..., mime=...)", backend=backend)
    bare = given.partition(";")[0].strip().lower()
    form = FORMATS[kind].get(bare)
    if form is None:
        known = ", ".join(sorted(set(FORMATS[kind].values())))
        raise Unsupported(f"Converse takes no {kind} of type {bare!r}; it takes {known}", backend=backend)
    return form
