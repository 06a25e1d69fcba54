"""The vendors' file services, through their own SDKs against a server on loopback."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from dataclasses import replace
from typing import Any

import pytest

from genkit import LLM, Audio, Document, Image, Text
from genkit.backends.files import Service, upload_google
from genkit.backends.services import SERVICES
from genkit.errors import (
    AuthenticationFailed,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    MissingCredential,
    MissingExtra,
    ServerError,
    Timeout,
    Unsupported,
)
from genkit.transport import Transport
from tests.farend import Call, FarEnd, answer

PNG = b"\x89PNG\r\n\x1a\n and so on"
PDF = b"%PDF-1.7 and so on"
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.pdf", "purpose": "user_data"}

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def home(far: FarEnd, monkeypatch: pytest.MonkeyPatch, **options: Any) -> LLM:
    """Return an LLM whose address on this machine is taken for OpenAI's own."""
    llm = LLM("openai:gpt-5-mini", base_url=far.url, api_key="sk-1", **options)
    backend: Any = llm._core.source()
    place = replace(backend._connection.place(), home=True, service=SERVICES["openai"])
    monkeypatch.setattr(backend._connection, "place", lambda *, strict=True: place)
    return llm


def test_a_document_becomes_a_part_with_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with FarEnd(answer(json.dumps(FILE).encode())) as far:
        part = home(far, monkeypatch, organization="org-1").upload(Document(PDF, name="a.pdf", cache=True))
        asked = far.requests[0]
    assert part == Document(file_id="file-1", mime="application/pdf", name="a.pdf", cache=True, origin="openai/files")
    assert (asked.method, asked.target) == ("POST", "/files")
    assert asked.headers["authorization"] == "Bearer sk-1"
    assert asked.headers["openai-organization"] == "org-1"
    assert asked.headers["content-type"].startswith("multipart/form-data")
    assert b'name="purpose"\r\n\r\nuser_data' in asked.body
    assert b'filename="a.pdf"' in asked.body
    assert PDF in asked.body


def test_the_async_twin_uploads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with FarEnd(answer(json.dumps(FILE).encode())) as far:
        part = asyncio.run(home(far, monkeypatch).aupload(Document(PDF)))
    assert part.file_id == "file-1"


def test_an_image_is_uploaded_to_be_seen_under_a_name_that_tells_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    with FarEnd(answer(json.dumps(FILE).encode())) as far:
        home(far, monkeypatch).upload(Image(PNG, detail="low"))
        assert b'name="purpose"\r\n\r\nvision' in far.requests[0].body
        assert b'filename="image.png"' in far.requests[0].body


def test_azure_is_given_its_key_and_its_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    with FarEnd(answer(json.dumps(FILE).encode())) as far:
        LLM("azure:x", base_url=far.url, api_key="key-1").upload(Document(PDF))
        asked = far.requests[0]
    assert asked.target == "/openai/v1/files"
    assert asked.headers["api-key"] == "key-1"
    assert "authorization" not in asked.headers
    assert b'name="purpose"\r\n\r\nassistants' in asked.body


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationFailed), (400, InvalidRequest), (413, InvalidRequest)]
)
def test_a_refusal_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, status: int, kind: Any) -> None:
    script = answer(b'{"error": {"message": "no"}}', status=status)
    with FarEnd(script) as far, pytest.raises(kind, match="was not uploaded") as caught:
        home(far, monkeypatch).upload(Document(PDF))
    assert (caught.value.status, caught.value.backend) == (status, "openai")
    assert caught.value.__cause__ is not None
    assert "sk-1" not in str(caught.value)


def test_a_service_that_is_not_there_is_an_error_of_ours() -> None:
    with FarEnd(answer()) as far:
        url = far.url
    with pytest.raises(ConnectionFailed):
        LLM("azure:x", base_url=url, api_key="key-1").upload(Document(PDF))


def azure(far: FarEnd, **options: Any) -> LLM:
    return LLM("azure:x", base_url=far.url, api_key="sk-secret-key", **options)


def test_the_time_limit_of_the_call_holds_for_an_upload() -> None:
    with FarEnd(lambda call: call.hold(10)) as far:
        began = time.monotonic()
        with pytest.raises(Timeout, match=r"not uploaded within 0\.3 s") as caught:
            azure(far, timeout=0.3).upload(Document(PDF))
        assert time.monotonic() - began < 3
    assert (caught.value.phase, caught.value.sent) == ("total", True)


@pytest.mark.parametrize("retries", [0, 1])
def test_an_upload_is_tried_again_as_often_as_was_asked(retries: int) -> None:
    script = answer(b"{}", status=503, headers={"retry-after-ms": "1", "content-type": "application/json"})
    with FarEnd(script) as far, pytest.raises(ServerError):
        azure(far, retries=retries).upload(Document(PDF))
    assert len(far.requests) == 1 + retries


