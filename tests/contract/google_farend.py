"""A far end that speaks Gemini's wire on loopback: the Gemini API and Vertex AI, plain and streamed.

It repeats the text of the last user, calls the first function where it must, fills a schema with one person, and does
what is asked by `stopSequences`, `maxOutputTokens`, `candidateCount` and `responseLogprobs`. A prompt with the word
STALL begins its stream, no more. Like the real one it is strict: it refuses a field that it does not know, a missing
credential, a path outside of the project, roles other than two, results without calls, and empty parts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.farend import Call

JSON = dict[str, Any]

UNKNOWN = "no-such-model"
STALL = "STALL"
KEY = "test-key"
TOKEN = "test-token"
PROJECT = "a-project"
LOCATION = "europe-west4"

_PLAIN = {"content-type": "application/json; charset=UTF-8"}
_SSE = {"content-type": "text/event-stream"}
_GEMINI = re.compile(r"/v1beta/models/([^/:?]+):(\w+)(\?alt=sse)?")
_VERTEX = re.compile(
    rf"/v1beta1/projects/{PROJECT}/locations/{LOCATION}/publishers/google/models/([^/:?]+):(\w+)(\?alt=sse)?"
)
_BODY = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"}
_CONFIG = {
    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed", "presencePenalty",
    "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseJsonSchema", "thinkingConfig",
}  # fmt: skip
_PART = {"text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"} | {
    "mediaResolution",
    "videoMetadata",
}


class Refused(Exception):
    """The request is one that the real far end refuses, with these words."""


def speak_google(call: Call) -> None:
    """Answer one request; a script for `FarEnd`."""
    try:
        model, method, stream = _route(call)
        body = json.loads(call.request.body)
        if model == UNKNOWN:
            _error(call, 404, "NOT_FOUND", f"models/{model} is not found for API version v1beta")
        elif method in ("generateContent", "streamGenerateContent"):
            _check(body)
            _serve(call, body, model, stream=stream)
        elif method == "countTokens":
            _answer(call, {"totalTokens": _asked_tokens(_counted(body)), "promptTokensDetails": []})
        else:
            _answer(call, _vectors(body, method))
    except Refused as refusal:
        _error(call, 400, "INVALID_ARGUMENT", str(refusal))


def _route(call: Call) -> tuple[str, str, bool]:
    cloud = "/projects/" in call.request.target
    found = (_VERTEX if cloud else _GEMINI).fullmatch(call.request.target)
    if found is None:
        raise Refused(f"no route {call.request.target}")
    headers = call.request.headers
    if (headers.get("authorization") != f"Bearer {TOKEN}") if cloud else (headers.get("x-goog-api-key") != KEY):
        raise Refused("API key not valid. Please pass a valid API key.")
    stream = found[2] == "streamGenerateContent"
    if stream is not bool(found[3]):
        raise Refused("a stream is asked for with alt=sse, and nothing else is")
    return found[1], found[2], stream


def _answer(call: Call, value: JSON) -> None:
    call.answer(json.dumps(value).encode(), headers=_PLAIN)


def _error(call: Call, code: int, status: str, message: str) -> None:
    error = {"error": {"code": code, "message": message, "status": status}}
    call.answer(json.dumps(error).encode(), status=code, headers=_PLAIN)


# ---------------------------------------------------------------- what it refuses


def _known(value: JSON, names: set[str], where: str) -> None:
    if unknown := sorted(value.keys() - names):
        raise Refused(f'Invalid JSON payload received. Unknown name "{unknown[0]}" at {where!r}: Cannot find field.')


def _check(body: JSON) -> None:
    _known(body, _BODY, "request")
    _known(body.get("generationConfig", {}), _CONFIG, "generation_config")
    if not body.get("contents"):
        raise Refused("contents are required")
    declared = [name for tool in body.get("tools", []) for name in _functions(tool)]
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    if calling and not declared:
        raise Refused("Function calling config is set without function_declarations.")
    if calling.get("allowedFunctionNames") and calling["mode"] != "ANY":
        raise Refused("Please set allowed_function_names only when function calling mode is ANY.")
    config = body.get("generationConfig", {})
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        raise Refused("responseJsonSchema needs responseMimeType")
    if "systemInstruction" in body:
        _check_parts(body["systemInstruction"]["parts"], "system_instruction")
    open_calls: list[str] = []
    for at, content in enumerate(body["contents"]):
        _known(content, {"role", "parts"}, f"contents[{at}]")
        if content["role"] not in ("user", "model"):
            raise Refused("Please use a valid role: user, model.")
        if at == 0 and content["role"] != "user":
            raise Refused("ensure that function call turn comes immediately after a user turn")
        # Seen to be taken, where nothing else stands in the first turn.
        if at > 0 or content["parts"] != [{"text": ""}]:
            _check_parts(content["parts"], f"contents[{at}].parts")
        results = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if results and results != open_calls:
            raise Refused("the number of function response parts must equal that of function call parts")
        open_calls = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]


def _functions(tool: JSON) -> list[str]:
    _known(tool, {"functionDeclarations"}, "tools")
    for function in tool["functionDeclarations"]:
        _known(function, {"name", "description", "parametersJsonSchema"}, "function_declarations")
    return [function["name"] for function in tool["functionDeclarations"]]


def _check_parts(parts: list[JSON], where: str) -> None:
    if not parts:
        raise Refused(f"{where} must not be empty")
    for part in parts:
        _known(part, _PART, where)
        if part.get("text") == "" and "thoughtSignature" not in part:
            raise Refused(f"{where}: it has an empty text parameter")
        if "inlineData" in part:
            _known(part["inlineData"], {"mimeType", "data"}, where)


# ---------------------------------------------------------------- what the model says


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _text(content: JSON) -> str:
    return "".join(part.get("text", "") for part in content["parts"])


def _asked(body: JSON) -> str:
    return next(
        (text for content in reversed(body["contents"]) if content["role"] == "user" and (text := _text(content))), ""
    )


def _asked_tokens(body: JSON) -> int:
    contents = [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]
    return sum(len(_tokens(_text(content))) for content in contents)


def _counted(body: JSON) -> JSON:
    if "generateContentRequest" not in body:
        _known(body, {"contents", "systemInstruction", "tools", "generationConfig"}, "request")
        return body
    _known(body, {"generateContentRequest"}, "request")
    inner: JSON = dict(body["generateContentRequest"])
    if not inner.pop("model", "").startswith("models/"):
        raise Refused("generateContentRequest needs the model")
    _check(inner)
    return inner


def _must_call(body: JSON) -> bool:
    return body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") == "ANY"


def _says(body: JSON) -> tuple[str, bool]:
    """Return the text of the answer, and whether it was cut by the limit."""
    config = body.get("generationConfig", {})
    text = '{"name": "Ada", "age": 36}' if "responseJsonSchema" in config else _asked(body)
    for stop in config.get("stopSequences", []):
        text = text.partition(stop)[0]
    words = _tokens(text)
    limit = config.get("maxOutputTokens")
    if limit is not None and len(words) > limit:
        return "".join(words[:limit]), True
    return text, False


def _serve(call: Call, body: JSON, model: str, *, stream: bool) -> None:
    if not stream:
        _answer(call, _whole(body, model))
        return
    call.head(200, _SSE)
    for number, chunk in enumerate(_chunks(body, model)):
        try:
            call.chunk(f"data: {json.dumps(chunk)}\r\n\r\n".encode())
        except OSError:
            # The reader left the stream, as it may.
            call.hang_up()
            return
        if number == 2 and STALL in _asked(body):
            call.hold()
            return
    call.end()


def _usage(body: JSON, made: int) -> JSON:
    asked = _asked_tokens(body)
    return {"promptTokenCount": asked, "candidatesTokenCount": made, "totalTokenCount": asked + made}


def _logprobs(body: JSON, words: list[str]) -> JSON:
    config = body.get("generationConfig", {})
    if not config.get("responseLogprobs"):
        return {}
    others = [{"token": "a", "logProbability": -1.0}] * config.get("logprobs", 0)
    chosen = [{"token": word, "logProbability": -0.5} for word in words]
    return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": [{"candidates": others} for _ in words]}}


def _call_part(body: JSON) -> JSON:
    name = body["tools"][0]["functionDeclarations"][0]["name"]
    return {"functionCall": {"name": name, "args": {"city": "Oslo"}}, "thoughtSignature": "c2lnbmVk"}


def _whole(body: JSON, model: str) -> JSON:
    text, cut = _says(body)
    count = body.get("generationConfig", {}).get("candidateCount", 1)
    words = _tokens(text)
    candidates: list[JSON] = []
    for index in range(count):
        candidate: JSON = {"index": index, "finishReason": "MAX_TOKENS" if cut else "STOP"}
        if _must_call(body):
            candidate |= {"content": {"role": "model", "parts": [_call_part(body)]}, "finishReason": "STOP"}
        else:
            candidate |= {"content": {"role": "model", "parts": [{"text": text}]}, **_logprobs(body, words)}
        candidates.append(candidate)
    made = 5 if _must_call(body) else len(words) * count
    return {"candidates": candidates, "usageMetadata": _usage(body, made), "modelVersion": model, "responseId": "r-1"}


def _chunks(body: JSON, model: str) -> Iterator[JSON]:
    whole = _whole(body, model)
    head = {"modelVersion": model, "responseId": "r-1"}
    made = 0
    for candidate in whole["candidates"]:
        parts = candidate["content"]["parts"]
        pieces = _tokens(parts[0].get("text", "")) if "text" in parts[0] else []
        for piece in pieces:
            made += 1
            one = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": candidate["index"]}
            yield {**head, "candidates": [one | _logprobs(body, [piece])], "usageMetadata": _usage(body, made)}
        if not pieces:
            yield {**head, "candidates": [{"content": candidate["content"], "index": candidate["index"]}]}
        last = {"content": {"role": "model", "parts": [{"text": ""}]}, "index": candidate["index"]}
        yield {
            **head,
            "candidates": [{**last, "finishReason": candidate["finishReason"]}],
            "usageMetadata": whole["usageMetadata"],
        }


# ---------------------------------------------------------------- vectors


def _vectors(body: JSON, method: str) -> JSON:
    if method == "batchEmbedContents":
        for request in body["requests"]:
            _known(request, {"model", "content", "taskType", "outputDimensionality"}, "requests")
        made = [_vector(_text(request["content"]), request.get("outputDimensionality")) for request in body["requests"]]
        tokens = sum(len(_tokens(_text(request["content"]))) for request in body["requests"])
        return {"embeddings": [{"values": one} for one in made], "usageMetadata": {"promptTokenCount": tokens}}
    if method == "embedContent":
        _known(body, {"content", "embedContentConfig"}, "request")
        size = body.get("embedContentConfig", {}).get("outputDimensionality")
        return {
            "embedding": {"values": _vector(_text(body["content"]), size)},
            "usageMetadata": {"promptTokenCount": 1},
        }
    _known(body, {"instances", "parameters"}, "request")
    size = body.get("parameters", {}).get("outputDimensionality")
    predictions = []
    for instance in body["instances"]:
        _known(instance, {"content", "task_type"}, "instances")
        statistics = {"token_count": len(_tokens(instance["content"])), "truncated": False}
        predictions.append({"embeddings": {"values": _vector(instance["content"], size), "statistics": statistics}})
    return {"predictions": predictions}


def _vector(text: str, size: int | None) -> list[float]:
    return [byte / 255 for byte in hashlib.shake_256(text.encode()).digest(size or 16)]
