"""The Gemini API and Vertex AI: generateContent, embeddings and countTokens."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from google.oauth2.credentials import Credentials
from typing_extensions import override

from genkit import errors
from genkit.backends.google import Google
from genkit.backends.wire import Exchange, WireBackend
from genkit.types import CallWarning, Message, Part, Request, Response

from ..cassettes import Interaction, Interface
from ..reader import Choice, Reading
from ..vendor import Translation, Vendor
from . import bodies, reader, replies, requests

__all__ = ["GoogleRecordings"]

JSON = dict[str, Any]

API = "generateContent"
VERBS = {
    "generateContent": API,
    "streamGenerateContent": API,
    "batchEmbedContents": "embeddings",
    "embedContent": "embeddings",
    "predict": "embeddings",
    "countTokens": "count_tokens",
}
_MODEL = re.compile(
    r"/(?P<version>v\w+)/(projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/publishers/google/)?"
    r"models/(?P<model>[^/:]+):(?P<verb>\w+)"
)

# Other interfaces of the same vendor, by what their paths contain.
OTHERS = {"fileSearchStores": "file search stores", "models": "list of models"}

_STATUS: dict[int, type[errors.GenkitError]] = {
    400: errors.InvalidRequest,
    401: errors.AuthenticationFailed,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    429: errors.RateLimited,
}

# The numbers of the protocol's enumerations, for recorders that asked for numbers in place of words.
_WORDS = {
    "finishReason": ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"),
    "modality": ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"),
    "trafficType": ("TRAFFIC_TYPE_UNSPECIFIED", "ON_DEMAND", "PROVISIONED_THROUGHPUT"),
}


class GoogleRecordings(Vendor):
    """Traffic of generativelanguage.googleapis.com and of aiplatform.googleapis.com."""

    backends: ClassVar = {"gemini": "google", "vertex": "vertex"}
    credential: ClassVar = {"google": "x-goog-api-key", "vertex": "authorization"}
    accepted = bodies.ACCEPTED
    fields = bodies.FIELDS
    says_end = False

    @override
    def interface(self, method: str, path: str, body: JSON) -> Interface:
        match = _MODEL.fullmatch(path.partition("?")[0])
        if method == "POST" and match and match["verb"] in VERBS:
            verb = match["verb"]
            return Interface(VERBS[verb], model=match["model"], streams=verb == "streamGenerateContent")
        near = next((name for part, name in OTHERS.items() if part in path), None)
        return Interface(near or f"{method} {path}", other=True)

    @override
    def recorded(self, interaction: Interaction) -> Interaction:
        # Without alt=sse the vendor streams one JSON array; with enum-encoding=int it sends numbers for words.
        content, headers = interaction.content, interaction.headers
        if interaction.status < 400 and interaction.streams and content.lstrip().startswith(b"["):
            rows = json.loads(content)
            content = b"".join(b"data: " + json.dumps(row, ensure_ascii=False).encode() + b"\r\n\r\n" for row in rows)
            headers = {**headers, "content-type": "text/event-stream"}
        elif "enum-encoding" in interaction.path:
            content = json.dumps(_in_words(json.loads(content)), ensure_ascii=False).encode()
        return replace(interaction, content=content, headers=headers)

    @override
    def route(self, interaction: Interaction) -> str:
        return interaction.path.partition("?")[0] + ("?alt=sse" if interaction.streams else "")

    @override
    def read(self, interaction: Interaction, content: bytes) -> Reading:
        return reader.read(interaction.api, interaction.status, interaction.headers, content, model=interaction.model)

    @override
    def tokens(self, usage: JSON | None) -> dict[str, int | None]:
        return reader.tokens(usage)

    @override
    def finish_words(self, api: str, choice: Choice) -> set[str]:
        return reader.finish_words(choice)

    @override
    def failure(self, status: int, error: JSON) -> tuple[type[errors.GenkitError], str | None]:
        reasons = {detail.get("reason") for detail in error.get("details") or []}
        kind = errors.AuthenticationFailed if "API_KEY_INVALID" in reasons else _STATUS.get(status)
        return kind or (errors.ServerError if status >= 500 else errors.GenkitError), error.get("status")

    @override
    def breakdown(self, interaction: Interaction) -> tuple[bytes, type[errors.GenkitError]]:
        error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
        return b"data: " + json.dumps({"error": error}).encode() + b"\r\n\r\n", errors.ServerError

    @override
    def place(self, interaction: Interaction) -> Hashable:
        return interaction.backend, *_place(interaction)

    @override
    def backend(self, interaction: Interaction) -> WireBackend:
        return _backend(interaction.backend, *_place(interaction))

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
        return replies.as_plain(reading)

    @override
    def unlike_plain(self, stream: Response[Any], plain: Response[Any]) -> list[str]:
        return replies.unlike_plain(stream, plain)

    @override
    def turns(self, api: str, body: JSON) -> list[JSON] | None:
        return body["contents"]

    @override
    def following(self, answer: Message) -> tuple[tuple[Message, ...], int]:
        # Whatever comes after an answer is one turn of the user's.
        results, _ = super().following(answer)
        return results or (Message.user("Go on."),), 1

    @override
    def unlike_answer(self, interaction: Interaction, reading: Reading, turn: Sequence[JSON]) -> list[str]:
        return replies.unlike_answer(reading, turn)

    @override
    def sent_back(self, interaction: Interaction, later: Interaction, reading: Reading) -> list[JSON] | None:
        return replies.sent_back(interaction, later, reading)

    @override
    def unlike_client(self, sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
        return replies.unlike_client(sent, turn)


def _in_words(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_words(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _WORDS[key][item] if key in _WORDS and isinstance(item, int) else _in_words(item)
        for key, item in value.items()
    }


def _place(interaction: Interaction) -> tuple[str, str | None, str | None]:
    """Return version, project and location that a recording was made with."""
    match = _MODEL.fullmatch(interaction.path.partition("?")[0])
    assert match is not None
    return match["version"], match["project"], match["location"]


def _backend(name: str, version: str, project: str | None, location: str | None) -> Google:
    if name == "google":
        return Google(name=name, api_key="recorded", api_version=version)
    token = Credentials("recorded")
    return Google(name=name, project=project, location=location, credentials=token, api_version=version)


@lru_cache
def _mark(name: str) -> requests.Mark:
    """Return how the backend marks and makes the vendor's own data."""
    backend = _backend(name, "v1beta", "test-project", "global")
    wire = backend.encode(Request(model="gemini-2.5-flash", messages=(Message.user("?"),)), stream=False)

    def remember(parts: Sequence[JSON]) -> tuple[Part, ...]:
        candidate = {"content": {"role": "model", "parts": [*parts]}, "finishReason": "STOP"}
        answer = {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "recorded"}
        return backend.decode(wire, answer, Exchange()).message.parts

    return requests.Mark(origin=wire.origin, extra=name, remember=remember)
