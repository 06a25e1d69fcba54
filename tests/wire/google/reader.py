"""An independent reading of answers of the Gemini API and of Vertex AI."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from ..reader import Call, Choice, Reading, sse

__all__ = ["finish_words", "read", "tokens"]

JSON = dict[str, Any]

# Parts that are neither text, media nor a call of the user's functions.
_ITEMS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse", "fileData", "functionResponse")


def read(api: str, status: int, headers: dict[str, str], content: bytes, *, model: str = "") -> Reading:
    """Read an answer of "generateContent", "embeddings" or "count_tokens".

    Args:
        api: The interface.
        status: The HTTP status.
        headers: Of the answer; they say whether it is a stream.
        content: The body, or the beginning of a stream.
        model: The model that was asked, for answers that do not name theirs.
    """
    if status >= 400:
        return Reading(error=_error(json.loads(content)))
    if "event-stream" in headers.get("content-type", ""):
        return _stream(json.loads(data) for _, data in sse(content))
    body = json.loads(content)
    if api == "count_tokens":
        return Reading(count=body["totalTokens"])
    if api == "embeddings":
        return _embeddings(body, model)
    return _answer([body])


def _error(body: Any) -> JSON:
    body = body[0] if isinstance(body, list) else body
    return body.get("error") or {}


# Answers.

_KNOWN = {"candidates", "usageMetadata", "modelVersion", "responseId"}
_CANDIDATE = {"content", "finishReason", "index", "logprobsResult"}


def _stream(chunks: Iterable[JSON]) -> Reading:
    gathered: list[JSON] = []
    error = None
    for chunk in chunks:
        if "error" in chunk:
            error = chunk["error"]
            break
        gathered.append(chunk)
    reading = _answer(gathered)
    reading.error = error
    # The end of the body is the only terminator; an answer is over when it says why.
    reading.terminated, reading.finish_ends = False, True
    return reading


def _answer(chunks: list[JSON]) -> Reading:
    """Put an answer together: each chunk holds more parts, and the counts so far."""
    reading = Reading()
    candidates: dict[int, Choice] = {}
    pieces: dict[int, list[JSON]] = {}
    for chunk in chunks:
        reading.id = reading.id or chunk.get("responseId")
        reading.model = reading.model or chunk.get("modelVersion")
        if chunk.get("usageMetadata"):
            reading.usage = {**(reading.usage or {}), **chunk["usageMetadata"]}
        reading.rest |= {key: value for key, value in chunk.items() if key not in _KNOWN}
        for sent in chunk.get("candidates") or []:
            index = sent.get("index") or 0
            choice = candidates.setdefault(index, Choice())
            choice.finish = sent.get("finishReason") or choice.finish
            choice.rest |= {key: value for key, value in sent.items() if key not in _CANDIDATE}
            if "logprobsResult" in sent:
                choice.tokens = (choice.tokens or []) + _logprobs(sent["logprobsResult"])
            for part in (sent.get("content") or {}).get("parts") or []:
                _part(choice, part)
                pieces.setdefault(index, []).append(part)
    reading.choices = [choice for _, choice in sorted(candidates.items())]
    for choice in reading.choices:
        choice.citations = _citations(choice.rest.get("groundingMetadata") or {})
    reading.items = pieces.get(0, [])
    return reading


def _logprobs(sent: JSON) -> list[JSON]:
    def entry(one: JSON) -> JSON:
        return {"token": one["token"], "logprob": one["logProbability"]}

    chosen, others = sent.get("chosenCandidates") or [], sent.get("topCandidates") or []
    found = [entry(one) for one in chosen]
    for one, top in zip(found, others, strict=False):
        one["top_logprobs"] = [entry(other) for other in top.get("candidates") or []]
    return found


def _part(choice: Choice, part: JSON) -> None:
    if "functionCall" in part:
        call = part["functionCall"]
        choice.calls.append(Call(call.get("id") or None, call.get("name") or "", json.dumps(call.get("args") or {})))
    elif "inlineData" in part:
        blob = part["inlineData"]
        kind = blob.get("mimeType", "").partition("/")[0]
        if kind in ("image", "audio") and not part.get("thought"):
            (choice.images if kind == "image" else choice.audio).append(base64.b64decode(blob["data"]))
    elif part.get("thought"):
        choice.thinking.append(part.get("text") or "")
    elif "text" in part:
        choice.text += part["text"]
    else:
        choice.items += [name for name in _ITEMS if name in part]


def _citations(grounding: JSON) -> list[JSON]:
    """Return what each stretch of the text stands on, with the sources that it names by number."""
    chunks = grounding.get("groundingChunks") or []
    found = []
    for support in grounding.get("groundingSupports") or []:
        sources = [chunks[number] for number in support.get("groundingChunkIndices") or []]
        found.append({**support, "groundingChunks": sources})
    return found


# Embeddings.


def _embeddings(body: JSON, model: str) -> Reading:
    """Read the three forms: of a batch, of one content, and of Vertex's predictions."""
    reading = Reading(model=model, usage=body.get("usageMetadata"))
    if "predictions" in body:
        rows = [row["embeddings"] for row in body["predictions"]]
        reading.usage = {"promptTokenCount": sum(row["statistics"]["token_count"] for row in rows)}
    else:
        rows = body["embeddings"] if "embeddings" in body else [body["embedding"]]
    reading.vectors = [[float(value) for value in row["values"]] for row in rows]
    return reading


# What the words and numbers mean.

_FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "BLOCKLIST": "refused",
    "PROHIBITED_CONTENT": "refused",
    "SPII": "refused",
    "IMAGE_SAFETY": "refused",
    "IMAGE_PROHIBITED_CONTENT": "refused",
    "IMAGE_RECITATION": "refused",
    "MODEL_ARMOR": "refused",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
}


def finish_words(choice: Choice) -> set[str]:
    """Return the words of genkit's six that are right for an answer; calls, too, end with STOP."""
    if choice.finish == "STOP" and choice.calls:
        return {"tool_calls"}
    return {_FINISH.get(choice.finish or "", "other")}


def tokens(usage: JSON | None) -> dict[str, int | None]:
    """Return the counts in classes that do not overlap.

    The prompt's count holds the cached tokens, and those of every modality; the prompts of the vendor's own tools and
    the thoughts are counted beside it and beside the answer.
    """
    if usage is None or "promptTokenCount" not in usage:
        return {"total": None}
    prompt = usage["promptTokenCount"] + (usage.get("toolUsePromptTokenCount") or 0)
    answer, thoughts = usage.get("candidatesTokenCount") or 0, usage.get("thoughtsTokenCount") or 0
    cached = usage.get("cachedContentTokenCount") or 0

    def of(name: str, modality: str) -> int:
        return sum(entry["tokenCount"] for entry in usage.get(name) or [] if entry.get("modality") == modality)

    counts = {
        "cache_read": cached,
        "cache_write": 0,
        "input_audio": of("promptTokensDetails", "AUDIO") - of("cacheTokensDetails", "AUDIO"),
        "input_image": of("promptTokensDetails", "IMAGE") - of("cacheTokensDetails", "IMAGE"),
        "reasoning": thoughts,
        "output_audio": of("candidatesTokensDetails", "AUDIO"),
        "output_image": of("candidatesTokensDetails", "IMAGE"),
    }
    counts["input"] = prompt - cached - counts["input_audio"] - counts["input_image"]
    counts["output"] = answer - counts["output_audio"] - counts["output_image"]
    total = prompt + answer + thoughts
    return {**counts, "total_input": prompt, "total_output": answer + thoughts, "total": total}
