"""A far end that speaks Bedrock's wire on loopback: Converse plain and as an event stream, InvokeModel, CountTokens.

It checks the signature of each request as AWS does: from the bytes of the request line and the headers, with the path
encoded once more. It refuses what AWS's own description of the service does not know. It repeats the text of the last
user, calls the first tool where it must, fills a schema with one person, and does what `stopSequences` and `maxTokens`
ask. A prompt with the word STALL begins its stream, no more.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import itertools
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.backends.bedrock.service_model import faults
from tests.farend import Call, Received

JSON = dict[str, Any]

ACCESS, SECRET, TOKEN, KEY = (
    "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "session//token+==",
    "bedrock-api-key",
)
REGION = "us-east-1"
UNKNOWN = "does-not-exist-v1:0"
STALL = "STALL"
_HEAD = {"content-type": "application/json", "x-amzn-requestid": "req-1"}
_OPERATIONS = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
    "invoke": "InvokeModel",
}
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def speak_bedrock(call: Call) -> None:
    """Answer one request; a script for `FarEnd`."""
    refusal = signature_fault(call.request)
    if refusal is not None:
        fail(call, 403, *refusal)
        return
    found = re.fullmatch(r"/model/([^/]+)/([a-z-]+)", call.request.target)
    if found is None or found[2] not in _OPERATIONS:
        fail(call, 404, "UnknownOperationException", f"no operation at {call.request.target}")
        return
    model, operation = unquote(found[1]), found[2]
    body = json.loads(call.request.body or b"{}")
    if model in (UNKNOWN, "none"):
        fail(call, 400, "ValidationException", "The provided model identifier is invalid.")
        return
    if operation == "invoke":
        call.answer(json.dumps(_embedding(body)).encode(), headers={**_HEAD, "x-amzn-bedrock-input-token-count": "3"})
        return
    if wrong := faults(_OPERATIONS[operation], model, body):
        fail(call, 400, "ValidationException", "; ".join(wrong))
    elif operation == "count-tokens":
        call.answer(json.dumps({"inputTokens": _prompt_tokens(body["input"]["converse"])}).encode(), headers=_HEAD)
    elif wrong := conversation_fault(body):
        fail(call, 400, "ValidationException", wrong)
    elif operation == "converse":
        call.answer(json.dumps(_answer(body)).encode(), headers=_HEAD)
    else:
        _stream(call, body)


def fail(call: Call, status: int, code: str, message: str) -> None:
    """Answer with an error in AWS's form."""
    errortype = f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    call.answer(
        json.dumps({"message": message}).encode(), status=status, headers={**_HEAD, "x-amzn-errortype": errortype}
    )


# ---------------------------------------------------------------- signatures


