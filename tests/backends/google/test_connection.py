"""Addresses, keys, tokens and official clients."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from genkit.backends.google import Google
from genkit.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    MissingCredential,
    MissingExtra,
    Timeout,
)
from genkit.types import EmbedRequest, FetchPolicy, Image, Message, Request, Settings, Timeouts
from tests.backends.google.cases import candidate, request, whole
from tests.farend import Call, FarEnd, Received

PNG = b"\x89PNG\r\n\x1a\n and so on"
KEY = "a-very-secret-key-123456"
ANSWER = json.dumps(whole(candidate({"text": "Hi"}))).encode()


def tell(call: Call) -> None:
    """Answer a model's call, and what asks for tokens."""
    if call.request.target == "/token":
        call.answer(json.dumps({"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}).encode())
    elif call.request.target == "/sts":
        call.answer(
            json.dumps({"access_token": "federated", "expires_in": 3600, "token_type": "Bearer"} | STS).encode()
        )
    else:
        call.answer(ANSWER)


STS = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with FarEnd(tell) as far:
        yield far


def sent(far: FarEnd, backend: Google, asked: Request | None = None) -> Received:
    """Return what a call of `backend` sends."""
    backend.generate(asked or request())
    backend.close()
    return far.requests[-1]


def asent(far: FarEnd, backend: Google, times: int = 1) -> Received:
    """Return what an asynchronous call of `backend` sends."""

    async def go() -> None:
        await asyncio.gather(*[backend.agenerate(request()) for _ in range(times)])
        await backend.aclose()

    asyncio.run(go())
    return far.requests[-1]


def url(backend: Google, model: str = "m", *, stream: bool = False) -> str:
    """Return where a request would go."""
    return backend.plan(request(model=model), stream=stream).url


class Token:
    """Credentials as google-auth has them."""

    requires_scopes = False

    def __init__(self, *, lifetime: float | None = None, slow: float = 0.0, fails: Exception | None = None) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.lifetime, self.slow, self.fails = lifetime, slow, fails
        self.threads: list[int] = []

    @property
    def valid(self) -> bool:
        return self.token is not None

    def refresh(self, request: Any) -> None:
        self.threads.append(threading.get_ident())
        time.sleep(self.slow)
        if self.fails is not None:
            raise self.fails
        self.token = f"token-{len(self.threads)}"
        if self.lifetime is not None:
            self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=self.lifetime)


def cloud(far: FarEnd | None = None, credentials: Any = None, **options: Any) -> Google:
    """Return a backend for Vertex AI."""
    given = {"project": "p", "location": "global", **options}
    return Google(name="vertex", base_url=far.url if far else None, credentials=credentials, **given)


# ---------------------------------------------------------------- addresses


def test_the_gemini_api_is_asked_at_its_own_address() -> None:
    base = "https://generativelanguage.googleapis.com/v1beta/models"
    assert url(Google(), "gemini-2.5-flash") == f"{base}/gemini-2.5-flash:generateContent"
    assert url(Google(), "gemini-2.5-flash", stream=True) == f"{base}/gemini-2.5-flash:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a b", "models/a%20b"),
    ],
)
def test_names_of_the_gemini_api_are_paths(model: str, path: str) -> None:
    assert url(Google(), model) == f"https://generativelanguage.googleapis.com/v1beta/{path}:generateContent"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_the_host_of_vertex_goes_by_the_location(location: str, host: str) -> None:
    path = f"v1beta1/projects/p/locations/{location}/publishers/google/models/m:generateContent"
    assert url(cloud(location=location)) == f"https://{host}/{path}"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "projects/p/locations/global/publishers/google/models/gemini-2.5-pro"),
        ("meta/llama-4", "projects/p/locations/global/publishers/meta/models/llama-4"),
        ("publishers/anthropic/models/c@1", "projects/p/locations/global/publishers/anthropic/models/c@1"),
        ("endpoints/123", "projects/p/locations/global/endpoints/123"),
    ],
)
def test_names_of_vertex_are_paths_in_the_project(model: str, path: str) -> None:
    assert url(cloud(), model) == f"https://aiplatform.googleapis.com/v1beta1/{path}:generateContent"


