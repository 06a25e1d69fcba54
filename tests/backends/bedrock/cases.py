"""What the tests of Bedrock share: requests, frames, and the shortest way through encoder and decoder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from genkit.backends.bedrock import Bedrock
from genkit.backends.bedrock.request import ConverseRequest
from genkit.backends.wire import Exchange
from genkit.testing.contract.asking import check_grammar
from genkit.transport.eventstream import EventStreamParser, Frame
from genkit.types import Done, Event, Message, Request, Response, Settings, Text, ToolCall, ToolResult
from tests.backends.bedrock.service_model import faults
from tests.contract.bedrock_farend import frame

JSON = dict[str, Any]

CLAUDE = "us.anthropic.claude-sonnet-4-6"
CLAUDE_45 = "anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDE_37 = "anthropic.claude-3-7-sonnet-20250219-v1:0"
CLAUDE_NEXT = "global.anthropic.claude-opus-5-1"
NOVA = "amazon.nova-lite-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
TITAN = "amazon.titan-text-express-v1"
GPT_OSS = "openai.gpt-oss-120b-1:0"
WRITER = "us.writer.palmyra-x4-v1:0"
ORIGIN = "bedrock/converse"

BACKEND = Bedrock(region="us-east-1", api_key="none")


def request(*messages: Message | str, model: str = CLAUDE_45, **fields: Any) -> Request:
    """Return a request; keywords that are settings become settings."""
    settings = {name: fields.pop(name) for name in list(fields) if name in Settings.model_fields}
    said = tuple(Message.user(m) if isinstance(m, str) else m for m in messages or ("Hi",))
    return Request(model=model, messages=said, settings=Settings(**settings), **fields)


def wire(*messages: Message | str, stream: bool = False, **fields: Any) -> ConverseRequest:
    """Return what is sent, after AWS's own description of the service has found nothing wrong with it."""
    asked = request(*messages, **fields)
    sent = BACKEND.encode(asked, stream=stream)
    assert faults("ConverseStream" if stream else "Converse", asked.model, sent.body) == []
    return sent


def body(*messages: Message | str, **fields: Any) -> JSON:
    """Return the body that is sent."""
    return wire(*messages, **fields).body


def turns(*messages: Message | str, **fields: Any) -> list[JSON]:
    """Return the turns that are sent."""
    found: list[JSON] = body(*messages, **fields)["messages"]
    return found


def reports(sent: ConverseRequest) -> list[tuple[str, str]]:
    """Return kind and subject of the warnings."""
    return [(warning.kind, warning.subject) for warning in sent.warnings]


def call(call_id: str = "t1", name: str = "lookup", **arguments: Any) -> ToolCall:
    """Return a tool call."""
    return ToolCall(id=call_id, name=name, arguments=arguments)


def result(call_id: str = "t1", *texts: str, name: str = "lookup", failed: bool = False) -> ToolResult:
    """Return a tool's result."""
    return ToolResult(id=call_id, name=name, parts=tuple(Text(text=text) for text in texts), failed=failed)


def decoded(
    *content: JSON, stop: str = "end_turn", sent: ConverseRequest | None = None, **fields: Any
) -> Response[Any]:
    """Return the response for a whole answer."""
    data = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 7},
        **fields,
    }
    return BACKEND.decode(sent or wire(), data, Exchange())


def frames(*events: tuple[str, JSON]) -> list[Frame]:
    """Return the frames of a stream, after a way over the wire."""
    return EventStreamParser().feed(b"".join(frame(kind, data) for kind, data in events))


def block(index: int, *deltas: JSON, start: JSON | None = None) -> list[tuple[str, JSON]]:
    """Return the events of one content block."""
    head = [("contentBlockStart", {"contentBlockIndex": index, "start": start})] if start is not None else []
    middle = [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
    return [*head, *middle, ("contentBlockStop", {"contentBlockIndex": index})]


def stream_of(*blocks: list[tuple[str, JSON]], stop: str = "end_turn") -> list[tuple[str, JSON]]:
    """Return the events of a whole stream."""
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return [
        ("messageStart", {"role": "assistant"}),
        *(event for events in blocks for event in events),
        ("messageStop", {"stopReason": stop}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 7}}),
    ]


def read(events: Iterable[tuple[str, JSON]], sent: ConverseRequest | None = None) -> list[Event]:
    """Return the events of a stream, `Done` included; their grammar is checked."""
    decoder = BACKEND.decoder(sent or wire())
    found = [event for frame in frames(*events) for event in decoder.feed(frame)]
    found += decoder.end()
    found.append(Done(decoder.response(Exchange())))
    check_grammar(found)
    return found


def streamed(events: Iterable[tuple[str, JSON]], sent: ConverseRequest | None = None) -> Response[Any]:
    """Return the response of a stream."""
    last = read(events, sent)[-1]
    assert isinstance(last, Done)
    return last.response


def schema_sent(sent: JSON) -> JSON:
    """Return the schema that the service holds the answer to."""
    form = sent["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    found: JSON = json.loads(form["structure"]["jsonSchema"]["schema"])
    return found
