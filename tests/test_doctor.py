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


def test_a_far_end_that_does_not_list_its_models_is_ready_too() -> None:
    assert health_at(answer(404)) == ("ready", "it answers (status 404)")


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
    def health(self, *, online: bool = True):
        raise RuntimeError("the SDK fell over")


def test_a_backend_whose_health_fails_does_not_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "broken", Row(f"{__name__}:Broken", options=None))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Broken.__module__])
    found = examine(["broken", "mock"])
    assert [(health.backend, health.state) for health in found] == [("broken", "unconfigured"), ("mock", "ready")]
    assert "the SDK fell over" in found[0].message


def genkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "import genkit_llm; genkit_llm.main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


def test_the_command_prints_one_line_per_backend_and_tells_by_its_exit_code() -> None:
    done = genkit("doctor", "mock", "--offline")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split()[:2] == ["mock", "ready"]
    assert genkit("doctor", "azure", "--offline").returncode == 1
    assert genkit("doctor", "opnai").returncode == 2
    assert len(genkit("doctor", "--offline", "--json").stdout.splitlines()) == len(TABLE)