def test_a_full_name_brings_its_own_project_and_location() -> None:
    name = "projects/7/locations/europe-west1/endpoints/9"
    assert url(cloud(), name) == f"https://europe-west1-aiplatform.googleapis.com/v1beta1/{name}:generateContent"
    assert url(Google(name="vertex"), name) == url(cloud(), name)


def test_the_version_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/v1/models/" in url(Google(api_version="v1"))
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1alpha")
    assert "/v1alpha/models/" in url(Google())
    assert "/v1alpha/projects/" in url(cloud())
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "beta")
    assert "/v1beta/models/" in url(Google())
    assert "/v1beta1/projects/" in url(cloud())


@pytest.mark.parametrize(("base", "start"), [("/", "/v1beta/models/"), ("/gate/v1", "/gate/v1/models/")])
def test_another_address_may_have_its_own_version(far: FarEnd, base: str, start: str) -> None:
    assert sent(far, Google(base_url=far.url + base, api_key=KEY)).target.startswith(start)


@pytest.mark.parametrize("base", ["gateway", "https://u:p@host", "https://host?x=1", "https://host:99999"])
def test_an_address_that_cannot_be_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Google(base_url=base, api_key=KEY).generate(request())


def test_project_and_location_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "env-p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east1")
    assert "us-east1-aiplatform.googleapis.com/v1beta1/projects/env-p/locations/us-east1/" in url(Google(name="vertex"))


ELSEWHERE = ["localhost:443/", "evil.example/", "a@evil.example", "evil.example#", "Europe-West4", "eu/../x", "a b"]


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_location_that_could_lead_to_another_host_is_refused(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    with pytest.raises(ConfigError, match="no location"):
        Google(name="vertex", project="p", location=location)
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", location)
    with pytest.raises(ConfigError, match="no location"):
        Google(name="vertex", project="p").plan(request())


def test_a_location_in_a_models_name_is_held_to_the_same() -> None:
    name = "projects/o/locations/a@evil.example:1/publishers/google/models/gemini-2.5-flash"
    with pytest.raises(ConfigError, match="no location"):
        cloud().plan(request(model=name))


@pytest.mark.parametrize("project", ["p/../q", "p?x=1", "p#", "p q", "../p"])
def test_a_project_that_could_lead_to_another_place_is_refused(monkeypatch: pytest.MonkeyPatch, project: str) -> None:
    with pytest.raises(ConfigError, match="no project"):
        Google(name="vertex", project=project, location="global")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    with pytest.raises(ConfigError, match="no project"):
        Google(name="vertex", location="global").plan(request())


def test_a_project_may_stand_behind_a_domain() -> None:
    plan = Google(name="vertex", project="example.com:p-1", location="global").plan(request())
    assert "/projects/example.com:p-1/locations/global/" in plan.url


def test_a_missing_location_says_what_to_set(far: FarEnd) -> None:
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_LOCATION"):
        cloud(credentials=Token(), location=None).generate(request())


def test_a_missing_project_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="GOOGLE_CLOUD_PROJECT"):
        cloud(credentials=Token(), project=None).generate(request())


def test_the_project_of_the_credentials_is_used(far: FarEnd) -> None:
    token = Token()
    token.project_id = "theirs"  # type: ignore[attr-defined]
    assert "/projects/theirs/" in sent(far, cloud(far, token, project=None)).target


# ---------------------------------------------------------------- keys


def test_google_api_key_wins(monkeypatch: pytest.MonkeyPatch, far: FarEnd) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "second")
    assert sent(far, Google(base_url=far.url)).headers["x-goog-api-key"] == "second"
    monkeypatch.setenv("GOOGLE_API_KEY", "first")
    assert sent(far, Google(base_url=far.url)).headers["x-goog-api-key"] == "first"


