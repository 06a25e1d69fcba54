"""What is installed, configured and reachable, told without asking a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from genkit import LLM, errors
from genkit.backends import TABLE, Row
from genkit.backends.mock import Mock
from genkit.doctor import examine
from tests.farend import Call, FarEnd

MODELS = b'{"object": "list", "data": []}'


def answer(status: int, body: bytes = MODELS):
    def script(call: Call) -> None:
        assert call.request.method == "GET"
        assert call.request.target == "/v1/models"
        call.answer(body, status=status, headers={"content-type": "application/json"})

    return script


def health_at(script) -> tuple[str, str]:
    with FarEnd(script) as far, LLM("openai:gpt-5", base_url=f"{far.url}/v1", api_key="sk-secret") as llm:
        found = llm.health()
        assert "sk-secret" not in repr(found)
        assert found.address == f"{far.url}/v1/models"
        return found.state, found.message


def test_a_far_end_that_takes_the_key_is_ready() -> None:
    assert health_at(answer(200))[0] == "ready"


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_does_not_list_its_models_is_configured_since_the_key_was_not_tried(status: int) -> None:
    state, message = health_at(answer(status, b'{"detail": "Not Found"}'))
    assert state == "configured"
    assert message.startswith(f"it answers (status {status}); it does not list its models")


@pytest.mark.parametrize("status", [402, 408, 429, 500, 502, 503])
def test_a_far_end_that_answers_with_a_failure_is_failing(status: int) -> None:
    state, message = health_at(answer(status, b'{"error": {"message": "come back later"}}'))
    assert state == "failing"
    assert f"status {status}" in message
    assert "come back later" in message


@pytest.mark.parametrize("status", [200, 204, 404, 405, 500])
def test_a_page_in_place_of_an_answer_is_failing(status: int) -> None:
    state, message = health_at(answer(status, b"" if status == 204 else b"<html>nginx, for sk-secret</html>"))
    assert state == "failing"
    assert f"status {status}" in message


def test_a_success_that_holds_an_error_is_failing() -> None:
    assert health_at(answer(200, b'{"error": "Unexpected endpoint"}'))[0] == "failing"


def test_a_bare_list_of_models_is_one_too() -> None:
    assert health_at(answer(200, b'[{"id": "m"}]'))[0] == "ready"


def test_a_redirect_is_failing() -> None:
    with FarEnd(lambda call: call.answer(b"", status=302, headers={"location": "https://x.example/"})) as far:
        found = LLM("openai:gpt-5", base_url=f"{far.url}/v1", api_key="k").health()
    assert (found.state, "redirects to x.example" in found.message) == ("failing", True)


@pytest.mark.parametrize("model", ["groq:qwen", "ollama:qwen3", "azure:x", "google:gemini-3-flash"])
def test_a_service_that_is_known_to_have_the_route_and_lacks_it_is_failing(model: str) -> None:
    with FarEnd(lambda call: call.answer(b'{"error": {"message": "no"}}', status=404)) as far:
        found = LLM(model, base_url=far.url, api_key="k").health()
    assert (found.state, "is the base URL right?" in found.message) == ("failing", True)


def test_whatever_a_source_of_keys_raises_is_a_state_without_its_words() -> None:
    def exits() -> str:
        raise SystemExit("sk-secret")

    def fails() -> str:
        raise ZeroDivisionError("sk-secret")

    for source in (exits, fails):
        found = LLM("openai:gpt-5", base_url="http://127.0.0.1:9/v1", api_key=source).health()
        assert found.state == "unconfigured"
        assert "sk-secret" not in found.message


def test_whatever_an_http_client_raises_is_a_state() -> None:
    httpx = pytest.importorskip("httpx")

    def breaks(request: object) -> None:
        raise ZeroDivisionError("for sk-secret")

    with httpx.Client(transport=httpx.MockTransport(breaks)) as client:
        found = LLM("openai:gpt-5", base_url="http://x.example/v1", api_key="sk-secret", http_client=client).health()
    assert (found.state, found.message) == ("unreachable", "it cannot be asked: ZeroDivisionError: for ***")


def test_a_proxy_that_cannot_be_used_is_a_state() -> None:
    found = LLM("openai:gpt-5", base_url="http://x.example/v1", api_key="k", proxy="socks5://x:1").health()
    assert (found.backend, found.state, "SOCKS" in found.message) == ("openai", "unconfigured", True)


def test_a_key_that_is_not_taken_is_refused_and_the_vendor_says_why() -> None:
    body = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    state, message = health_at(answer(401, json.dumps(body).encode()))
    assert state == "refused"
    assert "Incorrect API key provided" in message


def test_a_server_that_is_not_there_is_unreachable() -> None:
    found = LLM("ollama:qwen3", base_url="http://127.0.0.1:9/v1").health()
    assert (found.state, found.address) == ("unreachable", "http://127.0.0.1:9/v1/models")


def test_without_a_key_it_is_unconfigured_and_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    found = LLM("groq:qwen").health()
    assert found.state == "unconfigured"
    assert "GROQ_API_KEY" in found.message


def test_offline_nobody_is_asked() -> None:
    with FarEnd(answer(200)) as far:
        found = LLM("openai:gpt-5", base_url=f"{far.url}/v1", api_key="k").health(online=False)
        assert found.state == "configured"
        assert far.requests == []


def test_every_backend_of_the_table_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    assert [health.backend for health in examine(online=False)] == sorted(TABLE)


def test_an_unknown_backend_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(errors.UnknownBackend, match="'openai'"):
        examine(["opnai"])


def test_a_missing_extra_is_not_installed_and_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "x", Row("no_such_module_here:X", needs={"no_such_module_here": "huggingface"}))
    (found,) = examine(["x"])
    assert found.state == "not installed"
    assert "pip install 'genkit-llm[huggingface]'" in found.message


class Broken(Mock):
    def health(self, *, online: bool = True, model: str | None = None):
        raise RuntimeError("the SDK fell over")


def test_a_backend_whose_health_fails_does_not_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "broken", Row(f"{__name__}:Broken", options=None))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Broken.__module__])
    found = examine(["broken", "mock"])
    assert [(health.backend, health.state) for health in found] == [("broken", "unconfigured"), ("mock", "ready")]
    assert "the SDK fell over" in found[0].message


class Leaving(Mock):
    def health(self, *, online: bool = True, model: str | None = None):
        raise SystemExit(3)

    def close(self) -> None:
        raise RuntimeError("closing fails, too")


def test_a_backend_that_wants_to_leave_does_not_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "leaving", Row(f"{__name__}:Leaving", options=None))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Leaving.__module__])
    (found,) = examine(["leaving"])
    assert (found.state, found.message) == ("unconfigured", "SystemExit: 3")


def genkit(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "import genkit_llm; genkit_llm.main()", *arguments]
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False, env=variables
    )


def test_the_command_prints_one_line_per_backend_and_tells_by_its_exit_code() -> None:
    done = genkit("doctor", "mock", "--offline")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split()[:2] == ["mock", "ready"]
    assert genkit("doctor", "azure", "--offline").returncode == 1
    assert genkit("doctor", "opnai").returncode == 2
    with FarEnd(lambda call: call.answer(b"<html>nginx</html>", status=200)) as far:
        done = genkit("doctor", "ollama", environment={"OLLAMA_BASE_URL": far.url, "NO_PROXY": "*"})
    assert (done.returncode, done.stdout.splitlines()[-1].split()[:2]) == (1, ["ollama", "failing"])
    assert len(genkit("doctor", "--offline", "--json").stdout.splitlines()) == len(TABLE)
