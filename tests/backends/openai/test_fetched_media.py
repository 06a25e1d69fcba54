"""Media by URL where a service reads only bytes: fetched, where it says nothing else against them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from genkit import LLM, Audio, Document, Image, Message
from genkit.errors import Unsupported
from genkit.types import FetchPolicy, ToolResult
from tests.farend import Call, FarEnd

PNG = b"\x89PNG\r\n\x1a\n and so on"
PDF = b"%PDF-1.7 and so on"
WAV = b"RIFF\0\0\0\0WAVE and so on"
FILES = {"/a.png": PNG, "/a.pdf": PDF, "/a.wav": WAV}
LOCAL = FetchPolicy(allow_private=True)
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "A cat."}, "finish_reason": "stop"}]}


def serve(call: Call) -> None:
    file = FILES.get(call.request.target)
    if file is not None:
        call.answer(file, headers={"content-type": "application/octet-stream"})
    else:
        call.answer(json.dumps(ANSWER).encode())


def sent(far: FarEnd) -> Any:
    return json.loads(far.requests[-1].body)


def inline(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def test_ollama_gets_the_bytes_of_an_image_by_url() -> None:
    with FarEnd(serve) as far:
        llm = LLM("ollama:llava", base_url=far.url, fetch=LOCAL)
        assert llm.generate(["What is this?", Image(f"{far.url}/a.png")]).text == "A cat."
        assert sent(far)["messages"][0]["content"][1]["image_url"] == {"url": inline("image/png", PNG)}
        assert "authorization" not in far.requests[0].headers


def test_ollama_gets_the_bytes_of_an_image_in_a_tool_result() -> None:
    with FarEnd(serve) as far:
        llm = LLM("ollama:llava", base_url=far.url, fetch=LOCAL)
        result = ToolResult(id="1", name="look", parts=(Image(f"{far.url}/a.png"),))
        llm.generate([Message.user("look"), Message.tool(result)])
        assert inline("image/png", PNG) in far.requests[-1].body.decode()


def test_chat_gets_the_bytes_of_sound_by_url() -> None:
    with FarEnd(serve) as far:
        llm = LLM("vllm:x", base_url=far.url, fetch=LOCAL)
        llm.generate(["What is this?", Audio(f"{far.url}/a.wav")])
        sound = {"data": base64.b64encode(WAV).decode(), "format": "wav"}
        assert sent(far)["messages"][0]["content"][1]["input_audio"] == sound


def test_chat_gets_sound_in_a_data_uri_as_its_bytes() -> None:
    with FarEnd(serve) as far:
        LLM("vllm:x", base_url=far.url, fetch=False).generate(["", Audio(url=inline("audio/wav", WAV))])
        assert sent(far)["messages"][0]["content"][1]["input_audio"]["format"] == "wav"


def test_openais_chat_gets_the_bytes_of_a_document_by_url() -> None:
    plan = LLM("openai:gpt-5-mini", api="chat").plan(["?", Document("https://files.example/a.pdf?sig=1")])
    assert plan.body["messages"][0]["content"][1]["file"] == {
        "filename": "document.pdf",
        "file_data": "data:application/pdf;base64,<the bytes of https://files.example/a.pdf?...>",
    }


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_url_that_the_service_reads_goes_as_it_is(api: Any) -> None:
    url = "https://files.example/a.png"
    body = LLM("openai:gpt-5-mini", api=api).plan(["?", Image(url)]).body
    assert url in json.dumps(body)


def test_the_responses_interface_reads_documents_by_url() -> None:
    body = LLM("openai:gpt-5-mini").plan(["?", Document("https://files.example/a.pdf")]).body
    assert body["input"][0]["content"][1] == {"type": "input_file", "file_url": "https://files.example/a.pdf"}


def test_what_a_service_does_not_read_at_all_is_not_fetched() -> None:
    with FarEnd(serve) as far:
        with pytest.raises(Unsupported, match="document"):
            LLM("ollama:llava", base_url=far.url, fetch=LOCAL).generate(["?", Document(f"{far.url}/a.pdf")])
        assert far.requests == []


def test_without_fetching_a_url_stays_an_error() -> None:
    with pytest.raises(Unsupported, match="by URL"):
        LLM("ollama:llava", fetch=False).generate(["?", Image("https://files.example/a.png")])