def test_a_missing_key_says_what_to_set() -> None:
    with pytest.raises(MissingCredential, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        Google().generate(request())


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY), lambda: KEY])
def test_a_key_may_be_given(far: FarEnd, key: Any) -> None:
    assert sent(far, Google(base_url=far.url, api_key=key)).headers["x-goog-api-key"] == KEY
    assert asent(far, Google(base_url=far.url, api_key=key)).headers["x-goog-api-key"] == KEY


def test_a_function_that_gives_the_key_may_be_asynchronous(far: FarEnd) -> None:
    async def key() -> str:
        return KEY

    source: Any = key
    assert asent(far, Google(base_url=far.url, api_key=source)).headers["x-goog-api-key"] == KEY
    with pytest.raises(ConfigError, match="a-methods"):
        Google(base_url=far.url, api_key=source).generate(request())


@pytest.mark.parametrize(("key", "kind"), [(lambda: "", MissingCredential), (lambda: 1 / 0, AuthenticationFailed)])
def test_a_function_that_gives_no_key_is_a_typed_error(key: Any, kind: Any) -> None:
    with pytest.raises(kind):
        Google(api_key=key).generate(request())


@pytest.mark.parametrize("key", ["with space", "line\n", "schlüssel"])
def test_a_key_that_cannot_be_in_a_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Google(api_key=key)
    assert key not in str(caught.value)


def test_a_header_that_authorizes_replaces_the_key(far: FarEnd) -> None:
    got = sent(far, cloud(far, headers={"Authorization": "Bearer mine"}))
    assert got.headers["authorization"] == "Bearer mine"
    assert "x-goog-api-key" not in got.headers


def test_the_express_mode_has_a_key_and_no_project(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"
    got = sent(far, Google(name="vertex", base_url=far.url, api_key=KEY))
    assert (got.target, got.headers["x-goog-api-key"]) == (path, KEY)
    monkeypatch.setenv("GOOGLE_API_KEY", "from-environment")
    got = sent(far, Google(name="vertex", base_url=far.url))
    assert (got.target, got.headers["x-goog-api-key"]) == (path, "from-environment")
    assert url(Google(name="vertex")).startswith("https://aiplatform.googleapis.com/v1beta1/publishers/")


def test_where_a_project_is_named_the_key_of_the_environment_is_not_vertexs(
    far: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    assert "x-goog-api-key" not in sent(far, cloud(far, Token())).headers


@pytest.mark.parametrize(
    "options",
    [{"project": "p"}, {"location": "global"}, {"credentials": Token()}],
    ids=lambda options: next(iter(options)),
)
def test_what_belongs_to_vertex_is_refused_elsewhere(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="vertex:"):
        Google(**options)


def test_key_and_credentials_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="not both"):
        cloud(credentials=Token(), api_key=KEY)


# ---------------------------------------------------------------- tokens


def test_a_token_is_fetched_once_and_kept(far: FarEnd) -> None:
    token = Token(lifetime=3600)
    backend = cloud(far, token)
    assert [sent(far, backend).headers["authorization"] for _ in range(2)] == ["Bearer token-1"] * 2


def test_a_token_that_is_over_is_replaced(far: FarEnd) -> None:
    backend = cloud(far, Token(lifetime=0))
    assert [sent(far, backend).headers["authorization"] for _ in range(2)] == ["Bearer token-1", "Bearer token-2"]


def test_the_token_that_credentials_have_is_used_until_it_ends_while_another_is_fetched(far: FarEnd) -> None:
    token, asked, go = Token(), threading.Event(), threading.Event()

    def refresh(_: Any) -> None:
        asked.set()
        go.wait(10)
        raise RuntimeError("down")

    token.token, token.refresh = "theirs", refresh  # type: ignore[method-assign]
    token.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=200)
    backend = cloud(far, token)
    assert sent(far, backend).headers["authorization"] == "Bearer theirs"
    assert asked.wait(5)
    assert asent(far, backend).headers["authorization"] == "Bearer theirs"
    go.set()


