"""The recorded conversations and the server that replays them, found beside the checkout; nothing of them is copied.

The recordings are `wire-cassette/1` files under `cassettes/` of the folder that GENKIT_LLM_WIRE names, by default
`shared/wire` beside the checkout. Everything here goes by the format, not by the files at hand.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .vendor import Vendor

__all__ = ["ABSENT", "Interaction", "Interface", "folder", "interactions", "names", "replay_server", "served"]

JSON = dict[str, Any]


def folder() -> Path:
    """Return where the recordings should be."""
    named = os.environ.get("GENKIT_LLM_WIRE")
    return Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "wire"


ABSENT = (
    None
    if (folder() / "cassettes").is_dir()
    else f"no recorded traffic at {folder()}; GENKIT_LLM_WIRE names its folder"
)
"""Why there is nothing to replay, or None."""


@lru_cache(maxsize=1)
def replay_server() -> ModuleType:
    """Return the module of the replay server, loaded from its file."""
    spec = importlib.util.spec_from_file_location("wire_replay_server", folder() / "replay_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Interface:
    """What a request is for.

    Attributes:
        api: The interface's name.
        other: Whether it is none that genkit speaks.
        model: The model, where it is named.
        streams: Whether the answer is asked for as a stream.
    """

    api: str
    other: bool = False
    model: str = ""
    streams: bool = False


@dataclass(frozen=True)
class Interaction:
    """One recorded request with its answer.

    Attributes:
        cassette: Name of the file, for messages.
        number: Its place in the file.
        backend: Name of genkit's backend for it.
        api: The vendor's interface in a word, such as "chat"; "embeddings" and "count_tokens" are called so with all
            vendors. For an interface that genkit does not speak it is the name of what it is, and `other` is true.
        path: Of the request, as recorded, with its query.
        model: The model that the path or the body names.
        streams: Whether the answer was asked for as a stream.
        asked: The request's JSON body.
        status: The answer's status, with `headers` (names in lower case) and `content`.
    """

    cassette: str
    number: int
    backend: str
    api: str
    other: bool
    path: str
    model: str
    streams: bool
    asked: JSON
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def label(self) -> str:
        """Name it for a message."""
        return f"{self.cassette}[{self.number}] {self.api}"

    @property
    def is_stream(self) -> bool:
        """Whether the answer came as a stream of events."""
        return "event-stream" in self.kind or "eventstream" in self.kind

    @property
    def counts(self) -> bool:
        """Whether only the number of tokens was asked for."""
        return self.api == "count_tokens"

    @property
    def kind(self) -> str:
        """The answer's content type."""
        return self.headers.get("content-type", "")


def names(providers: Iterable[str]) -> list[str]:
    """Return the cassettes of some providers, in order, by their path under `cassettes/`."""
    if ABSENT:
        return []
    root = folder() / "cassettes"
    found = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.json"))]
    return [name for name in found if _provider(name) in providers]


@cache
def _provider(name: str) -> str | None:
    return _read(name).get("provider")


@lru_cache(maxsize=4)
def _read(name: str) -> JSON:
    return json.loads((folder() / "cassettes" / name).read_text("utf-8"))


def interactions(vendor: Vendor, name: str) -> list[Interaction]:
    """Return what a cassette holds."""
    cassette = _read(name)
    backend = vendor.backends[cassette["provider"]]
    found = [_interaction(vendor, name, number, backend, item) for number, item in enumerate(cassette["interactions"])]
    return [interaction if interaction.other else vendor.recorded(interaction) for interaction in found]


def _interaction(vendor: Vendor, name: str, number: int, backend: str, item: JSON) -> Interaction:
    request, response = item["request"], item["response"]
    body = _object(request.get("body"))
    interface = vendor.interface(request["method"], request["path"], body or {})
    api, other = interface.api, interface.other
    packed = response.get("body_b64")
    content = base64.b64decode(packed) if packed is not None else (response.get("text") or "").encode()
    if not other and body is None:
        api, other = f"{api}: recorded with a torn request", True
    elif not other and response["status"] == 200 and not content:
        api, other = f"{api}: recorded without a body", True
    return Interaction(
        cassette=name,
        number=number,
        backend=backend,
        api=api,
        other=other,
        path=request["path"],
        model=interface.model,
        streams=interface.streams,
        asked=body or {},
        status=response["status"],
        headers={key.lower(): value for key, value in response["headers"].items()},
        content=content,
    )


def _object(body: Any) -> JSON | None:
    """Return a body that is a JSON object, or the text of one; None for others."""
    try:
        body = json.loads(body) if isinstance(body, str) else body
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def served(interaction: Interaction, route: str, content: bytes | None = None, *, plain: bool = False) -> JSON:
    """Return a cassette of this one interaction.

    Args:
        interaction: What to serve.
        route: The path that genkit sends such a request to.
        content: Another body in place of the recorded one.
        plain: Whether that body is JSON, whatever was recorded.
    """
    headers = {**interaction.headers, "content-type": "application/json"} if plain else interaction.headers
    body = base64.b64encode(interaction.content if content is None else content).decode()
    return {
        "provider": _provider(interaction.cassette),
        "interactions": [
            {
                "request": {"method": "POST", "path": route, "body": interaction.asked},
                "response": {"status": interaction.status, "headers": headers, "body_b64": body},
            }
        ],
    }
