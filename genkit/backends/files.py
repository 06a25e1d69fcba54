"""The vendors' file services, through the vendors' own SDKs.

A file that is uploaded stays with the vendor until it expires or is deleted there, so that nothing is ever uploaded
unasked: `LLM.upload` comes here, and nothing else does.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from .. import mime
from ..errors import BadResponse, ConfigError, ConnectionFailed, GenkitError, MissingExtra, Timeout, from_status
from ..media import media_type
from ..sources import decode_data_url
from ..transport import Transport
from ..types import Media

__all__ = ["Service", "upload_google", "upload_openai"]

_POLL_S = 2.0
_PROCESSING_S = 600.0


@dataclass(frozen=True, slots=True)
class Service:
    """Where a file service is, and who calls it.

    Attributes:
        backend: Name of the backend, for errors.
        base_url: Its address.
        headers: Of every request, those that authorize included.
        query: Of every request.
        transport: Its proxy and certificates are used.
    """

    backend: str
    base_url: str
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = field(default_factory=Transport)


def upload_openai(part: Media, service: Service, *, purpose: str) -> Media:
    """Upload a part's bytes, and return the part with their id in place of them.

    Args:
        part: With its bytes.
        service: OpenAI, or Azure.
        purpose: What the file is for, in the vendor's words.

    Raises:
        GenkitError: If the part has no bytes, the SDK is not installed, or the vendor refuses.
    """
    data, kind, name = _file(part, service.backend)
    openai: Any = _sdk("openai", "openai", service.backend)
    headers = {key: value for key, value in service.headers.items() if key.lower() != "content-type"}
    key = headers.pop("authorization", "").removeprefix("Bearer ")
    # Where another header authorizes (Azure's key), the SDK's own is left out.
    omitted = {} if key else {"Authorization": openai.Omit()}
    http = openai.DefaultHttpxClient(**_client_options(service))
    with (
        _translated(service.backend),
        openai.OpenAI(
            api_key=key or "unused",
            # By header the SDK would take them out again.
            organization=headers.pop("openai-organization", None),
            project=headers.pop("openai-project", None),
            base_url=service.base_url,
            default_headers=headers,
            default_query=service.query,
            http_client=http,
        ) as client,
    ):
        made = client.files.create(file=(name, data, kind), purpose=purpose, extra_headers=omitted)
    return _uploaded(part, made.id, kind)


def upload_google(
    part: Media, service: Service, *, api_version: str | None = None, sleep: Callable[[float], None] = time.sleep
) -> Media:
    """Upload a part's bytes to the Gemini API, wait until it has read them, and return the part with their name there.

    Raises:
        GenkitError: If the part has no bytes, the SDK is not installed, or the vendor refuses the file.
    """
    data, kind, name = _file(part, service.backend)
    genai: Any = _sdk("google.genai", "google", service.backend)
    headers = {key: value for key, value in service.headers.items() if key.lower() != "content-type"}
    key = headers.pop("x-goog-api-key", "unused")
    options = {"base_url": service.base_url, "headers": headers, "client_args": _client_options(service)}
    if api_version is not None:
        options["api_version"] = api_version
    with _translated(service.backend), genai.Client(api_key=key, vertexai=False, http_options=options) as client:
        config = {"mime_type": kind, "display_name": name}
        made = client.files.upload(file=io.BytesIO(data), config=config)
        until = time.monotonic() + _PROCESSING_S
        while (state := _state(made)) == "PROCESSING":
            if time.monotonic() > until:
                raise Timeout(f"the file {made.name} was not ready within {_PROCESSING_S:g} s", phase="total")
            sleep(_POLL_S)
            made = client.files.get(name=made.name)
    if state == "FAILED":
        raise BadResponse(f"{service.backend} could not read the file {made.name}: {made.error}", sent=True)
    return _uploaded(part, made.name, kind)


def _state(made: Any) -> str:
    return str(getattr(made.state, "name", made.state) or "")


def _uploaded(part: Media, file_id: str, kind: str) -> Media:
    return part.model_copy(update={"data": None, "url": None, "file_id": file_id, "mime": kind})


def _file(part: Media, backend: str) -> tuple[bytes, str, str]:
    """Return a part's bytes, their type, and a name whose ending says that too.

    Raises:
        ConfigError: If there are no bytes here.
    """
    word = type(part).__name__
    if part.url is not None and part.url[:5].lower() == "data:":
        data, said = decode_data_url(part.url)
        part = part.model_copy(update={"data": data, "url": None, "mime": part.mime or said})
    if not part.data:
        raise ConfigError(
            f"only bytes can be uploaded, and this {word} has none here: pass a path, as in upload({word}('file'))",
            backend=backend,
        )
    kind = mime.plain(media_type(part, backend=backend))
    ending = mime.ending_of(kind)
    name = part.name or (f"{word.lower()}.{ending}" if ending else word.lower())
    return part.data, kind, name


def _client_options(service: Service) -> dict[str, Any]:
    return service.transport.client_options()


def _sdk(module: str, extra: str, backend: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"uploading to {backend!r} goes through the vendor's SDK: pip install 'genkit-llm[{extra}]'",
            backend=backend,
        ) from error


@contextmanager
def _translated(backend: str) -> Iterator[None]:
    """Turn what an SDK raises into errors of ours."""
    try:
        yield
    except GenkitError:
        raise
    except Exception as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        what = f"the file was not uploaded: {error}"
        if isinstance(status, int):
            raise from_status(status, what, backend=backend) from error
        if "timeout" in type(error).__name__.lower():
            raise Timeout(what, phase="first", backend=backend) from error
        if "connect" in type(error).__name__.lower() or isinstance(error, OSError):
            raise ConnectionFailed(what, backend=backend) from error
        raise BadResponse(f"{what} ({type(error).__name__})", backend=backend, sent=True) from error