def test_a_token_that_somebody_else_renewed_is_taken_over(far: FarEnd) -> None:
    token = Token(lifetime=100)
    backend = cloud(far, token)
    assert sent(far, backend).headers["authorization"] == "Bearer token-1"
    token.token = "theirs"
    token.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=3600)
    assert sent(far, backend).headers["authorization"] == "Bearer theirs"
    assert len(token.threads) == 1


def test_a_token_that_is_refused_is_given_up_and_the_request_sent_once_more(far: FarEnd) -> None:
    refused = b'{"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "expired"}}'
    whole = far.script

    def script(call: Any) -> None:
        if call.request.headers["authorization"] == "Bearer token-1":
            call.answer(refused, status=401)
        else:
            whole(call)

    far.script = script
    assert sent(far, cloud(far, Token(lifetime=3600))).headers["authorization"] == "Bearer token-2"
    backend = cloud(far, Token(lifetime=3600))
    assert asent(far, backend).headers["authorization"] == "Bearer token-2"
    assert asent(far, backend).headers["authorization"] == "Bearer token-2"


def test_a_token_without_an_end_is_never_renewed(far: FarEnd) -> None:
    token = Token()
    token.token = "static"
    assert sent(far, cloud(far, token)).headers["authorization"] == "Bearer static"
    assert token.threads == []


def test_a_token_is_fetched_in_a_worker_thread_and_never_twice_at_once(far: FarEnd) -> None:
    token = Token(slow=0.05, lifetime=3600)
    asent(far, cloud(far, token), times=8)
    assert len(token.threads) == 1
    assert threading.get_ident() not in token.threads


def test_a_renewal_that_fails_early_keeps_the_old_token(far: FarEnd) -> None:
    token = Token(lifetime=100)
    backend = cloud(far, token)
    sent(far, backend)
    token.fails = RuntimeError("down")
    assert sent(far, backend).headers["authorization"] == "Bearer token-1"


def test_credentials_that_give_nothing_are_a_failed_authentication_with_its_cause() -> None:
    with pytest.raises(AuthenticationFailed, match="Token gave no access token") as caught:
        cloud(credentials=Token(fails=RuntimeError("no"))).generate(request())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert caught.value.backend == "vertex"


def test_asynchronous_credentials_are_refused_with_the_way_out() -> None:
    class Asynchronous(Token):
        async def refresh(self, request: Any) -> None:  # type: ignore[override]
            raise AssertionError

    with pytest.raises(ConfigError, match=r"google\.auth\.aio"):
        cloud(credentials=Asynchronous()).generate(request())


def test_scopes_are_asked_for_where_credentials_want_them(far: FarEnd) -> None:
    class Scoped(Token):
        requires_scopes = True

        def with_scopes(self, scopes: list[str]) -> Token:
            assert scopes == ["https://www.googleapis.com/auth/cloud-platform"]
            return Token()

    assert sent(far, cloud(far, Scoped())).headers["authorization"] == "Bearer token-1"


def test_the_project_that_is_billed_is_named(far: FarEnd) -> None:
    token = Token()
    token.quota_project_id = "payer"  # type: ignore[attr-defined]
    assert sent(far, cloud(far, token)).headers["x-goog-user-project"] == "payer"


def test_anonymous_credentials_send_no_token(far: FarEnd) -> None:
    from google.auth.credentials import AnonymousCredentials

    assert "authorization" not in sent(far, cloud(far, AnonymousCredentials())).headers


# ---------------------------------------------------------------- what google-auth finds