def test_a_key_that_comes_back_in_an_error_is_not_shown() -> None:
    script = answer(b'{"error": {"message": "bad key sk-secret-key"}}', status=401)
    with FarEnd(script) as far, pytest.raises(AuthenticationFailed, match="bad key") as caught:
        azure(far).upload(Document(PDF))
    assert "sk-secret-key" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("body", [b"{}", b'{"id": null}', b'{"id": ""}', b"not json", b"[]"])
def test_an_answer_without_an_id_is_none(body: bytes) -> None:
    with FarEnd(answer(body)) as far, pytest.raises(BadResponse) as caught:
        azure(far).upload(Document(PDF))
    assert caught.value.backend == "azure"


def test_a_redirect_of_an_upload_is_not_followed() -> None:
    with FarEnd(answer(json.dumps(FILE).encode())) as other:
        script = answer(b"", status=307, headers={"location": f"{other.url}/files"})
        with FarEnd(script) as far, pytest.raises(BadResponse):
            azure(far).upload(Document(PDF))
        assert other.requests == []


@pytest.mark.parametrize("part", ["a.pdf", None, 1, b"%PDF", Text(text="x")])
def test_what_is_no_medium_cannot_be_uploaded(part: Any) -> None:
    llm = LLM("azure:x", base_url="http://127.0.0.1:1", api_key="k")
    with pytest.raises(ConfigError, match="upload takes an Image, Audio, Video or Document, not"):
        llm.upload(part)
    with pytest.raises(ConfigError, match="upload takes"):
        asyncio.run(llm.aupload(part))


def test_a_cancelled_upload_does_not_keep_the_loop() -> None:
    async def main(far: FarEnd) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(azure(far).aupload(Document(PDF)), 0.3)

    with FarEnd(lambda call: call.hold(10)) as far:
        began = time.monotonic()
        asyncio.run(main(far))
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("model", ["mock:", "ollama:llava", "openai:local"])
def test_without_a_file_service_nothing_is_uploaded(model: str) -> None:
    options: Any = {} if model == "mock:" else {"base_url": "http://127.0.0.1:1/v1"}
    with pytest.raises(Unsupported, match="no file service"):
        LLM(model, **options).upload(Image(PNG))


@pytest.mark.parametrize("part", [Document(url="https://x.example/a.pdf"), Image(file_id="file-1")])
def test_what_is_not_here_cannot_be_uploaded(part: Any) -> None:
    with pytest.raises(ConfigError, match=r"only bytes can be uploaded"):
        LLM("azure:x", base_url="http://127.0.0.1:1", api_key="k").upload(part)


def test_a_missing_sdk_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"genkit-llm\[openai\]"):
        LLM("azure:x", base_url="http://127.0.0.1:1", api_key="k").upload(Document(PDF))


def test_an_http_client_cannot_be_handed_to_the_sdk() -> None:
    httpx = pytest.importorskip("httpx")
    with httpx.Client() as client, pytest.raises(ConfigError, match="http_client="):
        LLM("azure:x", base_url="http://127.0.0.1:1", api_key="k", http_client=client).upload(Document(PDF))


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_more_than_the_vendor_takes_inline_is_an_error_that_names_upload(api: Any) -> None:
    large = Document(PDF + bytes(30_000_000))
    with pytest.raises(InvalidRequest, match=r"takes 50,000,000 in a request: upload them with llm\.upload"):
        LLM("openai:gpt-5-mini", api=api).plan(["?", large, large])


# ---------------------------------------------------------------- Gemini API


def gemini(states: list[str]) -> Any:
    """Answer as the Gemini API's file service does; the file has these states one after another."""

    def script(call: Call) -> None:
        request = call.request
        if "/upload/" in request.target and request.headers.get("x-goog-upload-command") == "start":
            call.answer(headers={"x-goog-upload-url": f"{call.far.url}/bytes"})
            return
        state = states.pop(0) if len(states) > 1 else states[0]
        file = {"name": "files/abc", "uri": "https://x/files/abc", "mimeType": "video/mp4", "state": state}
        if request.target == "/bytes":
            call.answer(json.dumps({"file": file}).encode(), headers={"x-goog-upload-status": "final"})
        else:
            call.answer(json.dumps(file).encode())

    return script


def upload(far: FarEnd, part: Any) -> Any:
    pytest.importorskip("google.genai")
    where = Service("google", far.url, {"x-goog-api-key": "key-1", "content-type": "application/json"})
    waits: list[float] = []
    made = upload_google(part, where, sleep=waits.append)
    return made, waits


