"""The vendors' file services, through the vendors' own SDKs.

A file that is uploaded stays with the vendor until it expires or is deleted there, so that nothing is ever uploaded
unasked: `LLM.upload` comes here, and nothing else does.
"""

from __future__ import annotations

import io
import math
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
from ..transport import HttpRequest, Transport
from ..transport.messages import masked
from ..transport.waiting import TooLate, within
from ..types import Media, Timeouts

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
        timeouts: The time limits of one upload.
        retries: How often the SDK tries again.
    """

    backend: str
    base_url: str
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = field(default_factory=Transport)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 0


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
    limits = openai.Timeout(service.timeouts.first, connect=service.timeouts.connect)

    def work() -> Any:
        with openai.OpenAI(
            timeout=limits,
            max_retries=service.retries,
            api_key=key or "unused",
            # By header the SDK would take them out again.
            organization=headers.pop("openai-organization", None),
            project=headers.pop("openai-project", None),
            base_url=service.base_url,
            default_headers=headers,
            default_query=service.query,
            http_client=http,
        ) as client:
            return client.files.create(file=(name, data, kind), purpose=purpose, extra_headers=omitted)

    made = _run(work, service)
    return _uploaded(part, getattr(made, "id", None), kind, service.backend)


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
    options: dict[str, Any] = {
        "base_url": service.base_url,
        "headers": headers,
        "client_args": _client_options(service),
        # In milliseconds; what it counts as an attempt includes the first.
        "timeout": None if service.timeouts.first is None else math.ceil(service.timeouts.first * 1000),
        "retry_options": {"attempts": service.retries + 1},
    }
    if api_version is not None:
        options["api_version"] = api_version

    def work() -> Any:
        with genai.Client(api_key=key, vertexai=False, http_options=options) as client:
            config = {"mime_type": kind, "display_name": name}
            made = client.files.upload(file=io.BytesIO(data), config=config)
            until = time.monotonic() + _PROCESSING_S
            while _state(made) == "PROCESSING":
                if time.monotonic() > until:
                    raise Timeout(f"the file {made.name} was not ready within {_PROCESSING_S:g} s", phase="total")
                sleep(_POLL_S)
                made = client.files.get(name=made.name)
            return made

    made = _run(work, service)
    if _state(made) == "FAILED":
        raise BadResponse(f"{service.backend} could not read the file {made.name}: {made.error}", sent=True)
    return _uploaded(part, made.name, kind, service.backend)


def _state(made: Any) -> str:
    return str(getattr(made.state, "name", made.state) or "")


def _run(work: Callable[[], Any], service: Service) -> Any:
    """Do what calls an SDK, within the total time limit; what is late is left to itself, since nothing can end it."""
    total = service.timeouts.total
    with _translated(service):
        if total is None:
            return work()
        try:
            return within(total, work, ended=lambda: False, name="genkit-upload")
        except TooLate:
            message = f"the file was not uploaded within {total:g} s: timeout= can be raised"
            raise Timeout(message, backend=service.backend, sent=True) from None


def _uploaded(part: Media, file_id: object, kind: str, backend: str) -> Media:
    """Return the part with the id of its file.

    Raises:
        BadResponse: If the answer had none.
    """
    if not isinstance(file_id, str) or not file_id:
        message = "the answer to the upload holds no id of the file; is the base URL right?"
        raise BadResponse(message, backend=backend, sent=True)
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
    # A redirect would carry key and file to another host.
    return {**service.transport.client_options(), "follow_redirects": False}


def _sdk(module: str, extra: str, backend: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"uploading to {backend!r} goes through the vendor's SDK: pip install 'genkit-llm[{extra}]'",
            backend=backend,
        ) from error


@contextmanager
def _translated(service: Service) -> Iterator[None]:
    """Turn what an SDK raises into errors of ours, without the secrets that a far end may have sent back."""
    try:
        yield
    except GenkitError:
        raise
    except Exception as error:
        secrets = HttpRequest(service.base_url, service.headers).secrets()
        # What a traceback shows of the cause.
        error.args = tuple(masked(item, secrets) if isinstance(item, str) else item for item in error.args)
        raise _failure(error, masked(f"the file was not uploaded: {error}", secrets), service.backend) from error


def _failure(error: Exception, what: str, backend: str) -> GenkitError:
    kind = type(error).__name__
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return from_status(status, what, backend=backend)
    if "timeout" in kind.lower():
        return Timeout(what, phase="first", backend=backend)
    if "connect" in kind.lower() or isinstance(error, OSError):
        return ConnectionFailed(what, backend=backend)
    return BadResponse(f"{what} ({kind})", backend=backend, sent=True)
