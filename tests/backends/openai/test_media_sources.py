"""Where media may come from: whose file services, which addresses, and what they may turn out to be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from genkit import LLM
from genkit.backends.openai import chat, responses
from genkit.backends.services import SERVICES
from genkit.errors import InvalidRequest, Unsupported
from genkit.types import Audio, Document, Image, Message, ToolCall, ToolResult, Video
from tests.backends.openai.chat_cases import request
from tests.farend import FarEnd, answer

BOTH = pytest.mark.parametrize("api", ["chat", "responses"])
PDF = b"%PDF-1.7 and so on"
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.pdf", "purpose": "user_data"}


def sent(api: str, *parts: Any, service: str = "openai", at: str = "") -> str:
    """Return the body that is sent, as text."""
    encode = responses.encode if api == "responses" else chat.encode
    asked = request(Message.user("Read.", *parts), model="gpt-4.1")
    wire = encode(asked, SERVICES[service], origin=f"{service}/{api}{at}", stream=False)
    return json.dumps(wire.body)


# ---------------------------------------------------------------- files


@BOTH
@pytest.mark.parametrize(
    "origin", ["google/files", "azure/files@https://x.openai.azure.com/openai/v1", "openai/files@https://else.example"]
)
def test_a_file_of_another_file_service_is_refused_with_the_way_out(api: str, origin: str) -> None:
    part = Document(file_id="files/abc", origin=origin)
    with pytest.raises(Unsupported, match=r"'files/abc' is from .*upload it there with llm\.upload\(Document"):
        sent(api, part)


@BOTH
def test_a_file_of_another_vendors_in_a_tools_result_is_refused(api: str) -> None:
    encode = responses.encode if api == "responses" else chat.encode
    result = ToolResult(id="c", parts=(Document(file_id="files/abc", origin="google/files"),))
    asked = request("Hi", Message.assistant(ToolCall(id="c", name="f", arguments={})), Message.tool(result))
    with pytest.raises(Unsupported, match="upload it there"):
        encode(asked, SERVICES["openai"], origin=f"openai/{api}", stream=False)


@BOTH
@pytest.mark.parametrize("origin", [None, "openai/files", "openai/chat", "openai/responses"])
def test_a_file_of_the_vendors_own_is_sent_through_either_interface(api: str, origin: str | None) -> None:
    assert '"file_id": "file-1"' in sent(api, Document(file_id="file-1", origin=origin))


@BOTH
def test_a_file_at_an_address_is_known_at_that_address(api: str) -> None:
    at = "@https://x.openai.azure.com/openai/v1"
    part = Document(file_id="file-1", origin=f"azure/files{at}")
    assert '"file_id": "file-1"' in sent(api, part, service="azure", at=at)


def test_an_image_by_the_id_of_another_vendors_file_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"llm\.upload\(Image"):
        sent("responses", Image(file_id="files/abc", origin="google/files"))


@BOTH
@pytest.mark.parametrize("model", ["openai:gpt-4.1", "azure:gpt-4.1"])
def test_what_was_uploaded_is_taken_by_both_interfaces(api: Any, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with FarEnd(answer(json.dumps(FILE).encode())) as far:
        llm = LLM(model, base_url=far.url, api_key="k", api=api)
        backend: Any = llm._core.source()
        place = replace(backend._connection.place(), home=True)
        monkeypatch.setattr(backend._connection, "place", lambda *, strict=True: place)
        known = Document(PDF, name="a.pdf").model_copy(update={"native": {"thoughtSignature": "c2ln"}})
        plan = llm.plan(["Read.", llm.upload(known)])
    assert "file-1" in json.dumps(plan.body)
    assert plan.warnings == ()


# ---------------------------------------------------------------- addresses


@BOTH
@pytest.mark.parametrize("service", ["openai", "azure", "vllm"])
@pytest.mark.parametrize("url", ["file:///etc/passwd", "FILE:/etc/passwd", " file://localhost/etc/passwd"])
def test_a_file_url_is_never_sent(api: str, service: str, url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"as in Image\('path'\)"):
        sent(api, Image(url=url), service=service)


@BOTH
@pytest.mark.parametrize("service", ["openai", "azure"])
@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.parametrize("kind", [Image, Document])
def test_an_address_in_a_bucket_is_refused_with_the_way_out(api: str, service: str, scheme: str, kind: Any) -> None:
    part = kind(url=f"{scheme}://bucket/it")
    with pytest.raises(Unsupported, match=r"send (the|its) bytes"):
        sent(api, part, service=service)


def test_a_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(Unsupported, match="reads no URLs without a scheme"):
        sent("responses", Image(url="cat.png"))


@BOTH
def test_a_compatible_server_is_handed_the_address_of_a_bucket(api: str) -> None:
    assert "gs://bucket/cat.png" in sent(api, Image(url="gs://bucket/cat.png"), service="vllm")


@BOTH
@pytest.mark.parametrize("url", ["https://example.com/cat", "HTTP://example.com/cat", "data:image/png;base64,eA=="])
def test_an_address_that_the_vendor_reads_is_sent_as_it_is(api: str, url: str) -> None:
    assert url in sent(api, Image(url=url))


# ---------------------------------------------------------------- kinds


@BOTH
@pytest.mark.parametrize(
    "part",
    [
        Image(data=PDF),
        Image(data=PDF, mime="application/pdf"),
        Image(url="data:application/pdf;base64,eA=="),
        Image(url="https://example.com/a", mime="Application/PDF"),
    ],
    ids=["by its bytes", "by its type", "by its data URL", "by the type of its URL"],
)
def test_an_image_that_is_a_pdf_is_refused_with_the_right_word(api: str, part: Image) -> None:
    with pytest.raises(InvalidRequest, match=r"write Document\(\.\.\.\) instead of Image"):
        sent(api, part)


def test_a_sound_that_is_a_film_is_refused_with_the_right_word() -> None:
    part = Audio(data=b"x", mime="video/quicktime")
    with pytest.raises(InvalidRequest, match=r"write Video\(\.\.\.\) instead of Audio"):
        sent("chat", part, service="vllm")


@BOTH
@pytest.mark.parametrize("kind", [Image, Document])
def test_media_without_a_byte_are_refused(api: str, kind: Any) -> None:
    with pytest.raises(InvalidRequest, match="it has no bytes"):
        sent(api, kind(data=b"", mime="image/png" if kind is Image else "application/pdf"))


# ---------------------------------------------------------------- films


def test_a_film_is_refused_on_responses_with_an_advice_that_helps() -> None:
    with pytest.raises(Unsupported, match="send frames of it as images") as caught:
        sent("responses", Video(data=b"x", mime="video/mp4"))
    assert "audio" not in caught.value.message


def test_a_sound_is_refused_on_responses_with_the_interface_that_reads_it() -> None:
    with pytest.raises(Unsupported, match='api="chat" reads audio'):
        sent("responses", Audio(data=b"x", mime="audio/wav"))
