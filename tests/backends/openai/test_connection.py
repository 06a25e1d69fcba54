"""Addresses, keys, tokens and official clients."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import openai as sdk
import pytest
from pydantic import SecretStr

from genkit.backends.openai import OpenAI
from genkit.backends.openai.connection import ENTRA_SCOPE, TokenSource
from genkit.errors import (
    AuthenticationFailed,
    ConfigError,
    GenkitError,
    MissingCredential,
    Phase,
    StreamInterrupted,
    Timeout,
)
from genkit.types import EmbedRequest, Message, Request, Settings, Timeouts
from tests.farend import Call, FarEnd, Received

KEY = "sk-very-secret-1234567890"
ANSWER = {"id": "c", "model": "m", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
VECTORS = {"data": [{"index": 0, "embedding": [1.0]}]}
RESPONSE = {"id": "r", "model": "m", "status": "completed", "output": []}


def ask(model: str = "m", **settings: Any) -> Request:
    return Request(model=model, messages=(Message.user("Hi"),), settings=Settings(**settings))


def tell(call: Call) -> None:
    """Answer every interface."""
    path = call.request.target.partition("?")[0]
    data = VECTORS if path.endswith("/embeddings") else RESPONSE if path.endswith("/responses") else ANSWER
    call.answer(json.dumps(data).encode())


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with FarEnd(tell) as far:
        yield far


def sent(far: FarEnd, backend: OpenAI, request: Request | None = None) -> Received:
    """Return what a call of `backend` sends."""
    backend.generate(request or ask())
    backend.close()
    return far.requests[-1]


def asent(far: FarEnd, backend: OpenAI, *requests: Request) -> Received:
    """Return what an asynchronous call of `backend` sends."""

    async def go() -> None:
        await asyncio.gather(*[backend.agenerate(request) for request in requests or (ask(),)])
        await backend.aclose()

    asyncio.run(go())
    return far.requests[-1]


# ---------------------------------------------------------------- addresses


def test_openai_is_asked_at_its_own_address() -> None:
    assert OpenAI().plan(ask("gpt-5")).url == "https://api.openai.com/v1/responses"
    assert OpenAI(api="chat").plan(ask("gpt-5")).url == "https://api.openai.com/v1/chat/completions"


def test_another_address_speaks_chat_and_may_end_with_a_slash(far: FarEnd) -> None:
    assert sent(far, OpenAI(base_url=far.url + "/v1/")).target == "/v1/chat/completions"


def test_the_address_may_come_from_the_environment(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OpenAI()
    monkeypatch.setenv("OPENAI_BASE_URL", far.url + "/v1")
    assert sent(far, backend).target == "/v1/chat/completions"


def test_responses_can_be_forced_at_another_address(far: FarEnd) -> None:
    assert sent(far, OpenAI(base_url=far.url, api="responses")).target == "/responses"


def test_a_regional_address_is_openais_own() -> None:
    assert OpenAI(base_url="https://eu.api.openai.com/v1").plan(ask("gpt-5")).api == "responses"


def test_an_address_that_only_looks_like_openais_is_not(far: FarEnd) -> None:
    assert OpenAI(base_url="https://api.openai.com.example.org/v1").plan(ask("gpt-5")).api == "chat"


def test_a_query_in_the_address_goes_into_every_url(far: FarEnd) -> None:
    assert sent(far, OpenAI(base_url=far.url + "/v1?tenant=a")).target == "/v1/chat/completions?tenant=a"


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://x/v1", "/v1", "x", "https://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="not absolute"):
        OpenAI(base_url=address).plan(ask())


@pytest.mark.parametrize("address", ["http://[::1/v1", "http://h:99999/v1", "http://h:port/v1"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="malformed"):
        OpenAI(base_url=address).plan(ask())


@pytest.mark.parametrize(
    "address",
    ["http://bob:S3cret/pw@host/v1", "bob:S3cret@host/v1", "http://bob:S3cret@host/v1", "http://[b:S3cret@host/v1"],
)
def test_an_address_with_a_password_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAI(base_url=address).plan(ask())
    assert "S3cret" not in str(caught.value)
    assert "S3cret" not in str(caught.value.__cause__)


def test_vertex_has_one_global_address_and_one_per_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    backend = OpenAI(name="vertex-openai", api_key="k")
    for location, host in (("global", "aiplatform"), ("europe-west4", "europe-west4-aiplatform")):
        monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", location)
        url = backend.plan(ask("google/gemini-2.5-pro")).url
        assert url.startswith(f"https://{host}.googleapis.com/v1/projects/p/locations/{location}/")


def test_an_address_with_the_interface_in_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="/chat/completions"):
        OpenAI(base_url="http://localhost/v1/chat/completions").plan(ask())


def test_bedrocks_route_takes_its_region_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    plan = OpenAI(name="bedrock-openai").plan(ask("openai.gpt-oss-20b-1:0"))
    assert plan.url == "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions"


def test_a_missing_region_is_named_when_asked_and_a_placeholder_when_planned() -> None:
    backend = OpenAI(name="bedrock-openai", api_key="k")
    assert "<AWS_REGION>" in backend.plan(ask()).url
    with pytest.raises(ConfigError, match="AWS_REGION or AWS_DEFAULT_REGION"):
        backend.generate(ask())


def test_any_name_works_with_an_address(far: FarEnd) -> None:
    backend = OpenAI(name="mine", base_url=far.url)
    assert backend.generate(ask()).backend == "mine"
    backend.close()


def test_native_data_of_one_address_is_foreign_at_another() -> None:
    origins = {
        OpenAI(base_url=url).encode(ask(), stream=False).origin
        for url in (None, "http://a.invalid", "http://b.invalid")
    }
    assert len(origins) == 3


def test_an_unknown_interface_is_refused() -> None:
    with pytest.raises(ConfigError, match="assistants"):
        OpenAI(api="assistants")  # type: ignore[arg-type]


# ---------------------------------------------------------------- keys


def test_making_a_backend_needs_no_key_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from genkit.backends.openai import OpenAI; OpenAI(); OpenAI(name='azure'); OpenAI(name='groq');"
        "bad = {'openai', 'azure', 'httpx', 'httpx2', 'httpcore2', 'aiohttp', 'numpy', 'torch'} & set(sys.modules);"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai", "OPENAI_API_KEY"), ("groq", "GROQ_API_KEY"), ("bedrock-openai", "AWS_BEARER_TOKEN_BEDROCK")],
)
def test_a_missing_key_names_the_variable_and_the_argument(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(MissingCredential, match=rf"{variable}.*api_key="):
        OpenAI(name=name).generate(ask())
    with pytest.raises(MissingCredential, match=variable):
        asyncio.run(OpenAI(name=name).agenerate(ask()))


def test_a_missing_key_of_a_stream_is_told_at_its_first_event() -> None:
    with pytest.raises(MissingCredential):
        next(OpenAI().stream(ask()))


def test_servers_on_this_machine_need_no_key(far: FarEnd) -> None:
    assert "authorization" not in sent(far, OpenAI(name="ollama", base_url=far.url)).headers
    assert "authorization" not in sent(far, OpenAI(base_url=far.url)).headers


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY), lambda: KEY])
def test_a_key_is_sent_as_a_bearer_token(far: FarEnd, key: Any) -> None:
    assert sent(far, OpenAI(base_url=far.url, api_key=key)).headers["authorization"] == f"Bearer {KEY}"
    assert asent(far, OpenAI(base_url=far.url, api_key=key)).headers["authorization"] == f"Bearer {KEY}"


def test_a_key_of_the_environment_is_read_at_the_call(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OpenAI(name="groq", base_url=far.url)
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert sent(far, backend).headers["authorization"] == f"Bearer {KEY}"


def test_an_empty_variable_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(MissingCredential):
        OpenAI().generate(ask())


@pytest.mark.parametrize("key", [KEY + "\n", KEY[:9] + " " + KEY[9:], KEY + "é", "\t" + KEY, KEY + "\x00"])
def test_a_key_with_stray_characters_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="api_key=") as caught:
        OpenAI(api_key=key)
    assert "secret" not in str(caught.value)
    if "\x00" not in key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
            OpenAI().generate(ask())
        assert "secret" not in str(caught.value)


def test_a_function_for_the_key_is_called_for_every_request_and_not_on_the_event_loop(far: FarEnd) -> None:
    threads: list[int] = []

    def key() -> str:
        threads.append(threading.get_ident())
        return f"key-{len(threads)}"

    backend = OpenAI(base_url=far.url, api_key=key)
    asent(far, backend, ask())
    assert sent(far, backend).headers["authorization"] == "Bearer key-2"
    assert threads[0] != threading.get_ident()


def failing() -> str:
    raise RuntimeError(KEY)


@pytest.mark.parametrize(("key", "kind"), [(failing, AuthenticationFailed), (lambda: "", MissingCredential)])
def test_a_function_that_gives_no_key_is_a_typed_error(
    far: FarEnd, key: Callable[[], str], kind: type[GenkitError]
) -> None:
    with pytest.raises(kind) as caught:
        OpenAI(base_url=far.url, api_key=key).generate(ask())
    assert KEY not in str(caught.value)
    with pytest.raises(kind):
        asyncio.run(OpenAI(base_url=far.url, api_key=key).agenerate(ask()))


@pytest.mark.parametrize("phase", ["first", "total"])
def test_a_function_that_is_slow_to_give_the_key_is_held_to_the_time_limits(far: FarEnd, phase: Phase) -> None:
    go = threading.Event()

    def key() -> str:
        go.wait(10)
        return KEY

    async def akey() -> str:
        await asyncio.sleep(10)
        return KEY

    limits = Timeouts(**{phase: 0.1})
    began = time.monotonic()
    calls: list[Callable[[], Any]] = [
        lambda: OpenAI(base_url=far.url, api_key=key).generate(ask(timeout=limits)),
        lambda: list(OpenAI(base_url=far.url, api_key=key).stream(ask(timeout=limits))),
        lambda: asyncio.run(OpenAI(base_url=far.url, api_key=key).agenerate(ask(timeout=limits))),
        lambda: asyncio.run(OpenAI(base_url=far.url, api_key=akey).agenerate(ask(timeout=limits))),  # type: ignore[arg-type]  # asynchronous ones are taken, too
        lambda: asyncio.run(anext(OpenAI(base_url=far.url, api_key=key).astream(ask(timeout=limits)))),  # type: ignore[arg-type]  # an awaitable
    ]
    for call in calls:
        with pytest.raises(Timeout, match=r"no credential within 0\.1 s") as caught:
            call()
        assert (caught.value.phase, caught.value.sent, caught.value.backend) == (phase, False, "openai")
    assert time.monotonic() - began < 3
    assert not far.requests
    go.set()


def test_a_key_that_is_there_needs_no_thread(far: FarEnd) -> None:
    assert not OpenAI(base_url=far.url, api_key=KEY).may_wait()
    assert not OpenAI(name="ollama").may_wait()
    assert not OpenAI(base_url=far.url, api_key=lambda: KEY, headers={"authorization": "x"}).may_wait()
    assert not OpenAI(client=sdk.OpenAI(base_url=far.url, api_key=KEY)).may_wait()
    assert OpenAI(base_url=far.url, api_key=lambda: KEY).may_wait()
    assert OpenAI(name="azure", base_url=far.url).may_wait()
    assert not OpenAI(name="azure", base_url=far.url, api_key=KEY).may_wait()


def test_a_function_that_fails_is_an_authentication_failure_without_its_words(far: FarEnd) -> None:
    def key() -> str:
        raise RuntimeError(KEY)

    async def akey() -> str:
        raise RuntimeError(KEY)

    async def refused() -> str:
        raise ConfigError("typed already")

    for function in (key, akey):
        backend = OpenAI(base_url=far.url, api_key=function)  # type: ignore[arg-type]  # asynchronous ones are taken, too
        with pytest.raises(AuthenticationFailed, match=r"failed \(RuntimeError\)") as caught:
            asyncio.run(backend.agenerate(ask()))
        assert KEY not in str(caught.value)
        assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ConfigError, match="typed already"):
        asyncio.run(OpenAI(base_url=far.url, api_key=refused).agenerate(ask()))  # type: ignore[arg-type]  # as above


def test_a_header_of_ones_own_replaces_the_key(far: FarEnd) -> None:
    backend = OpenAI(base_url=far.url, api_key=KEY, headers={"Authorization": "Basic abc", "X-Team": "a"})
    headers = sent(far, backend).headers
    assert (headers["authorization"], headers["x-team"]) == ("Basic abc", "a")


def test_organization_and_project_are_sent(far: FarEnd) -> None:
    headers = sent(far, OpenAI(base_url=far.url, organization="org-1", project="proj-1")).headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


def test_the_organization_of_the_environment_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    assert OpenAI().plan(ask("gpt-5")).headers["openai-organization"] == "org-1"
    assert "openai-organization" not in OpenAI(base_url="http://other.invalid").plan(ask()).headers


# ---------------------------------------------------------------- secrets


def test_a_plan_needs_no_key_and_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OpenAI().plan(ask("gpt-5")).headers["authorization"] == "Bearer <OPENAI_API_KEY>"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for backend in (
        OpenAI(),
        OpenAI(api_key=KEY),
        OpenAI(api_key=lambda: KEY),
        OpenAI(headers={"authorization": KEY, "x-api-key": KEY, "x-team": "a"}),
        OpenAI(client=sdk.OpenAI(api_key=KEY, default_headers={"authorization": KEY})),
        OpenAI(client=sdk.OpenAI(api_key=KEY)),
    ):
        plan = backend.plan(ask("gpt-5"), stream=True)
        assert KEY not in plan.model_dump_json()
        assert "authorization" in plan.headers


def test_headers_of_ones_own_are_shown_by_name_alone_unless_they_are_known_to_be_harmless() -> None:
    headers = {"x-pass": KEY, "cf-access-client-id": KEY, "x-empty": "", "user-agent": "mine/1", "x-title": "Mine"}
    backend = OpenAI(base_url="http://localhost/v1?api-version=1&signature=abc", headers=headers)
    plan = backend.plan(ask())
    assert {name: plan.headers[name] for name in headers} == {
        "x-pass": "<headers['x-pass']>",
        "cf-access-client-id": "<headers['cf-access-client-id']>",
        "x-empty": "",
        "user-agent": "mine/1",
        "x-title": "Mine",
    }
    assert plan.url == "http://localhost/v1/chat/completions?api-version=1&signature=***"


def test_secrets_stay_out_of_reprs_errors_and_logs(far: FarEnd, caplog: pytest.LogCaptureFixture) -> None:
    backend = OpenAI(base_url=far.url, api_key=KEY, headers={"x-api-key": KEY})
    far.script = lambda call: call.answer(b'{"error": {"message": "no"}}', status=401)
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationFailed) as caught:
        backend.generate(ask())
    backend.close()
    http = backend.sign(backend.encode(ask(), stream=False), b"{}")
    shown = [repr(backend), repr(backend._connection), repr(http), repr(caught.value), str(caught.value), caplog.text]
    assert not any(KEY in text for text in shown)


# ---------------------------------------------------------------- Azure


@pytest.mark.parametrize("ending", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
def test_azures_v1_route_is_found_from_the_endpoint(far: FarEnd, ending: str) -> None:
    received = sent(far, OpenAI(name="azure", base_url=far.url + ending, api_key=KEY), ask("gpt-5"))
    assert received.target == "/openai/v1/responses"
    assert received.headers["api-key"] == KEY
    assert "authorization" not in received.headers


def test_azures_dated_route_of_a_deployment_speaks_chat(far: FarEnd) -> None:
    address = far.url + "/openai/deployments/mine?api-version=2024-10-21"
    target = sent(far, OpenAI(name="azure", base_url=address, api_key=KEY), ask("mine")).target
    assert target == "/openai/deployments/mine/chat/completions?api-version=2024-10-21"


def test_azures_endpoint_and_key_come_from_the_environment(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OpenAI(name="azure")
    assert backend.plan(ask()).url == "https://<AZURE_OPENAI_ENDPOINT>/openai/v1/responses"
    with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
        backend.generate(ask())
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", far.url)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert sent(far, backend, ask(seed=1)).headers["api-key"] == KEY


def test_a_deployment_of_any_name_keeps_its_settings() -> None:
    body = OpenAI(name="azure", api="chat").plan(ask("production", temperature=0.5, max_tokens=9)).body
    assert (body["temperature"], body["max_completion_tokens"]) == (0.5, 9)


@dataclass
class Token:
    token: str
    expires_on: float


@dataclass
class FakeCredential:
    """A credential that counts how often it is asked, and by whom."""

    lifetime: float = 3600
    slow: float = 0.0
    fails: bool = False
    scopes: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def get_token(self, *scopes: str) -> Token:
        self.scopes += scopes
        self.threads.add(threading.get_ident())
        time.sleep(self.slow)
        if self.fails:
            raise RuntimeError(KEY)
        return Token(f"token-{len(self.scopes)}", time.time() + self.lifetime)


class AsyncCredential(FakeCredential):
    """The kind of azure.identity.aio."""

    async def get_token(self, *scopes: str) -> Token:  # type: ignore[override]
        await asyncio.sleep(self.slow)
        return super().get_token(*scopes)


def azure(far: FarEnd, credential: Any) -> OpenAI:
    return OpenAI(name="azure", base_url=far.url, credential=credential)


class OddCredential(FakeCredential):
    """One that gives the bare token."""

    def get_token(self, *scopes: str) -> Any:
        return KEY


class OddAsyncCredential(FakeCredential):
    """Its twin of azure.identity.aio."""

    async def get_token(self, *scopes: str) -> Any:  # type: ignore[override]
        return KEY


def test_a_credential_that_gives_something_else_than_a_token_object_is_refused(far: FarEnd) -> None:
    with pytest.raises(AuthenticationFailed, match="OddCredential") as caught:
        azure(far, OddCredential()).generate(ask())
    assert KEY not in str(caught.value)
    with pytest.raises(AuthenticationFailed, match="OddAsyncCredential"):
        asyncio.run(azure(far, OddAsyncCredential()).agenerate(ask()))


def test_an_entra_token_is_a_bearer_token_and_is_kept(far: FarEnd) -> None:
    credential = FakeCredential()
    backend = azure(far, credential)
    received = [sent(far, backend), sent(far, backend), asent(far, backend)]
    assert [r.headers["authorization"] for r in received] == ["Bearer token-1"] * 3
    assert credential.scopes == [ENTRA_SCOPE]
    assert "api-key" not in received[0].headers


def test_a_token_that_is_over_is_replaced(far: FarEnd) -> None:
    backend = azure(far, FakeCredential(lifetime=0))
    assert [sent(far, backend).headers["authorization"] for _ in range(2)] == ["Bearer token-1", "Bearer token-2"]


REFUSED = b'{"error": {"code": "401", "message": "Access token is missing, invalid, or expired."}}'


def test_a_token_that_is_refused_is_given_up_and_the_request_sent_once_more(far: FarEnd) -> None:
    credential = FakeCredential()
    far.script = refusing("Bearer token-1", far.script)
    assert sent(far, azure(far, credential)).headers["authorization"] == "Bearer token-2"
    assert asent(far, azure(far, FakeCredential())).headers["authorization"] == "Bearer token-2"


def refusing(what: str, script: Any) -> Any:
    def refuse(call: Any) -> None:
        if call.request.headers["authorization"] == what:
            call.answer(REFUSED, status=401)
        else:
            script(call)

    return refuse


@pytest.mark.parametrize("tokens", [["a", "b"], ["a", "a"]])
def test_a_token_is_refused_twice_at_most_and_the_same_one_is_not_sent_again(tokens: list[str]) -> None:
    class Credential:
        def get_token(self, *scopes: str) -> Any:
            return SimpleNamespace(token=given.pop(0), expires_on=time.time() + 3600)

    given = list(tokens)
    with FarEnd(lambda call: call.answer(REFUSED, status=401)) as far:
        with pytest.raises(AuthenticationFailed, match="expired"):
            azure(far, Credential()).generate(ask())
        assert [one.headers["authorization"] for one in far.requests] == [
            f"Bearer {one}" for one in dict.fromkeys(tokens)
        ]


def test_a_key_that_is_refused_is_sent_once(far: FarEnd) -> None:
    with FarEnd(lambda call: call.answer(REFUSED, status=401)) as refusing_end:
        with pytest.raises(AuthenticationFailed):
            OpenAI(name="azure", base_url=refusing_end.url, api_key=lambda: KEY).generate(ask())
        assert len(refusing_end.requests) == 1


def test_a_token_is_fetched_in_a_worker_thread_and_never_twice_at_once(far: FarEnd) -> None:
    credential = FakeCredential(slow=0.05)
    asent(far, azure(far, credential), *[ask()] * 8)
    assert len(credential.scopes) == 1
    assert threading.get_ident() not in credential.threads


def test_threads_share_one_fetch_too() -> None:
    credential = FakeCredential(slow=0.05)
    source = TokenSource(credential, name="azure")
    threads = [threading.Thread(target=source.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(credential.scopes) == 1


def test_an_asynchronous_credential_is_awaited_once_for_all(far: FarEnd) -> None:
    credential = AsyncCredential(slow=0.02)
    received = asent(far, azure(far, credential), *[ask()] * 8)
    assert received.headers["authorization"] == "Bearer token-1"
    assert len(credential.scopes) == 1


def test_an_asynchronous_credential_works_in_one_event_loop_after_another(far: FarEnd) -> None:
    backend = azure(far, AsyncCredential(lifetime=0))
    assert [asent(far, backend).headers["authorization"] for _ in range(2)] == ["Bearer token-1", "Bearer token-2"]


def test_an_asynchronous_credential_cannot_serve_a_blocking_call(far: FarEnd) -> None:
    with pytest.raises(ConfigError, match="asynchronous"):
        azure(far, AsyncCredential()).generate(ask())


def test_a_credential_that_fails_is_an_authentication_failure_with_its_cause(far: FarEnd) -> None:
    with pytest.raises(AuthenticationFailed, match="FakeCredential") as caught:
        azure(far, FakeCredential(fails=True)).generate(ask())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert KEY not in str(caught.value)


def test_a_credential_that_is_slow_is_held_to_the_time_limits(far: FarEnd) -> None:
    go = threading.Event()

    class Slow:
        def get_token(self, *scopes: str) -> Any:
            go.wait(10)

    backend = OpenAI(name="azure", base_url=far.url, credential=Slow())
    for call in (
        lambda: backend.generate(ask(timeout=Timeouts(total=0.1))),
        # The first one still holds the lock.
        lambda: backend.generate(ask(timeout=Timeouts(total=0.1))),
        lambda: asyncio.run(backend.agenerate(ask(timeout=Timeouts(total=0.1)))),
    ):
        began = time.monotonic()
        with pytest.raises(Timeout, match="no credential"):
            call()
        assert time.monotonic() - began < 1
    go.set()


def test_a_renewal_that_fails_early_keeps_the_old_token() -> None:
    credential = FakeCredential(lifetime=200)
    source = TokenSource(credential, name="azure")
    first = source.get()
    credential.fails = True
    assert source.get() == first


def test_without_key_and_azure_identity_the_error_says_how_to_get_either(
    far: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(MissingCredential, match=r"AZURE_OPENAI_API_KEY.*genkit-llm\[azure\]"):
        azure(far, None).generate(ask())


def test_without_a_key_the_default_credential_of_azure_identity_is_used(
    far: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Identity:
        DefaultAzureCredential = FakeCredential

    monkeypatch.setitem(sys.modules, "azure.identity", Identity)  # type: ignore[arg-type]
    assert sent(far, azure(far, None)).headers["authorization"] == "Bearer token-1"


def test_a_ready_made_entra_token_comes_from_the_environment(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "entra")
    assert sent(far, azure(far, None)).headers["authorization"] == "Bearer entra"


def test_a_credential_elsewhere_than_on_azure_is_refused() -> None:
    with pytest.raises(ConfigError, match="credential= is for Azure"):
        OpenAI(credential=FakeCredential())


# ---------------------------------------------------------------- official clients


def test_an_official_client_lends_address_key_and_identity(far: FarEnd) -> None:
    client = sdk.OpenAI(
        api_key=KEY,
        base_url=far.url + "/v1",
        organization="org-1",
        project="proj-1",
        default_headers={"X-Team": "a"},
        default_query={"tenant": "b c"},
    )
    received = sent(far, OpenAI(client=client))
    assert received.target == "/v1/chat/completions?tenant=b%20c"
    names = ("authorization", "openai-organization", "openai-project", "x-team", "user-agent")
    assert [received.headers[n] for n in names] == [f"Bearer {KEY}", "org-1", "proj-1", "a", "genkit-llm"]


def test_a_client_at_openais_address_gets_both_interfaces() -> None:
    assert OpenAI(client=sdk.OpenAI(api_key=KEY)).plan(ask("gpt-5")).url == "https://api.openai.com/v1/responses"


def test_an_asynchronous_client_serves_both_worlds(far: FarEnd) -> None:
    backend = OpenAI(client=sdk.AsyncOpenAI(api_key=KEY, base_url=far.url))
    assert sent(far, backend).headers["authorization"] == f"Bearer {KEY}"
    assert asent(far, backend).headers["authorization"] == f"Bearer {KEY}"


def test_a_clients_function_for_the_key_is_called_each_time(far: FarEnd) -> None:
    keys = iter(["one", "two", "three"])
    backend = OpenAI(client=sdk.OpenAI(api_key=lambda: next(keys), base_url=far.url))
    assert sent(far, backend).headers["authorization"] == "Bearer one"
    assert asent(far, backend).headers["authorization"] == "Bearer two"


def test_an_asynchronous_function_for_the_key_is_awaited_and_refused_by_blocking_calls(far: FarEnd) -> None:
    async def key() -> str:
        return "one"

    backend = OpenAI(client=sdk.AsyncOpenAI(api_key=key, base_url=far.url))
    assert asent(far, backend).headers["authorization"] == "Bearer one"
    with pytest.raises(ConfigError, match="asynchronous"):
        backend.generate(ask())


def test_an_azure_client_keeps_its_dated_routes(far: FarEnd) -> None:
    client = sdk.AzureOpenAI(api_key=KEY, azure_endpoint=far.url, api_version="2024-10-21")
    backend = OpenAI(name="azure", client=client)
    received = sent(far, backend, ask("a/b"))
    assert received.target == "/openai/deployments/a%2Fb/chat/completions?api-version=2024-10-21"
    assert received.headers["api-key"] == KEY
    backend.embed(EmbedRequest(model="e", texts=("x",)))
    assert far.requests[-1].target == "/openai/deployments/e/embeddings?api-version=2024-10-21"
    backend.close()


def test_an_azure_client_with_a_token_sends_it_as_a_bearer_token(far: FarEnd) -> None:
    fixed = sdk.AzureOpenAI(azure_ad_token="t1", azure_endpoint=far.url, api_version="2024-10-21")
    called = sdk.AzureOpenAI(azure_ad_token_provider=lambda: "t2", azure_endpoint=far.url, api_version="2024-10-21")
    for client, token in ((fixed, "t1"), (called, "t2")):
        headers = sent(far, OpenAI(name="azure", client=client)).headers
        assert headers["authorization"] == f"Bearer {token}"
        assert "api-key" not in headers


def test_an_azure_client_under_openais_name_is_azure_all_the_same(far: FarEnd) -> None:
    client = sdk.AzureOpenAI(api_key=KEY, azure_endpoint=far.url, api_version="2024-10-21")
    assert sent(far, OpenAI(client=client)).headers["api-key"] == KEY


@pytest.mark.parametrize("client", [object(), "client", {"api_key": KEY}])
def test_something_else_than_a_client_is_refused(client: object) -> None:
    with pytest.raises(ConfigError, match="client= takes"):
        OpenAI(client=client)


def test_a_client_and_a_key_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="either client="):
        OpenAI(client=sdk.OpenAI(api_key=KEY), api_key=KEY)


# ---------------------------------------------------------------- transport


def test_a_failed_call_names_its_backend(far: FarEnd) -> None:
    far.script = lambda call: call.answer(b"<html>gateway</html>", headers={"content-type": "text/html"})
    backend = OpenAI(name="groq", base_url=far.url, api_key=KEY)
    with pytest.raises(GenkitError, match="base URL") as caught:
        backend.generate(ask())
    assert caught.value.backend == "groq"
    backend.close()


@pytest.mark.parametrize("settings", [{"tool_choice": "required"}, {"stop": "x"}])
def test_a_request_that_cannot_be_sent_names_its_backend(settings: dict[str, Any]) -> None:
    with pytest.raises(GenkitError) as caught:
        OpenAI(api="chat").plan(ask("o3", **settings))
    assert caught.value.backend == "openai"


def test_a_stream_left_early_hangs_up(far: FarEnd) -> None:
    def script(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        call.chunk(b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n')
        call.hold()

    far.script = script
    backend = OpenAI(base_url=far.url)
    events = backend.stream(ask())
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert far.hung_up.wait(2)
    backend.close()


def test_an_answer_cut_off_in_a_frame_is_interrupted(far: FarEnd) -> None:
    def script(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        call.chunk(b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\ndata: {"cho')
        call.end()

    far.script = script
    backend = OpenAI(base_url=far.url)
    with pytest.raises(StreamInterrupted) as caught:
        list(backend.stream(ask()))
    assert caught.value.response is not None
    assert caught.value.response.text == "a"
    backend.close()


def test_an_address_with_a_fragment_is_refused_instead_of_losing_it():
    with pytest.raises(ConfigError, match="fragment"):
        OpenAI(base_url="https://example.com/v1#part").plan(ask("gpt-4o"))