def test_gemini_keeps_a_file_under_a_name() -> None:
    with FarEnd(gemini(["ACTIVE"])) as far:
        part, waits = upload(far, Audio(b"ID3 and so on", name="a.mp3"))
        start, sent = far.requests
    assert part == Audio(file_id="files/abc", mime="audio/mpeg", name="a.mp3")
    assert waits == []
    assert start.headers["x-goog-api-key"] == "key-1"
    assert start.headers["x-goog-upload-header-content-type"] == "audio/mpeg"
    assert json.loads(start.body)["file"]["display_name"] == "a.mp3"
    assert sent.body == b"ID3 and so on"


def test_gemini_is_waited_for_until_it_has_read_the_file() -> None:
    with FarEnd(gemini(["PROCESSING", "PROCESSING", "ACTIVE"])) as far:
        part, waits = upload(far, Document(PDF))
    assert part.file_id == "files/abc"
    assert len(waits) == 2


def test_a_file_without_a_name_at_gemini_is_an_error() -> None:
    def script(call: Call) -> None:
        final = {"x-goog-upload-url": f"{call.far.url}/bytes", "x-goog-upload-status": "final"}
        call.answer(b'{"file": {}}', headers=final)

    with FarEnd(script) as far, pytest.raises(BadResponse, match="no id of the file"):
        upload(far, Document(PDF))


@pytest.mark.parametrize("retries", [0, 1])
def test_gemini_is_asked_again_as_often_as_was_asked(retries: int) -> None:
    pytest.importorskip("google.genai")
    script = answer(b'{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}', status=503)
    with FarEnd(script) as far, pytest.raises(ServerError):
        LLM("google:gemini-2.5-flash", base_url=far.url, api_key="key-1", retries=retries).upload(Document(PDF))
    assert len(far.requests) == 1 + retries


def test_the_time_limit_of_the_call_holds_at_gemini_too() -> None:
    pytest.importorskip("google.genai")
    with FarEnd(lambda call: call.hold(10)) as far, pytest.raises(Timeout, match="not uploaded within"):
        LLM("google:gemini-2.5-flash", base_url=far.url, api_key="key-1", timeout=0.5).upload(Document(PDF))


def test_a_file_that_gemini_cannot_read_is_an_error() -> None:
    with FarEnd(gemini(["PROCESSING", "FAILED"])) as far, pytest.raises(BadResponse, match="could not read the file"):
        upload(far, Document(PDF))


def test_a_refusal_of_gemini_is_an_error_of_ours() -> None:
    script = answer(b'{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}', status=400)
    with FarEnd(script) as far, pytest.raises(InvalidRequest, match="was not uploaded") as caught:
        upload(far, Document(PDF))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("tail", "options", "version"),
    [("", {}, "v1beta"), ("/v1", {}, "v1"), ("/gateway", {"api_version": "v1alpha"}, "v1alpha")],
)
def test_an_llm_uploads_to_where_it_sends_its_calls(tail: str, options: Any, version: str) -> None:
    pytest.importorskip("google.genai")
    with FarEnd(gemini(["ACTIVE"])) as far:
        llm = LLM("google:gemini-3-flash-preview", base_url=far.url + tail, api_key="key-1", **options)
        part = llm.upload(Document(PDF, name="a.pdf"))
        plan = llm.plan(["?", part])
        assert far.requests[0].target.removeprefix("/gateway") == f"/upload/{version}/files"
        assert far.requests[0].headers["x-goog-api-key"] == "key-1"
    mark = f"google/files@{far.url}{tail}"
    assert part == Document(file_id="files/abc", mime="application/pdf", name="a.pdf", origin=mark)
    sent = plan.body["contents"][0]["parts"][1]["fileData"]
    assert sent["mimeType"] == "application/pdf"
    assert sent["fileUri"].endswith(f"/{version}/files/abc")


def test_the_key_that_an_upload_goes_with_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingCredential, match="GOOGLE_API_KEY"):
        LLM("google:gemini-2.5-flash").upload(Document(PDF))


@pytest.mark.parametrize(
    ("model", "way_out"),
    [
        ("vertex:gemini-2.5-flash", r"Cloud Storage .* Document\(url='gs://bucket/name'\)"),
        ("bedrock:amazon.nova-lite-v1:0", r"S3 .* Document\(url='s3://bucket/key'\)"),
        ("bedrock:anthropic.claude-sonnet-4-5-20250929-v1:0", "send the bytes inline"),
    ],
)
def test_a_cloud_without_a_file_service_says_where_files_go(model: str, way_out: str) -> None:
    with pytest.raises(Unsupported, match=way_out):
        LLM(model).upload(Document(PDF))


def test_the_sdks_are_given_proxy_and_certificates() -> None:
    options = Transport(proxy="http://127.0.0.1:1", trust_env=False).client_options()
    assert options["proxy"] == "http://127.0.0.1:1"
    assert options["trust_env"] is False
