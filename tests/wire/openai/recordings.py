"""OpenAI and Azure: Chat Completions, Responses and Embeddings."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

from typing_extensions import override

from genkit import errors
from genkit.backends.openai import OpenAI
from genkit.backends.wire import Exchange, WireBackend
from genkit.types import CallWarning, Message, Part, Request, Response

from ..cassettes import Interaction, Interface
from ..reader import Choice, Reading
from ..vendor import Translation, Vendor
from . import bodies, reader, replies, requests

__all__ = ["OpenAIRecordings"]

JSON = dict[str, Any]

APIS = {"/chat/completions": "chat", "/responses": "responses", "/embeddings": "embeddings"}
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

_STATUS: dict[int, type[errors.GenkitError]] = {
    400: errors.InvalidRequest,
    401: errors.AuthenticationFailed,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    429: errors.RateLimited,
}
_CODES: dict[str, type[errors.GenkitError]] = {
    "model_not_found": errors.NotFound,
    "content_filter": errors.ContentBlocked,
    "context_length_exceeded": errors.ContextTooLong,
    "insufficient_quota": errors.QuotaExhausted,
}


class OpenAIRecordings(Vendor):
    """Traffic of api.openai.com and of Azure deployments."""

    backends: ClassVar = {"openai": "openai", "azure_openai": "azure", "azure": "azure"}
    credential: ClassVar = {"openai": "authorization", "azure": "api-key"}
    accepted = bodies.ACCEPTED
    fields = bodies.FIELDS

    @override
    def interface(self, method: str, path: str, body: JSON) -> Interface:
        route = re.sub(r"/{2,}", "/", path.partition("?")[0]).rstrip("/")
        route, model = re.sub(r"^(/openai)?/v1(?=/)", "", route), body.get("model")
        if match := re.match(r"^/openai/deployments/([^/]+)(?=/)", route):
            route, model = route[match.end() :], model or match[1]
        if method == "POST" and route in APIS:
            return Interface(APIS[route], model=model or "", streams=bool(body.get("stream")))
        near = max((start for start in OTHERS if route.startswith(start)), key=len, default=None)
        return Interface(OTHERS[near] if near else f"{method} {route}", other=True)

    @override
    def recorded(self, interaction: Interaction) -> Interaction:
        # Azure's old routes name the deployment, its new one wants it as the model.
        asked = interaction.asked
        if "model" in asked or not interaction.model:
            return interaction
        return replace(interaction, asked={**asked, "model": interaction.model})

    @override
    def route(self, interaction: Interaction) -> str:
        return PREFIXES[interaction.backend] + {api: route for route, api in APIS.items()}[interaction.api]

    @override
    def read(self, interaction: Interaction, content: bytes) -> Reading:
        return reader.read(interaction.api, interaction.status, interaction.headers, content)

    @override
    def tokens(self, usage: JSON | None) -> dict[str, int | None]:
        return reader.tokens(usage)

    @override
    def finish_words(self, api: str, choice: Choice) -> set[str]:
        return reader.finish_words(api, choice)

    @override
    def failure(self, status: int, error: JSON) -> tuple[type[errors.GenkitError], str | None]:
        code = None if error.get("code") is None else str(error["code"])
        kind = _CODES.get(str(code)) or _STATUS.get(status)
        return kind or (errors.ServerError if status >= 500 else errors.GenkitError), code

    @override
    def breakdown(self, interaction: Interaction) -> tuple[bytes, type[errors.GenkitError]]:
        error = {"message": "The server had an error.", "type": "server_error", "code": "server_error", "param": None}
        event = {"error": error} if interaction.api == "chat" else {**error, "type": "error", "sequence_number": 9}
        return b"data: " + json.dumps(event).encode() + b"\n\n", errors.ServerError

    @override
    def place(self, interaction: Interaction) -> Hashable:
        return interaction.backend, _api(interaction)

    @override
    def backend(self, interaction: Interaction) -> WireBackend:
        return _backend(interaction.backend, _api(interaction))

    @override
    def translate(self, interaction: Interaction) -> Translation:
        mark = _mark(interaction.backend)
        build = requests.embedding if interaction.api == "embeddings" else requests.request
        return build(interaction, mark)

    @override
    def explained(self, theirs: JSON, mine: JSON, warning: CallWarning) -> list[str]:
        return bodies.explained(theirs, mine, warning)

    @override
    def as_plain(self, interaction: Interaction, reading: Reading) -> bytes:
        return replies.as_plain(interaction.api, reading)

    @override
    def unlike_plain(self, stream: Response[Any], plain: Response[Any]) -> list[str]:
        return replies.unlike_plain(stream, plain)

    @override
    def turns(self, api: str, body: JSON) -> list[JSON] | None:
        found = body["messages" if api == "chat" else "input"]
        return found if isinstance(found, list) else None

    @override
    def unlike_answer(self, interaction: Interaction, reading: Reading, turn: Sequence[JSON]) -> list[str]:
        stored = interaction.asked.get("store") is True or bool(interaction.asked.get("background"))
        return replies.unlike_answer(interaction.api, reading, turn, stored=stored)

    @override
    def sent_back(self, interaction: Interaction, later: Interaction, reading: Reading) -> list[JSON] | None:
        return replies.sent_back(interaction, later, reading)

    @override
    def unlike_client(self, sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
        return replies.unlike_client(sent, turn)


_Api = Literal["chat", "responses", "auto"]


def _api(interaction: Interaction) -> _Api:
    return {"chat": "chat", "responses": "responses"}.get(interaction.api, "auto")


def _backend(name: str, api: _Api) -> OpenAI:
    return OpenAI(name=name, api_key="sk-recorded", base_url=ADDRESSES[name], api=api)


@lru_cache
def _mark(name: str) -> requests.Mark:
    """Return how the backend marks and makes the vendor's own data."""
    probe = Request(model="gpt-4o", messages=(Message.user("?"),))
    chat, responses = _backend(name, "chat"), _backend(name, "responses")
    wire = responses.encode(probe, stream=False)

    def remember(items: Sequence[JSON]) -> tuple[Part, ...]:
        answer = {"id": "resp_0", "object": "response", "status": "completed", "model": "gpt-4o", "output": [*items]}
        return responses.decode(wire, answer, Exchange()).message.parts

    origin = {"chat": chat.encode(probe, stream=False).origin, "responses": wire.origin}
    return requests.Mark(origin=origin, extra=name, remember=remember)
