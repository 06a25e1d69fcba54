"""Through real sockets: signatures on both engines, streams that break, clocks that are wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from genkit import LLM
from genkit.backends.bedrock import Bedrock
from genkit.backends.bedrock.failures import ClockSkew
from genkit.errors import (
    AuthenticationFailed,
    BadResponse,
    GenkitError,
    InvalidRequest,
    RateLimited,
    StreamInterrupted,
    Timeout,
    Unsupported,
)
from genkit.testing.contract.asking import Way, in_every_way, respond
from genkit.types import FetchPolicy, Image, Message, Timeouts
from tests.backends.bedrock.cases import CLAUDE_45, LLAMA, NOVA, block, call, request, result, stream_of
from tests.contract.bedrock_farend import ACCESS, REGION, SECRET, TOKEN, frame, signature_fault, speak_bedrock
from tests.farend import Call, FarEnd, answer

MODELS = [
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint",
]


@pytest.fixture(autouse=True)
def keys(no_variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


def asked(script: Callable[[Call], None], way: Way, **fields: Any) -> Any:
    """Return the answer of a far end, asked in one of the four ways."""
    with FarEnd(script) as far:
        backend = Bedrock(base_url=far.url, region=REGION)
        try:
            return respond(backend, request("Hi", **fields), way)
        finally:
            backend.close()


def streams(*pieces: bytes, end: bool = True) -> Callable[[Call], None]:
    """Return the script of a stream."""

    def script(call: Call) -> None:
        call.head(200, {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "req-7"})
        for piece in pieces:
            call.chunk(piece)
        if end:
            call.end()
        else:
            call.hang_up()

    return script


def sent(*events: tuple[str, Any]) -> list[bytes]:
    """Return the bytes of events."""
    return [frame(kind, data) for kind, data in events]


WHOLE = sent(*stream_of(block(0, {"text": "Hello"}, {"text": " you"})))
BEGUN = WHOLE[:3]


class TestSignatures:
    @in_every_way
    @pytest.mark.parametrize("model", MODELS)
    def test_the_far_end_finds_every_signature_right(self, model: str, way: Way) -> None:
        assert asked(speak_bedrock, way, model=model).text == "Hi"

    @pytest.mark.parametrize("library", ["httpx", "httpx2"])
    @pytest.mark.parametrize("model", MODELS)
    def test_the_signature_holds_through_a_client_of_the_users_too(self, model: str, library: str) -> None:
        http: Any = pytest.importorskip(library)
        with FarEnd(speak_bedrock) as far, http.Client() as client:
            backend = Bedrock(base_url=far.url, region=REGION, http_client=client)
            assert backend.generate(request("Hi", model=model)).text == "Hi"

        async def later() -> str:
            async with http.AsyncClient() as client:
                backend = Bedrock(base_url=far.url, region=REGION, http_client=client)
                return (await backend.agenerate(request("Hi", model=model))).text

        with FarEnd(speak_bedrock) as far:
            assert asyncio.run(later()) == "Hi"

    @in_every_way
    def test_a_wrong_secret_is_found_out(self, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(AuthenticationFailed, match="secret key may not belong") as caught:
            asked(speak_bedrock, way)
        assert caught.value.request_id == "req-1"

    def test_the_far_end_reads_the_bytes_of_the_request_line(self) -> None:
        """A path that was encoded differently on the way has another signature: the check can fail."""
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            backend.generate(request("Hi", model=NOVA))
            backend.close()
        (received,) = far.requests
        assert b"amazon.nova-lite-v1%3A0" in received.raw_head
        assert signature_fault(received) is None
        received.raw_head = received.raw_head.replace(b"%3A", b":")
        assert signature_fault(received) is not None

    def test_headers_of_the_users_own_are_signed_where_they_must_be(self) -> None:
        own = {"Host": "bedrock.example", "X-Amz-Meta": "two  spaces", "x-team": "blue"}
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=f"{far.url}/", region=REGION, headers=own)
            assert backend.generate(request("Hi")).text == "Hi"
            backend.close()
        (received,) = far.requests
        assert received.headers["host"] == "bedrock.example"
        assert (
            "SignedHeaders=content-type;host;x-amz-date;x-amz-meta;x-amz-security-token,"
            in (received.headers["authorization"])
        )

    def test_headers_that_a_signature_has_itself_do_not_break_it(self) -> None:
        own = {"X-Amz-Date": "20200101T000000Z", "X-Amz-Security-Token": "another"}
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION, headers=own)
            assert backend.generate(request("Hi")).text == "Hi"
            backend.close()

    def test_a_body_that_was_changed_on_the_way_is_found_out(self) -> None:
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            backend.generate(request("Hi"))
            backend.close()
        (received,) = far.requests
        received.body += b" "
        assert signature_fault(received) is not None


class TestClocks:
    @in_every_way
    @pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
    def test_a_wrong_clock_costs_one_refusal(self, way: Way, ahead: float) -> None:
        def script(call: Call) -> None:
            if (fault := signature_fault(call.request)) is None:
                speak_bedrock(call)
                return
            headers = {"x-amzn-errortype": fault[0], "date": formatdate(time.time(), usegmt=True)}
            call.answer(b'{"message": "Signature expired."}', status=403, headers=headers)

        with FarEnd(script) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            backend._signer.clock = lambda: time.time() + ahead
            with pytest.raises(ClockSkew, match="clock is 7"):
                respond(backend, request("Hi"), way)
            assert respond(backend, request("Hi"), way).text == "Hi"
            backend.close()

    def test_an_llm_gets_over_it_by_its_own_retry(self) -> None:
        def script(call: Call) -> None:
            if len(far.requests) == 1:
                headers = {
                    "x-amzn-errortype": "RequestTimeTooSkewed",
                    "date": formatdate(time.time() + 7200, usegmt=True),
                }
                call.answer(b'{"message": "Skewed."}', status=403, headers=headers)
            else:
                call.answer(b'{"output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}}}')

        with FarEnd(script) as far, LLM(f"bedrock:{NOVA}", base_url=far.url, region=REGION) as llm:
            assert llm.generate("Hi").text == "Hi."

    def test_a_wrong_secret_beside_a_wrong_clock_costs_two_refusals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

        def script(call: Call) -> None:
            headers = {
                "x-amzn-errortype": "InvalidSignatureException",
                "date": formatdate(time.time() + 7200, usegmt=True),
            }
            call.answer(b'{"message": "No match."}', status=403, headers=headers)

        with FarEnd(script) as far:
            with (
                LLM(f"bedrock:{NOVA}", base_url=far.url, region=REGION, retries=3) as llm,
                pytest.raises(AuthenticationFailed) as caught,
            ):
                llm.generate("Hi")
            assert not isinstance(caught.value, ClockSkew)
            assert len(far.requests) == 2


class TestStreams:
    @pytest.mark.parametrize("way", ["stream", "astream"])
    def test_the_cut_of_the_bytes_is_free(self, way: Way) -> None:
        data = b"".join(WHOLE)
        for size in (1, 7, 100):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            assert asked(streams(*pieces), way).text == "Hello you"

    @pytest.mark.parametrize("way", ["stream", "astream"])
    @pytest.mark.parametrize(
        ("kind", "error"), [("throttlingException", RateLimited), ("validationException", InvalidRequest)]
    )
    def test_an_exception_in_mid_stream_is_typed_and_keeps_what_arrived(
        self, way: Way, kind: str, error: type[GenkitError]
    ) -> None:
        broken = frame(kind, {"message": "Enough."}, message_type="exception")
        with pytest.raises(error, match=r"Enough\.") as caught:
            asked(streams(*BEGUN, broken), way)
        assert caught.value.request_id == "req-7"
        assert caught.value.response is not None
        assert caught.value.response.text == "Hello you"
        assert not caught.value.response.complete

    @pytest.mark.parametrize("way", ["stream", "astream"])
    def test_a_wrong_checksum_ends_the_stream(self, way: Way) -> None:
        torn = bytearray(WHOLE[2])
        torn[-1] ^= 1
        with pytest.raises(BadResponse, match="checksum"):
            asked(streams(*WHOLE[:2], bytes(torn), *WHOLE[3:]), way)

    @pytest.mark.parametrize("way", ["stream", "astream"])
    @pytest.mark.parametrize("end", [True, False])
    def test_a_stream_that_is_cut_says_so(self, way: Way, end: bool) -> None:
        with pytest.raises(StreamInterrupted) as caught:
            asked(streams(*BEGUN, end=end), way)
        assert caught.value.response is not None
        assert caught.value.response.text == "Hello you"

    @pytest.mark.parametrize("way", ["stream", "astream"])
    def test_a_stream_whose_counts_are_missing_is_whole(self, way: Way) -> None:
        response = asked(streams(*WHOLE[:-1]), way)
        assert (response.text, response.finish, response.usage.total) == ("Hello you", "stop", None)

    @pytest.mark.parametrize("way", ["stream", "astream"])
    @pytest.mark.parametrize("tail", ["held", "cut", "half"])
    def test_an_answer_outlives_what_keeps_its_counts_away(
        self, way: Way, tail: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(call: Call) -> None:
            call.head(200, {"content-type": "application/vnd.amazon.eventstream"})
            for piece in WHOLE[:-1]:
                call.chunk(piece)
            if tail == "half":
                call.chunk(WHOLE[-1][:20])
                call.end()
            elif tail == "cut":
                call.hang_up()
            else:
                call.hold()

        monkeypatch.setattr("genkit.backends.bedrock.answers._GRACE_S", 0.05)
        response = asked(script, way)
        assert (response.text, response.finish, response.complete) == ("Hello you", "stop", True)
        assert response.usage.total is None
        assert "usage" in {warning.subject for warning in response.warnings if warning.kind == "note"}

    @pytest.mark.parametrize("way", ["stream", "astream"])
    def test_an_answer_outlives_the_idle_limit_but_half_of_one_does_not(self, way: Way) -> None:
        def script(call: Call) -> None:
            call.head(200, {"content-type": "application/vnd.amazon.eventstream"})
            for piece in WHOLE[: -1 if len(far.requests) == 1 else -2]:
                call.chunk(piece)
            call.hold()

        with FarEnd(script) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            assert respond(backend, request("Hi", timeout=Timeouts(idle=0.1)), way).text == "Hello you"
            with pytest.raises(Timeout):
                respond(backend, request("Hi", timeout=Timeouts(idle=0.1)), way)
            backend.close()

    @pytest.mark.parametrize("way", ["stream", "astream"])
    def test_a_whole_answer_in_place_of_a_stream_is_taken(self, way: Way) -> None:
        data = b'{"output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}}, "stopReason": "end_turn"}'
        assert asked(lambda call: call.answer(data), way).text == "Hi."

    def test_leaving_a_stream_ends_its_connection_so_that_bedrock_stops(self) -> None:
        def script(call: Call) -> None:
            call.head(200, {"content-type": "application/vnd.amazon.eventstream"})
            for piece in BEGUN:
                call.chunk(piece)
            call.hold()

        with FarEnd(script) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            stream: Any = backend.stream(request("Hi"))
            next(stream)
            stream.close()
            assert far.hung_up.wait(5)
            backend.close()

    def test_a_cancelled_task_ends_its_connection(self) -> None:
        def script(call: Call) -> None:
            call.head(200, {"content-type": "application/vnd.amazon.eventstream"})
            for piece in BEGUN:
                call.chunk(piece)
            call.hold()

        async def cancelled(backend: Bedrock) -> None:
            stream: Any = backend.astream(request("Hi"))
            await anext(stream)

            async def rest() -> None:
                async for _ in stream:
                    pass

            task = asyncio.ensure_future(rest())
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await asyncio.to_thread(far.hung_up.wait, 5)
            await backend.aclose()

        with FarEnd(script) as far:
            asyncio.run(cancelled(Bedrock(base_url=far.url, region=REGION)))

    def test_many_streams_run_on_one_event_loop_without_a_thread_each(self) -> None:
        """boto3 would need a thread per call."""
        import threading

        async def all_at_once(backend: Bedrock) -> int:
            async def one() -> str:
                return "".join([e.text async for e in backend.astream(request("Hi")) if e.kind == "text_delta"])

            before = threading.active_count()
            texts = await asyncio.gather(*(one() for _ in range(20)))
            assert set(texts) == {"Hello you"}
            await backend.aclose()
            return before

        with FarEnd(streams(*WHOLE)) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            names = {thread.name for thread in threading.enumerate()}
            asyncio.run(all_at_once(backend))
            assert not [t.name for t in threading.enumerate() if t.name.startswith("asyncio_") and t.name not in names]


class TestHealth:
    def test_a_far_end_that_takes_the_signature_is_ready_and_no_model_was_asked(self) -> None:
        with FarEnd(speak_bedrock) as far, LLM(f"bedrock:{NOVA}", base_url=far.url, region=REGION) as llm:
            health = llm.health()
            assert (health.state, health.address) == ("ready", f"{far.url}/model/none/converse")

    def test_a_signature_that_is_not_taken_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with FarEnd(speak_bedrock) as far, LLM(f"bedrock:{NOVA}", base_url=far.url, region=REGION) as llm:
            assert llm.health().state == "refused"

    @pytest.mark.parametrize("status", [404, 429, 503])
    def test_a_page_in_place_of_its_answer_is_failing(self, status: int) -> None:
        with (
            FarEnd(answer(b"<html>", status=status)) as far,
            LLM(f"bedrock:{NOVA}", base_url=far.url, region=REGION) as llm,
        ):
            assert llm.health().state == "failing"

    def test_without_a_region_it_is_unconfigured(self) -> None:
        health = Bedrock().health(online=False)
        assert (health.state, "AWS_REGION" in health.message) == ("unconfigured", True)
        assert Bedrock(region=REGION).health(online=False).state == "configured"


class TestChecks:
    def test_everything_that_would_be_lost_is_told_beforehand(self) -> None:
        llm = LLM(f"bedrock:{LLAMA}", on_unsupported="warn")
        found = llm.check("Hi", stop="END", seed=1, tool_choice="required", n=2)
        assert sorted((item.kind, item.subject) for item in found) == [
            ("dropped", "n"),
            ("dropped", "seed"),
            ("error", "stop"),
            ("error", "tool_choice"),
        ]
        assert llm.check("Hi") == ()


class TestCounting:
    def test_tokens_are_counted_by_the_models_own_id(self) -> None:
        with FarEnd(speak_bedrock) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            history = (Message.system("Be brief."), "Go", Message.assistant(call()), Message.tool(result("t1", "42")))
            assert backend.count_tokens(request(*history, model=f"us.{CLAUDE_45}", max_tokens=9)) > 0
            backend.close()
        (received,) = far.requests
        assert received.target == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"
        assert b"inferenceConfig" not in received.body

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_media_by_address_are_counted_by_their_bytes(self, asynchronous: bool) -> None:
        png = b"\x89PNG\r\n\x1a\n and so on"

        def script(call: Call) -> None:
            call.answer(png if call.request.target == "/a.png" else b'{"inputTokens": 3}')

        with FarEnd(script) as far:
            backend = Bedrock(base_url=far.url, region=REGION, fetch=FetchPolicy(allow_private=True))
            counted = request(Message.user("See", Image(f"{far.url}/a.png")))
            if asynchronous:

                async def count() -> int:
                    found = await backend.acount_tokens(counted)
                    await backend.aclose()
                    return found

                assert asyncio.run(count()) == 3
            else:
                assert backend.count_tokens(counted) == 3
            backend.close()
        sent = json.loads(far.requests[-1].body)["input"]["converse"]["messages"][0]["content"][1]["image"]
        assert base64.b64decode(sent["source"]["bytes"]) == png

    def test_nothing_is_fetched_for_a_model_that_is_not_counted(self) -> None:
        with FarEnd(lambda call: call.answer(b"")) as far, pytest.raises(Unsupported, match="token counting"):
            Bedrock(fetch=FetchPolicy(allow_private=True)).count_tokens(
                request(Message.user("See", Image(f"{far.url}/a.png")), model="us.mistral.pixtral-large-2502-v1:0")
            )
        assert far.requests == []

    def test_models_that_are_not_counted_are_refused(self) -> None:
        with pytest.raises(Unsupported, match="token counting"):
            Bedrock().count_tokens(request("Hi", model=LLAMA))

    def test_an_answer_without_a_count_is_a_bad_response(self) -> None:
        with FarEnd(lambda call: call.answer(b"{}")) as far:
            backend = Bedrock(base_url=far.url, region=REGION)
            with pytest.raises(BadResponse, match="no count"):
                backend.count_tokens(request("Hi"))
            backend.close()


def test_time_limits_hold_for_counting_and_embedding_too() -> None:
    from genkit.types import EmbedRequest, Settings

    with FarEnd(lambda call: call.hold()) as far:
        backend = Bedrock(base_url=far.url, region=REGION)
        with pytest.raises(Timeout):
            backend.count_tokens(request("Hi", timeout=Timeouts(total=0.05)))
        limited = EmbedRequest(
            model="amazon.titan-embed-text-v2:0", texts=("x",), settings=Settings(timeout=Timeouts(total=0.05))
        )
        with pytest.raises(Timeout):
            backend.embed(limited)
        backend.close()
