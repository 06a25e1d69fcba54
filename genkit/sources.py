"""What people write for media (a path, bytes, a URL, a data URI), turned into the fields that are stored."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from . import mime as types
from .errors import ConfigError

__all__ = [
    "MAX_FILE_BYTES",
    "AudioDict",
    "DocumentDict",
    "ImageDict",
    "MediaDict",
    "Source",
    "VideoDict",
    "decode_data_url",
    "fields_of",
    "fitting",
]

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview

MAX_FILE_BYTES = 1 << 30

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PASSED_ON = frozenset({"http", "https", "gs", "s3"})
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{200,}={0,2}\s*")
_SHOWN = 80
# Kinds of media whose types begin with a word; a document may be of any type.
_FAMILIES = {"Image": "image", "Audio": "audio", "Video": "video"}
_CONTAINERS = {"video/mp4": "audio/mp4", "video/webm": "audio/webm", "video/x-matroska": "audio/x-matroska"}


class MediaDict(TypedDict, total=False):
    """The keywords that all media take."""

    data: bytes | None
    url: str | None
    file_id: str | None
    mime: str | None
    name: str | None
    origin: str | None
    native: dict[str, Any] | None
    cache: bool | Literal["5m", "1h"]


class ImageDict(MediaDict, total=False):
    """The keywords of an `Image`."""

    kind: Literal["image"]
    detail: Literal["auto", "low", "high", "original"] | None


class AudioDict(MediaDict, total=False):
    """The keywords of an `Audio`."""

    kind: Literal["audio"]
    transcript: str | None


class VideoDict(MediaDict, total=False):
    """The keywords of a `Video`."""

    kind: Literal["video"]


class DocumentDict(MediaDict, total=False):
    """The keywords of a `Document`."""

    kind: Literal["document"]


def fields_of(kind: str, source: Source, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of media of a kind ("Image") written as `source`; a file is read here.

    Raises:
        ConfigError: If it cannot be read or cannot be what it is said to be.
    """
    if twice := [name for name in ("data", "url", "file_id") if given.get(name) is not None]:
        raise ConfigError(f"{kind} is given twice: as {_short(source)} and as {twice[0]}=; leave one of them out")
    if isinstance(source, bytes | bytearray | memoryview):
        return _of_bytes(kind, bytes(source), given, where="what was passed")
    if isinstance(source, str):
        if source[:5].lower() == "data:":
            data, mime = decode_data_url(source)
            return _of_bytes(kind, data, {"mime": mime, **_said(given)}, where="the data URI")
        scheme = match[1].lower() if (match := _SCHEME.match(source)) else None
        if scheme in _PASSED_ON:
            return {**given, "url": source}
        if scheme is not None and scheme != "file":
            raise ConfigError(
                f"{kind}({_short(source)}): {scheme}:// is neither a file nor a URL that is known here; "
                f"to hand it to the vendor as it is, write {kind}(url=...)"
            )
        path = Path(_file_url(kind, source)) if scheme == "file" else Path(source)
        if not source:
            raise ConfigError(f"{kind}('') names no file; pass a path, bytes or a URL")
    elif isinstance(source, os.PathLike):
        path = Path(os.fsdecode(source))
    else:
        raise ConfigError(
            f"{kind} takes a path, bytes or a URL, not {type(source).__name__}; of an open file pass its read()"
        )
    data = _read(kind, path)
    return _of_bytes(kind, data, {"name": path.name, **_said(given)}, where=f"the file {_short(path)}")


def decode_data_url(url: str) -> tuple[bytes, str | None]:
    """Return the bytes of a data URI (RFC 2397) and its media type, without parameters, if it names one.

    Raises:
        ConfigError: If it is not one.
    """
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise ConfigError(f"{_short(url)} is no data URI: it has no comma; write data:image/png;base64,...")
    mime, *parameters = head.split(";")
    plain = unquote_to_bytes(body)
    if "base64" not in (parameter.strip().lower() for parameter in parameters):
        return plain, mime or None
    text = b"".join(plain.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True), mime or None
    except binascii.Error as error:
        raise ConfigError(f"the data URI {_short(url)} does not decode: {error}") from error


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _of_bytes(kind: str, data: bytes, given: dict[str, Any], *, where: str) -> dict[str, Any]:
    """Return the fields for bytes, after a look at what they are.

    Raises:
        ConfigError: If there are none, or if they certainly are something else.
    """
    if not data:
        raise ConfigError(f"{where} for {kind} is empty")
    mime: str | None = given.get("mime")
    if mime is not None and (certain := types.contradiction(mime, data)):
        raise ConfigError(f"{where} for {kind} is {certain}, not {mime}: correct mime= or leave it out")
    found = fitting(kind, types.certain(data))
    if mime is not None and (other := _elsewhere(kind, mime)):
        raise ConfigError(f"{where} for {kind} is said to be {mime}: write {other}(...) instead of {kind}(...)")
    if mime is None and found and not found.startswith(_FAMILIES.get(kind, "")):
        other = _kind_of(found)
        raise ConfigError(f"{where} for {kind} is {found}: write {other}(...) instead of {kind}(...)")
    mime = mime or fitting(kind, types.told(data, given.get("name")))
    return {**given, "data": data, **({"mime": mime} if mime else {})}


def _elsewhere(kind: str, mime: str) -> str | None:
    """Return the kind of media that a type certainly is of, where that is another one than `kind`."""
    bare = fitting(kind, types.plain(mime)) or ""
    if bare.startswith(_FAMILIES.get(kind, "")) or types.ending_of(bare) is None:
        return None
    return _kind_of(bare)


def _kind_of(mime: str) -> str:
    return next((name for name, word in _FAMILIES.items() if mime.startswith(word)), "Document")


def fitting(kind: str, mime: str | None) -> str | None:
    """Return a type told by bytes as the kind of media that a container is said to hold: sound in an MP4 file, say."""
    if kind == "Audio" and mime is not None:
        return _CONTAINERS.get(mime, mime)
    return "video/ogg" if kind == "Video" and mime == "audio/ogg" else mime


def _read(kind: str, path: Path) -> bytes:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{kind}: {_short(path)} is a directory; name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{kind}: {_short(path)} is a device or pipe; read it yourself and pass the bytes")
        _check_size(kind, path, found.st_size)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{kind}: there is no file {_short(path)} (looked in {_short(Path.cwd())})") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        if _BASE64.fullmatch(str(path)):
            raise ConfigError(f"{kind}: this looks like base64, not like a path; pass base64.b64decode(...)") from error
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{kind}: the file {_short(path)} cannot be read: {reason}") from error
    _check_size(kind, path, len(data))
    return data


def _check_size(kind: str, path: Path, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise ConfigError(
            f"{kind}: the file {_short(path)} has {size} bytes, more than any vendor takes in a request; put it into "
            f"the vendor's file service or a bucket, and pass {kind}(file_id=...) or {kind}('gs://...')"
        )


def _file_url(kind: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(f"{kind}({_short(url)}): a file:// URL of another machine; write file:///path")
    if parts.query or parts.fragment:
        raise ConfigError(f"{kind}({_short(url)}): a file has no query; in its name write ? as %3F and # as %23")
    return unquote(parts.path)


def _short(source: object) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return "bytes"
    text = os.fsdecode(source) if isinstance(source, os.PathLike) else str(source)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
