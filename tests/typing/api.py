"""What users write, checked by the type checkers and never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

from genkit import (
    LLM,
    Audio,
    CallWarning,
    Document,
    Embeddings,
    FetchPolicy,
    GenkitError,
    Health,
    Image,
    Message,
    Plan,
    Reasoning,
    Response,
    Score,
    Timeouts,
    Tool,
    Usage,
    Video,
)
from genkit.types import Event, Features

llm = LLM("openai:gpt-5-mini", temperature=0.2, timeout=30, system="Be terse", retries=0, fallback=["hf:smollm2"])
LLM()
LLM("azure:my-deployment", api_key=lambda: "token", base_url="https://x", api="responses", headers={"a": "b"})
LLM("vertex:m", project="p", location="global", credentials=object(), api_version="v1", families=[{"pattern": "m"}])
LLM("bedrock:amazon.nova-lite-v1:0", region="us-east-1", profile="dev", families=[{"pattern": "x", "like": "y"}])
LLM("hf:smollm2", device="cpu", dtype="float32", concurrency=2, requests_per_minute=60)

response = llm.generate("Say hi")
assert_type(response, Response[str])
assert_type(response.text, str)
assert_type(response.usage, Usage)
assert_type(response.usage.total, int | None)
llm.generate(["What is this?", Image(url="https://x/cat.png")])
assert_type(Image("cat.png"), Image)
Image(Path("cat.png"), detail="low", cache="5m")
Audio(b"RIFF", mime="audio/wav", transcript="hi")
Video("gs://bucket/film.mp4", mime="video/mp4")
Document("report.pdf", name="report.pdf")
Document(file_id="file-1")
LLM("ollama:x", fetch=FetchPolicy(allow_hosts=("example.com",), max_bytes=1_000_000))
LLM("ollama:x", fetch=False)
Image(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Image("cat.png", details="low")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Image("cat.png", detail="tiny")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Document("a.pdf", detail="low")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
llm.generate([Message.user("a"), Message.assistant("b"), "c"], reasoning="low", stop=["x"], n=2)
llm.generate("a", reasoning=Reasoning(budget=100), timeout=Timeouts(first=5), require=["seed"], on_unsupported="error")
llm.generate("a", tools=[Tool(name="weather")], tool_choice="required", extra={"openai": {"user": "u"}})

llm.generate("a", temprature=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
llm.generate("a", temperature="hot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
llm.generate("a", on_unsupported="explode")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
LLM("openai:x", retrys=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

with llm.stream("Tell a story") as stream:
    assert_type(stream.text, Iterator[str])
    assert_type(stream.events, Iterator[Event])
    for piece in stream.text:
        assert_type(piece, str)
    print(stream.response.usage)

assert_type(llm.embed(["a"]), Embeddings)
assert_type(llm.embed("a", dimensions=8, input_type="query").vectors, tuple[tuple[float, ...], ...])
assert_type(llm.score(["a"]), tuple[Score, ...])
assert_type(llm.count_tokens("a"), int)
assert_type(llm.upload(Document("report.pdf")), Document)
assert_type(llm.plan("a", stream=True), Plan)
assert_type(llm.capabilities, Features)
assert_type(llm.check("a", seed=1), tuple[CallWarning, ...])
assert_type(llm.health(online=False), Health)
assert_type(llm.with_(temperature=0), LLM)
assert_type(llm.map(["a", "b"]), list[Response[str]])
assert_type(llm.map(["a", "b"], on_error="return"), list[Response[str] | GenkitError])


async def later() -> None:
    assert_type(await llm.agenerate("a"), Response[str])
    async with llm.astream("a") as stream:
        assert_type(stream.text, AsyncIterator[str])
        async for piece in stream.text:
            assert_type(piece, str)
    assert_type(await llm.aembed("a"), Embeddings)
    assert_type(await llm.ascore("a"), tuple[Score, ...])
    assert_type(await llm.acount_tokens("a"), int)
    assert_type(await llm.amap(["a"]), list[Response[str]])
    async with LLM("mock:") as other:
        await other.agenerate("a", seed=1)