def account(far: FarEnd, tmp_path: Path) -> Path:
    """Write a service account's file whose tokens the far end gives."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {
        "type": "service_account",
        "project_id": "of-the-file",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "robot@of-the-file.iam.gserviceaccount.com",
        "token_uri": f"{far.url}/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(info), encoding="utf-8")
    return path


def test_a_service_account_signs_in_over_genkits_transport(
    far: FarEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(far, tmp_path)))
    got = sent(far, cloud(far, project=None))
    assert got.headers["authorization"] == "Bearer fresh"
    assert "/projects/of-the-file/locations/global/" in got.target
    asked = parse_qs(far.requests[0].body.decode())
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


def test_workload_identity_trades_its_token_for_googles(
    far: FarEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "subject").write_text("subject-token", encoding="utf-8")
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{far.url}/sts",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    (tmp_path / "identity.json").write_text(json.dumps(info), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "identity.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert asent(far, cloud(far, project=None)).headers["authorization"] == "Bearer federated"
    assert parse_qs(far.requests[0].body.decode())["subject_token"] == ["subject-token"]


def test_a_token_server_that_cannot_be_reached_is_a_failed_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FarEnd(tell) as gone:
        path = account(gone, tmp_path)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(ConnectionFailed, match="no access token"):
        cloud().generate(request())


def test_no_credentials_at_all_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MissingCredential, match=r"gcloud auth application-default login.*GOOGLE_APPLICATION_CREDENTIALS"
    ):
        cloud().generate(request())


def test_without_google_auth_the_error_is_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(MissingExtra, match=r"pip install 'genkit-llm\[google\]'"):
        cloud().generate(request())


def test_no_sdk_is_loaded_for_a_key() -> None:
    code = (
        "import sys; from genkit import LLM; LLM('google:m', api_key='k').plan('Hi'); LLM('vertex:m').plan('Hi');"
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_function_that_is_slow_to_give_the_key_is_held_to_the_time_limits(far: FarEnd) -> None:
    go = threading.Event()

    async def akey() -> str:
        await asyncio.sleep(10)
        return KEY

    asked = request().model_copy(update={"settings": Settings(timeout=Timeouts(total=0.1))})
    slow = Google(api_key=lambda: str(go.wait(10)), base_url=far.url)
    began = time.monotonic()
    with pytest.raises(Timeout, match="no credential"):
        slow.generate(asked)
    with pytest.raises(Timeout, match="no credential"):
        asyncio.run(slow.agenerate(asked))
    with pytest.raises(Timeout, match="no credential"):
        asyncio.run(Google(api_key=akey, base_url=far.url).agenerate(asked))  # type: ignore[arg-type]  # asynchronous ones are taken, too
    assert time.monotonic() - began < 3
    assert not Google(api_key=KEY).may_wait()
    go.set()


def test_an_asynchronous_function_that_fails_keeps_its_words_to_itself(far: FarEnd) -> None:
    async def key() -> str:
        raise RuntimeError(KEY)

    with pytest.raises(AuthenticationFailed, match=r"failed \(RuntimeError\)") as caught:
        asyncio.run(Google(api_key=key, base_url=far.url).agenerate(request()))  # type: ignore[arg-type]  # as above
    assert KEY not in str(caught.value)


# ---------------------------------------------------------------- plans


def test_a_plan_needs_no_credential_and_names_what_is_missing() -> None:
    plan = Google().plan(request())
    assert plan.headers["x-goog-api-key"] == "<GOOGLE_API_KEY>"
    plan = Google(name="vertex").plan(request())
    assert plan.headers["authorization"] == "Bearer <Google Cloud token>"
    assert "/projects/<GOOGLE_CLOUD_PROJECT>/locations/<GOOGLE_CLOUD_LOCATION>/" in plan.url


def test_a_plan_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    shown = [Google(), Google(api_key=KEY), Google(headers={"x-goog-api-key": KEY, "x-team": "a"})]
    plans = [backend.plan(request()) for backend in shown]
    assert KEY not in str(plans) + repr(shown)
    assert plans[0].headers["x-goog-api-key"] == "<GEMINI_API_KEY>"
    assert plans[2].headers["x-team"] == "<headers['x-team']>"


def test_health_asks_for_something_that_costs_nothing(far: FarEnd) -> None:
    assert Google(base_url=far.url, api_key=KEY).health().state == "ready"
    assert cloud(far, Token()).health().state == "ready"
    assert [one.method for one in far.requests] == ["GET", "GET"]
    assert [one.target for one in far.requests] == [
        "/v1beta/models?pageSize=1",
        "/v1beta1/publishers/google/models/gemini-2.5-flash",
    ]
    assert Google().health().state == "unconfigured"


# ---------------------------------------------------------------- official clients


def official(**options: Any) -> Any:
    """Return an official client."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google import genai

        return genai.Client(**options)