def signature_fault(received: Received, *, now: float | None = None) -> tuple[str, str] | None:
    """Return code and message of what is wrong with a request's signature, or None; an API key is one too."""
    head = received.raw_head.split(b"\r\n\r\n")[0].split(b"\r\n")
    method, target, _ = head[0].split(b" ")
    headers: dict[bytes, list[bytes]] = {}
    for line in head[1:]:
        name, _, value = line.partition(b":")
        headers.setdefault(name.lower(), []).append(b" ".join(value.split()))
    (authorization,) = headers.get(b"authorization", [b""])
    if authorization == f"Bearer {KEY}".encode():
        return None
    found = re.fullmatch(
        rb"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
        rb"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        authorization,
    )
    if found is None:
        return "MissingAuthenticationTokenException", "Missing Authentication Token"
    access, day, region, service, listed, signature = found.groups()
    if access.decode() != ACCESS or headers.get(b"x-amz-security-token", [TOKEN.encode()]) != [TOKEN.encode()]:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    signed = listed.split(b";")
    must = {b"host", *(name for name in headers if name.startswith(b"x-amz-"))}
    if signed != sorted(signed) or not must <= set(signed):
        return "InvalidSignatureException", f"these must be signed: {sorted(must)}"
    (moment,) = headers[b"x-amz-date"]
    off = calendar.timegm(time.strptime(moment.decode(), "%Y%m%dT%H%M%SZ")) - (now or time.time())
    if moment[:8] != day or abs(off) > 300:
        return "InvalidSignatureException", f"Signature not yet current or expired: {moment.decode()}"
    path, _, query = target.partition(b"?")
    canonical = b"\n".join(
        [
            method,
            _encoded(path),
            query,
            *(name + b":" + b",".join(headers[name]) for name in signed),
            b"",
            listed,
            hashlib.sha256(received.body).hexdigest().encode(),
        ]
    )
    scope = b"/".join([day, region, service, b"aws4_request"])
    text = b"\n".join([b"AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical).hexdigest().encode()])
    key = b"AWS4" + SECRET.encode()
    for part in (day, REGION.encode(), b"bedrock", b"aws4_request"):
        key = hmac.new(key, part, hashlib.sha256).digest()
    if hmac.new(key, text, hashlib.sha256).hexdigest().encode() != signature:
        return (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        )
    return None


def _encoded(path: bytes) -> bytes:
    """Return a path percent-encoded once more, byte for byte; the slashes between segments stay."""
    return b"".join(bytes([byte]) if byte in _UNRESERVED or byte == ord("/") else b"%%%02X" % byte for byte in path)


# ---------------------------------------------------------------- what a conversation must be


def conversation_fault(body: JSON) -> str | None:
    """Return what Bedrock refuses about the turns, beyond their shape."""
    turns = body["messages"]
    roles = [turn["role"] for turn in turns]
    if not roles or roles[0] != "user" or any(a == b for a, b in itertools.pairwise(roles)):
        return f"roles must alternate between user and assistant and begin with user: {roles}"
    blocks = [block for turn in turns for block in turn["content"]]
    texts = [*blocks, *(item for block in blocks for item in block.get("toolResult", {}).get("content", ()))]
    if any("text" in block and not block["text"].strip() for block in texts):
        return "The text field in the ContentBlock object is blank. Add text to the text field, and try again."
    calls = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
    results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    if (calls or results) and "toolConfig" not in body:
        return "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    if len(set(calls)) != len(calls) or sorted(calls) != sorted(results):
        return f"each toolUse needs one toolResult: {calls}, {results}"
    for turn in turns:
        kinds = {kind for block in turn["content"] for kind in block}
        if "document" in kinds and "text" not in kinds:
            return "A text block is required when using documents."
    return None


# ---------------------------------------------------------------- what the model says


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _texts(body: JSON) -> Iterator[str]:
    for block in [*body.get("system", ()), *(b for turn in body["messages"] for b in turn["content"])]:
        yield block.get("text", "")


def _prompt_tokens(body: JSON) -> int:
    return sum(len(_tokens(text)) for text in _texts(body))


def _says(body: JSON) -> tuple[list[JSON], str, int]:
    """Return the content of the answer, its stop reason, and its tokens."""
    config = body.get("toolConfig", {})
    tool = config.get("tools", [{}])[0].get("toolSpec", {})
    if config.get("toolChoice", {}).keys() & {"any", "tool"}:
        given = {"name": "Ada", "age": 36} if "age" in str(tool["inputSchema"]) else {"city": "Oslo"}
        return [{"toolUse": {"toolUseId": "tooluse_1", "name": tool["name"], "input": given}}], "tool_use", 5
    last = body["messages"][-1]["content"]
    text = "".join(block.get("text", "") for block in last) or "Done."
    if "outputConfig" in body and "textFormat" in body["outputConfig"]:
        text = '{"name": "Ada", "age": 36}'
    inference, stop = body.get("inferenceConfig", {}), "end_turn"
    for end in inference.get("stopSequences", ()):
        if end in text:
            text, stop = text.partition(end)[0], "stop_sequence"
    words = _tokens(text)
    most = inference.get("maxTokens")
    if most is not None and len(words) > most:
        words, stop = words[:most], "max_tokens"
    return [{"text": "".join(words)}], stop, len(words)


def _usage(body: JSON, given: int) -> JSON:
    asked = _prompt_tokens(body)
    return {"inputTokens": asked, "outputTokens": given, "totalTokens": asked + given, "serverToolUsage": {}}


def _answer(body: JSON) -> JSON:
    content, stop, given = _says(body)
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": _usage(body, given),
        "metrics": {"latencyMs": 7},
    }


def _stream(call: Call, body: JSON) -> None:
    call.head(200, {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "req-1"})
    for number, data in enumerate(_frames(body)):
        try:
            call.chunk(data)
        except OSError:
            # The reader left the stream, as it may.
            call.hang_up()
            return
        if number == 4 and STALL in "".join(_texts(body)):
            call.hold()
            return
    call.end()


def _frames(body: JSON) -> Iterator[bytes]:
    content, stop, given = _says(body)
    yield frame("messageStart", {"role": "assistant", "p": "abcd"})
    for index, block in enumerate(content):
        if (used := block.get("toolUse")) is not None:
            start = {name: used[name] for name in ("toolUseId", "name")}
            yield frame("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}})
            text = json.dumps(used["input"])
            pieces = [{"toolUse": {"input": text[at : at + 5]}} for at in range(0, len(text), 5)]
        else:
            pieces = [{"text": word} for word in _tokens(block["text"])]
        for delta in pieces:
            yield frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcdefg"})
        yield frame("contentBlockStop", {"contentBlockIndex": index, "p": "ab"})
    yield frame("messageStop", {"stopReason": stop, "p": "abc"})
    yield frame("metadata", {"usage": _usage(body, given), "metrics": {"latencyMs": 7}, "p": "a"})


def frame(kind: str, payload: JSON, *, message_type: str = "event") -> bytes:
    """Return one message of an event stream."""
    content = json.dumps(payload).encode()
    named = {":event-type" if message_type == "event" else ":exception-type": kind}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in {**named, ":content-type": "application/json", ":message-type": message_type}.items()
    )
    head = struct.pack(">II", len(headers) + len(content) + 16, len(headers))
    data = head + struct.pack(">I", zlib.crc32(head)) + headers + content
    return data + struct.pack(">I", zlib.crc32(data))


# ---------------------------------------------------------------- embeddings


def _embedding(body: JSON) -> JSON:
    def vector(text: str, length: int | None) -> list[float]:
        return [byte / 255 for byte in hashlib.shake_256(text.encode()).digest(length or 16)]

    if "inputText" in body:
        return {"embedding": vector(body["inputText"], body.get("dimensions")), "inputTextTokenCount": 3}
    if "texts" in body:
        rows = [vector(text, body.get("output_dimension")) for text in body["texts"]]
        return {"embeddings": {"float": rows} if "embedding_types" in body else rows, "id": "1", "texts": body["texts"]}
    single = body["singleEmbeddingParams"]
    row = vector(single["text"]["value"], single.get("embeddingDimension"))
    return {"embeddings": [{"embedding": row, "embeddingType": "TEXT"}]}
