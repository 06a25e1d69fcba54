"""A second source for the wire: what is sent fits the vendor's own types, which refuse unknown fields."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from genkit.types import Document, Image, Message, Reasoning, Schema, Text, Thinking, Tool, ToolCall, ToolResult, Video
from tests.backends.google.cases import CLOUD, GEMINI, LOOKUP, NEW, OLD, ORIGIN, SIGNED, VERTEX, answered, request

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    types: Any = pytest.importorskip("google.genai.types")

PNG = b"\x89PNG\r\n\x1a\n"
CALLS = (
    ToolCall(id="1", name="lookup", arguments={"city": "Oslo"}),
    ToolCall(id="2", name="lookup", arguments={}, minted=True, origin=ORIGIN, native=SIGNED),
)
RESULTS = (
    ToolResult(id="1", parts=(Text(text="rain"), Image(data=PNG))),
    ToolResult(id="2", parts=(Text(text="?"),), failed=True),
)
HISTORIES = {
    "text": (Message.system("Be terse"), Message.user("Hi"), Message.assistant("Yes?"), Message.user("Go")),
    "media": (
        Message.user(
            "See",
            Image(data=PNG, detail="high"),
            Document(url="https://example.com/a.pdf"),
            Document(file_id="https://generativelanguage.googleapis.com/v1beta/files/abc", mime="text/plain"),
            Video(url="https://youtu.be/x", origin=ORIGIN, native={"videoMetadata": {"fps": 1.0}}),
        ),
    ),
    "tools": (Message.user("Go"), Message.assistant("Let me see", *CALLS), Message.tool(*RESULTS), Message.user("So?")),
    "foreign": (
        Message.user("Hi"),
        Message.assistant(
            Thinking(text="hm", origin=CLOUD, native=SIGNED), Text(text="a", origin=CLOUD, native=SIGNED)
        ),
        Message.system("Later"),
        Message.user("Go"),
    ),
    "own": (
        Message.user("Hi"),
        answered(
            {"text": "hm", "thought": True},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"text": "one", **SIGNED},
        ).message,
        Message.user("Go"),
    ),
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 1.0, "top_p": 0.5, "top_k": 3, "max_tokens": 9, "stop": ("x",), "seed": 2, "n": 2},
    {"logprobs": True, "top_logprobs": 3, "presence_penalty": 0.5, "frequency_penalty": 0.5},
    {"reasoning": Reasoning(effort="low", summary="auto")},
    {"reasoning": Reasoning(effort="none")},
    {"tools": (LOOKUP, Tool(name="now", strict=True)), "tool_choice": "required"},
    {"output_schema": Schema(json_schema={"type": "object", "properties": {"a": {"const": 1}}}, strict=False)},
]


@pytest.mark.parametrize("backend", [GEMINI, VERTEX], ids=["google", "vertex"])
@pytest.mark.parametrize("model", [OLD, NEW, "gemini-3-flash-preview"])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("fields", SETTINGS, ids=lambda fields: "+".join(fields) or "plain")
def test_every_request_fits_the_sdks_types(backend: Any, model: str, history: str, fields: dict[str, Any]) -> None:
    if history == "media" and backend is VERTEX:
        history = "text"
    asked = request(*HISTORIES[history], model=model, on_unsupported="ignore", **fields)
    body = backend.encode(asked, stream=False).body
    assert body.keys() <= {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
    for content in body["contents"]:
        types.Content.model_validate(content)
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    for tool in body.get("tools", []):
        types.Tool.model_validate(tool)
    if "toolConfig" in body:
        types.ToolConfig.model_validate(body["toolConfig"])
    settings = body.get("generationConfig", {})
    assert (
        types.GenerateContentConfig.model_validate(settings).model_dump(by_alias=True, exclude_none=True).keys()
        == settings.keys()
    )


def test_the_types_refuse_what_the_wire_has_not() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        types.Content.model_validate({"role": "user", "parts": [{"txet": "a"}]})
