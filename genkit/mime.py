"""Media types: told by the first bytes of a file, or by the ending of its name."""

from __future__ import annotations

__all__ = ["certain", "contradiction", "ending_of", "is_certain", "of_bytes", "of_name", "of_url", "plain", "told"]

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"FORM", "audio/aiff"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
# ISO base media files (MP4 and its kin) name their brand after "ftyp".
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "aiff": "audio/aiff",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
    "3gp": "video/3gpp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "application/xml",
    "rtf": "application/rtf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
# First bytes that nothing but such a file has; "BM" may as well begin a text about cars.
_CERTAIN = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "audio/wav", "audio/flac", "audio/ogg"}
    | {"video/x-flv", "video/x-msvideo"}
)
_SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/opus": "audio/ogg",
    "video/ogg": "audio/ogg",
    "video/avi": "video/x-msvideo",
    "application/x-pdf": "application/pdf",
}
_BINARY = frozenset(mime for mime in _ENDINGS.values() if mime.startswith(("image/", "audio/", "video/"))) | _CERTAIN
_WORDS = frozenset(mime for mime in _ENDINGS.values() if mime.startswith("text/")) | {"application/json"}


def of_bytes(data: bytes) -> str | None:
    """Return the media type that the first bytes of a file tell, or None."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    if data[:4] == b"\x1a\x45\xdf\xa3":  # EBML: WebM says so in its header, Matroska is the rest
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    return next((mime for magic, mime in _MAGIC if data.startswith(magic)), None)


def of_name(name: str) -> str | None:
    """Return the media type that the ending of a file's name or URL path stands for, or None."""
    return _ENDINGS.get(name.rpartition("/")[2].rpartition(".")[2].lower()) if "." in name else None


def of_url(url: str) -> str | None:
    """Return the media type that the ending of a URL's path stands for, or None."""
    return of_name(url.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2])


def ending_of(mime: str) -> str | None:
    """Return the usual ending of the names of files of a media type, or None."""
    return next((ending for ending, known in _ENDINGS.items() if known == mime), None)


def told(data: bytes, name: str | None = None) -> str | None:
    """Return the media type of a file: by its bytes, which win over its name where both tell, or None."""
    by_bytes, by_name = of_bytes(data), of_name(name or "")
    if by_bytes is None or (by_name in _WORDS and by_bytes not in _CERTAIN):
        return by_name
    return by_bytes


def certain(data: bytes) -> str | None:
    """Return the media type of bytes that nothing but a file of that type begins with, or None."""
    found = of_bytes(data)
    return found if found in _CERTAIN else None


def is_certain(mime: str | None) -> bool:
    """Return whether all files of a media type begin with bytes that tell it."""
    return mime in _CERTAIN


def contradiction(mime: str, data: bytes) -> str | None:
    """Return the media type that the bytes certainly have where `mime` names another; None where it may be right."""
    bare = plain(mime)
    bare = _SAME.get(bare, bare)
    return found if (found := certain(data)) != bare and bare in _BINARY else None


def plain(mime: str) -> str:
    """Return a media type in lower case and without parameters."""
    return mime.partition(";")[0].strip().lower()
