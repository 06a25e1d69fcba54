"""What a call would give the model, shown without its weights; and whether it could."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from genkit import LLM
from genkit.backends import store
from genkit.backends.huggingface import HuggingFace, loading
from genkit.backends.huggingface.engine import Engine
from genkit.backends.huggingface.loading import Source, here, outline
from genkit.backends.huggingface.resolve import HONOURED, UNDONE
from genkit.errors import ConfigError, ContextTooLong, NotFound, Unsupported
from genkit.types import Image, Message


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> HuggingFace:
    """Return a backend that has loaded nothing, cannot load anything, and cannot ask the hub."""
    for name in ("load", "_on_hub"):
        monkeypatch.setattr(loading, name, None)
    return HuggingFace(device="cpu")


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a hub's cache with the tiny model as "me/tiny", and return the directory of its files."""
    snapshot = tmp_path / "hub" / "models--me--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny, snapshot, ignore=shutil.ignore_patterns("*.safetensors"))
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    real = loading.snapshot_download
    monkeypatch.setattr(loading, "snapshot_download", lambda *a, **k: real(*a, cache_dir=tmp_path / "hub", **k))
    return snapshot


def test_the_prompt_is_the_text_that_the_model_sees(fresh: HuggingFace, ask: Any) -> None:
    plan = fresh.plan(ask(Message.system("Be terse"), "Say hello"))
    assert plan.body["prompt"] == (
        "<|im_start|>system\nBe terse<|im_end|>\n<|im_start|>user\nSay hello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert plan.body["messages"] == [
        {"role": "system", "content": "Be terse"},
        {"role": "user", "content": "Say hello"},
    ]


def test_it_says_whose_and_where(fresh: HuggingFace, ask: Any, tiny: Path) -> None:
    plan = fresh.plan(ask())
    assert (plan.backend, plan.method, plan.url, plan.headers) == ("hf", "local", f"hf:{tiny}", {})
    assert json.loads(plan.model_dump_json())["body"] == plan.body


def test_the_settings_are_those_that_will_be(fresh: HuggingFace, ask: Any) -> None:
    extra = {"hf": {"repetition_penalty": 1.3}}
    given = fresh.plan(ask(top_p=0.5, stop="x", seed=3, extra=extra), stream=True).body["settings"]
    assert given["temperature"] == 1.0
    assert (given["top_p"], given["stop"], given["seed"], given["n"]) == (0.5, ["x"], 3, 1)
    assert (given["repetition_penalty"], given["stream"]) == (1.3, True)


def test_the_longest_answer_is_what_is_left_of_the_context(fresh: HuggingFace, ask: Any) -> None:
    assert fresh.plan(ask(max_tokens=7)).body["settings"]["max_tokens"] == 7
    with pytest.raises(ContextTooLong):
        fresh.plan(ask("word " * 600))


def test_an_outline_says_what_the_loaded_model_says(engine: Engine, tiny: Path) -> None:
    source = Source(str(tiny))
    found = outline(source, here(source))
    assert (found.context, found.causal, found.defaults) == (engine.context, engine.causal, engine.defaults)
    assert found.tokenizer.chat_template == engine.tokenizer.chat_template


def test_an_outline_does_without_a_generation_config(tiny: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny, bare)
    (bare / "generation_config.json").unlink()
    source = Source(str(bare), device="cpu")
    loaded = loading.load(source, loading.find(source))
    found = outline(source, here(source)).defaults
    matters = HONOURED | UNDONE
    assert {name: found[name] for name in matters & found.keys()} == {
        name: loaded.defaults[name] for name in matters & loaded.defaults.keys()
    }


def test_no_weights_are_needed(fresh: HuggingFace, ask: Any, tiny: Path, tmp_path: Path) -> None:
    light = tmp_path / "light"
    shutil.copytree(tiny, light, ignore=shutil.ignore_patterns("*.safetensors"))
    assert "Say hello" in fresh.plan(ask(model=str(light))).body["prompt"]


def test_a_checkpoint_in_the_hub_s_cache_is_shown(fresh: HuggingFace, ask: Any, hub: Path) -> None:
    assert "Say hello" in fresh.plan(ask(model="me/tiny")).body["prompt"]
    for file in hub.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(Unsupported, match="genkit models pull"):
        HuggingFace().plan(ask(model="me/tiny"))


@pytest.mark.parametrize("model", ["smollm2", "nobody/nothing"])
def test_a_model_that_is_not_here_is_refused_and_the_way_named(
    fresh: HuggingFace, ask: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path))
    with pytest.raises(Unsupported, match=r"not on this machine.*'genkit models pull") as caught:
        fresh.plan(ask(model=model))
    assert caught.value.backend == "hf"


def test_a_pulled_model_is_shown(fresh: HuggingFace, ask: Any, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "locate", lambda name: tiny)
    assert "Say hello" in fresh.plan(ask(model="smollm2")).body["prompt"]


def test_a_directory_that_is_not_there_is_the_error_of_the_call(fresh: HuggingFace, ask: Any) -> None:
    with pytest.raises(NotFound):
        fresh.plan(ask(model="./nowhere"))
    with pytest.raises(ConfigError, match="revision"):
        HuggingFace(revision="main").plan(ask(model="smollm2"))


# ---------------------------------------------------------------- check


def losses(found: Any) -> list[tuple[str, str]]:
    return [(warning.kind, warning.subject) for warning in found]


def test_a_check_tells_what_a_call_tells(backend: HuggingFace, fresh: HuggingFace, ask: Any) -> None:
    named = Message(role="user", name="ada", parts=Message.user("hi").parts)
    request = ask(named, n=2, max_tokens=3, parallel_tool_calls=False)
    expected = [("dropped", "parallel_tool_calls"), ("dropped", "name"), ("note", "n")]
    assert losses(fresh.check(request)) == expected
    assert losses(backend.check(request)) == expected


def test_a_check_tells_what_a_call_refuses(fresh: HuggingFace, ask: Any) -> None:
    request = ask(Message.user("hi", Image(data=b"x", mime="image/png")), tool_choice="auto")
    assert losses(fresh.check(request)) == [("error", "tool_choice"), ("error", "image")]


def test_a_check_of_a_model_that_is_not_here_tells_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path))
    found = LLM("hf:smollm2", cache_prompt=True).check("hi")
    assert losses(found) == [("dropped", "cache_prompt"), ("note", "model")]
    assert "'genkit models pull smollm2'" in found[1].message


# ---------------------------------------------------------------- health


def test_health_says_in_one_sentence_what_is_there(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "locate", lambda name: tiny)
    found = HuggingFace().health()
    assert found.state == "ready"
    assert found.message.startswith("torch 2")
    assert found.message.endswith("are installed, and the embedded model 'smollm2' is here")


@pytest.mark.parametrize("online", [True, False])
def test_health_without_the_embedded_model_names_the_command(
    online: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path))
    found = HuggingFace().health(online=online)
    assert (found.backend, found.state) == ("hf", "configured")
    assert "'genkit models pull smollm2' loads the embedded model (93 MB)" in found.message


def test_health_without_a_home_directory_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(name: str) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(store, "locate", homeless)
    assert HuggingFace().health().state == "configured"


def test_the_health_of_a_model_is_that_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path) -> None:
    monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    states = {model: LLM(f"hf:{model}").health().state for model in (str(tiny), "smollm2", "someone/unknown")}
    assert states == {str(tiny): "ready", "smollm2": "configured", "someone/unknown": "configured"}
    missing = LLM("hf:./no-such-directory").health()
    assert (missing.state, "no-such-directory" in missing.message) == ("unconfigured", True)
