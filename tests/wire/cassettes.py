"""The recorded conversations and the server that replays them, found beside the checkout; nothing of them is copied.

The recordings are `wire-cassette/1` files under `cassettes/` of the folder that GENKIT_LLM_WIRE names, by default
`shared/wire` beside the checkout. Everything here goes by the format, not by the files at hand.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["ABSENT", "Interaction", "api_of", "folder", "interactions", "names", "replay_server", "route_of", "served"]

JSON = dict[str, Any]

APIS = {"/chat/completions": "chat", "/responses": "responses", "/embeddings": "embeddings"}
BACKENDS = {"openai": "openai", "azure_openai": "azure", "azure": "azure"}
PREFIXES = {"openai": "/v1", "azure": "/openai/v1"}
ADDRESSES = {"openai": "https://api.openai.com/v1", "azure": "https://recorded.openai.azure.com"}

# Other interfaces of the same vendor, by the beginning of their paths.
OTHERS = {
    "/completions": "legacy completions",
    "/assistants": "assistants",
    "/threads": "assistants",
    "/images": "images",
    "/realtime": "realtime",
    "/files": "files",
    "/vector_stores": "vector stores",
    "/conversations": "conversations",
    "/responses/compact": "responses: compact",
    "/responses/input_tokens": "responses: input_tokens",
    "/responses": "responses: retrieve a stored answer",
    "/traces": "not the vendor's inference: traces",
}


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
class Interaction:
    """One recorded request with its answer.

    Attributes:
        cassette: Name of the file, for messages.
        number: Its place in the file.
        backend: Name of genkit's backend for it: "openai" or "azure".
        api: "chat", "responses" or "embeddings"; for anything else the name of what it is, and `other` is true.
        asked: The request's JSON body.
        status: The answer's status, with `headers` (names in lower case) and `content`.
    """

    cassette: str
    number: int
    backend: str
    api: str
    other: bool
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
        return "event-stream" in self.headers.get("content-type", "")


def names() -> list[str]:
    """Return the cassettes of the backends here, in order, by their path under `cassettes/`."""
    if ABSENT:
        return []
    root = folder() / "cassettes"
    found = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.json"))]
    return [name for name in found if _read(name).get("provider") in BACKENDS]


@lru_cache(maxsize=4)
def _read(name: str) -> JSON:
    return json.loads((folder() / "cassettes" / name).read_text("utf-8"))


def interactions(name: str) -> list[Interaction]:
    """Return what a cassette holds."""
    cassette = _read(name)
    backend = BACKENDS[cassette["provider"]]
    return [_interaction(name, number, backend, item) for number, item in enumerate(cassette["interactions"])]


def _interaction(name: str, number: int, backend: str, item: JSON) -> Interaction:
    request, response = item["request"], item["response"]
    api, other, deployment = api_of(request["method"], request["path"])
    body = request.get("body")
    if not isinstance(body, dict):
        body, other = {}, True
    if deployment and "model" not in body:
        body = {**body, "model": deployment}
    packed = response.get("body_b64")
    content = base64.b64decode(packed) if packed is not None else (response.get("text") or "").encode()
    if response["status"] == 200 and not content and not other:
        api, other = f"{api}: recorded without a body", True
    return Interaction(
        cassette=name,
        number=number,
        backend=backend,
        api=api,
        other=other,
        asked=body,
        status=response["status"],
        headers={key.lower(): value for key, value in response["headers"].items()},
        content=content,
    )


def api_of(method: str, path: str) -> tuple[str, bool, str | None]:
    """Return the interface a request is for, whether it is another than genkit's, and Azure's deployment."""
    route = re.sub(r"/{2,}", "/", path.partition("?")[0]).rstrip("/")
    route, found = re.sub(r"^(/openai)?/v1(?=/)", "", route), None
    if match := re.match(r"^/openai/deployments/([^/]+)(?=/)", route):
        route, found = route[match.end() :], match[1]
    if method == "POST" and route in APIS:
        return APIS[route], False, found
    near = max((start for start in OTHERS if route.startswith(start)), key=len, default=None)
    return (OTHERS[near] if near else f"{method} {route}"), True, found


def route_of(interaction: Interaction) -> str:
    """Return the path that genkit sends such a request to; for Azure its v1 route, whatever route was recorded."""
    return PREFIXES[interaction.backend] + {api: route for route, api in APIS.items()}[interaction.api]


def served(interaction: Interaction, content: bytes | None = None, *, plain: bool = False) -> JSON:
    """Return a cassette of this one interaction, on the route that genkit uses.

    Args:
        interaction: What to serve.
        content: Another body in place of the recorded one.
        plain: Whether that body is JSON, whatever was recorded.
    """
    headers = {**interaction.headers, "content-type": "application/json"} if plain else interaction.headers
    body = base64.b64encode(interaction.content if content is None else content).decode()
    return {
        "provider": "openai",
        "interactions": [
            {
                "request": {"method": "POST", "path": route_of(interaction), "body": interaction.asked},
                "response": {"status": interaction.status, "headers": headers, "body_b64": body},
            }
        ],
    }