def test_a_clients_key_and_address_are_taken_over(far: FarEnd) -> None:
    client = official(
        api_key=KEY, http_options={"base_url": far.url, "api_version": "v1alpha", "headers": {"x-team": "a"}}
    )
    got = sent(far, Google(client=client))
    assert got.target.startswith("/v1alpha/models/")
    assert (got.headers["x-goog-api-key"], got.headers["x-team"]) == (KEY, "a")
    assert got.headers["user-agent"] == "genkit-llm"


def test_a_client_of_vertex_brings_project_location_and_identity(far: FarEnd) -> None:
    from google.oauth2.credentials import Credentials

    client = official(vertexai=True, project="theirs", location="europe-west4", credentials=Credentials("tok"))
    assert url(Google(name="vertex", client=client)).startswith(
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/theirs/locations/europe-west4/"
    )
    client = official(
        vertexai=True,
        project="theirs",
        location="europe-west4",
        credentials=Credentials("tok"),
        http_options={"base_url": far.url},
    )
    got = sent(far, Google(name="vertex", client=client))
    assert got.headers["authorization"] == "Bearer tok"


@pytest.mark.parametrize(("name", "vertexai"), [("google", True), ("vertex", False)])
def test_a_client_of_the_other_door_is_refused(name: str, vertexai: bool) -> None:
    from google.oauth2.credentials import Credentials

    given = {"project": "p", "location": "global", "credentials": Credentials("t")} if vertexai else {"api_key": KEY}
    with pytest.raises(ConfigError, match="client of"):
        Google(name=name, client=official(vertexai=vertexai, **given))


def test_something_else_in_place_of_a_client_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes a google\.genai\.Client, not a Token"):
        Google(client=Token())


def test_a_client_and_a_key_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="either client= or api_key="):
        Google(client=official(api_key=KEY), api_key=KEY)


def test_embeddings_and_counts_go_the_same_way(far: FarEnd) -> None:
    def answer(call: Call) -> None:
        data = {"embeddings": [{"values": [1.0]}]} if "Embed" in call.request.target else {"totalTokens": 3}
        call.answer(json.dumps(data).encode())

    with FarEnd(answer) as other:
        backend = Google(base_url=other.url, api_key=KEY)
        assert backend.embed(EmbedRequest(model="gemini-embedding-001", texts=("a",))).vectors == ((1.0,),)
        assert backend.count_tokens(request()) == 3
        backend.close()
    assert {one.headers["x-goog-api-key"] for one in other.requests} == {KEY}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_count_is_of_the_bytes_of_media_that_the_vendor_does_not_fetch(asynchronous: bool) -> None:
    def answer(call: Call) -> None:
        picture = call.request.target == "/a.png"
        call.answer(PNG if picture else b'{"totalTokens": 3}')

    with FarEnd(answer) as far:
        backend = Google(base_url=far.url, api_key=KEY, fetch=FetchPolicy(allow_private=True))
        asked = request(Message.user(Image(f"{far.url}/a.png")))
        if asynchronous:

            async def count() -> int:
                found = await backend.acount_tokens(asked)
                await backend.aclose()
                return found

            assert asyncio.run(count()) == 3
        else:
            assert backend.count_tokens(asked) == 3
        backend.close()
    inline = {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}
    assert json.loads(far.requests[-1].body) == {"contents": [{"role": "user", "parts": [{"inlineData": inline}]}]}


def test_a_header_that_authorizes_serves_asynchronous_calls_too(far: FarEnd) -> None:
    got = asent(far, Google(base_url=far.url, headers={"authorization": "Bearer mine"}))
    assert got.headers["authorization"] == "Bearer mine"
