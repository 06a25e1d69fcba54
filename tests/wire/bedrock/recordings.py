"""Bedrock: Converse, ConverseStream, CountTokens, and the embedding models of InvokeModel."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from typing_extensions import override

from genkit import errors
from genkit.backends.bedrock import Bedrock
from genkit.backends.wire import Exchange, WireBackend
from genkit.types import Message, Part, Request

from ..cassettes import Interaction, Interface
from ..reader import Choice, Reading
from ..vendor import Translation, Vendor
from . import bodies, reader, replies, requests
from .frames import frame, frames, joined

__all__ = ["BedrockRecordings"]

JSON = dict[str, Any]

API = "converse"
VERBS = {"converse": API, "converse-stream": API, "count-tokens": "count_tokens", "invoke": "embeddings"}

# Other interfaces of the same vendor, by the beginning or the end of their paths.
OTHERS = {
    r"/openai/v1/.*": "OpenAI's interface",
    r"/v1/chat/completions": "OpenAI's interface",
    r".*/invoke": "a text model in its own form",
    r".*/invoke-with-response-stream": "a text model in its own form, streamed",
}

_STATUS: dict[int, type[errors.GenkitError]] = {
    400: errors.InvalidRequest,
    401: errors.AuthenticationFailed,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    429: errors.RateLimited,
}


class BedrockRecordings(Vendor):
    """Traffic of bedrock-runtime."""

    backends: ClassVar = {"bedrock": "bedrock"}
    credential: ClassVar = {"bedrock": "authorization"}
    accepted = bodies.ACCEPTED
    fields = bodies.FIELDS
    says_end = False
    epilogue = frame({":message-type": "event", ":event-type": "afterwards"}, b"{}")

    @override
    def interface(self, method: str, path: str, body: JSON) -> Interface:
        route = path.partition("?")[0]
        match = re.fullmatch(r"/model/(.+)/([\w-]+)", route)
        if match and method == "POST" and match[2] in VERBS:
            model, verb = unquote(unquote(match[1])), match[2]
            if verb != "invoke" or "embed" in model:
                return Interface(VERBS[verb], model=model, streams=verb == "converse-stream")
        near = next((name for pattern, name in OTHERS.items() if re.fullmatch(pattern, route)), None)
        return Interface(near or f"{method} {route}", other=True)

    @override
    def route(self, interaction: Interaction) -> str:
        verbs = {"count_tokens": "count-tokens", "embeddings": "invoke"}
        verb = verbs.get(interaction.api) or ("converse-stream" if interaction.streams else "converse")
        return f"/model/{quote(interaction.model, safe='')}/{verb}"

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
        code = error.get("code")
        # The vendor says this of a model that it does not know, and nothing but the words tells it apart.
        if "model identifier is invalid" in (error.get("message") or ""):
            return errors.NotFound, code
        kind = _STATUS.get(status) or (errors.ServerError if status >= 500 else errors.GenkitError)
        return kind, code

    @override
    def variants(self, content: bytes) -> Iterator[bytes]:
        # Headers of all types, which mean nothing to a reader.
        more = {":date": 1, "true": True, "false": False, "blob": b"\x00\xff", "empty": ""}
        yield joined(({**more, **headers}, payload) for headers, payload in frames(content))

    @override
    def breakdown(self, interaction: Interaction) -> tuple[bytes, type[errors.GenkitError]]:
        headers = {":message-type": "exception", ":exception-type": "throttlingException"}
        content = {":content-type": "application/json"}
        return frame({**headers, **content}, b'{"message": "Too many requests"}'), errors.RateLimited

    @override
    def damaged(self, content: bytes) -> Iterator[tuple[bytes, type[errors.GenkitError]]]:
        whole = [frame(headers, payload) for headers, payload in frames(content)]
        middle = len(whole) // 2
        for at in (9, len(whole[middle]) - 20, -1):
            broken = bytearray(whole[middle])
            broken[at] ^= 0x20
            yield b"".join([*whole[:middle], bytes(broken), *whole[middle + 1 :]]), errors.BadResponse

    @override
    def place(self, interaction: Interaction) -> Hashable:
        return interaction.backend

    @override
    def backend(self, interaction: Interaction) -> WireBackend:
        return _backend()

    @override
    def translate(self, interaction: Interaction) -> Translation:
        if interaction.api == "embeddings":
            return requests.embedding(interaction)
        return requests.request(interaction, _mark(interaction.model))

    @override
    def as_plain(self, interaction: Interaction, reading: Reading) -> bytes:
        return replies.as_plain(reading)

    @override
    def turns(self, api: str, body: JSON) -> list[JSON] | None:
        return body["messages"]

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


def _backend() -> Bedrock:
    return Bedrock(region="us-east-1", api_key="recorded")


@lru_cache
def _mark(model: str) -> requests.Mark:
    """Return how the backend marks and makes the vendor's own data."""
    backend = _backend()
    asked = Request(model=model, messages=(Message.user("?"),))
    wire = backend.encode(asked, stream=False)

    def remember(blocks: Sequence[JSON]) -> tuple[Part, ...]:
        message = {"role": "assistant", "content": [*blocks]}
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
        return backend.decode(wire, answer, Exchange()).message.parts

    return requests.Mark(origin=wire.origin, remember=remember)
