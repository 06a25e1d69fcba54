"""From a name to a loaded model."""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.backends import store
from genkit.backends.huggingface import HuggingFace, loading
from genkit.backends.huggingface.loading import Source, find, load
from genkit.errors import BadResponse, ConfigError, ConnectionFailed, NotFound
from genkit.types import Message, Request, Settings
from tests.tiny import checkpoint

ROOT = Path(__file__).parents[3]


def request(model: Path | str, **settings: Any) -> Request:
    return Request(model=str(model), messages=(Message.user("hi"),), settings=Settings(**{"max_tokens": 8} | settings))


class TestNames:
    def test_the_embedded_name_comes_from_the_store(self, monkeypatch: pytest.MonkeyPatch, tiny: Path) -> None:
        monkeypatch.setattr(store, "pull", lambda name: tiny)
        assert find(Source("smollm2")).path == str(tiny)

    def test_a_directory_is_taken_as_it_is(self, tiny: Path) -> None:
        place = find(Source(str(tiny)))
        assert (place.path, place.local) == (str(tiny), True)

    def test_a_relative_directory_is_one_too(self, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tiny.parent)
        assert find(Source(tiny.name)).path == str(tiny)

    @pytest.mark.parametrize(
        "name",
        ["./nowhere", "~/nowhere/at/all", "~nobody-of-that-name/x", "/nowhere", "a/b/c", "two words", "", "a" * 5000],
    )
    def test_a_path_that_is_not_there_does_not_reach_the_hub(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loading, "_on_hub", None)
        if name == "":
            monkeypatch.chdir("/")
        with pytest.raises(NotFound):
            find(Source(name))

    def test_a_revision_of_the_embedded_model_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="revision='main' is for models of the hub"):
            find(Source("smollm2", revision="main"))

    def test_a_revision_of_a_directory_is_refused(self, tiny: Path) -> None:
        with pytest.raises(ConfigError, match="revision='main' is for models of the hub"):
            find(Source(str(tiny), revision="main"))

    def test_a_directory_without_a_checkpoint_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="no config"):
            find(Source(str(tmp_path)))

    def test_a_file_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "model.gguf").write_text("")
        with pytest.raises(ConfigError, match="is a file"):
            find(Source(str(tmp_path / "model.gguf")))


HUB = """
import sys, time
from genkit.backends.huggingface import HuggingFace
from genkit.errors import GenkitError
from genkit.types import Message, Request
start = time.perf_counter()
try:
    HuggingFace().generate(Request(model="nobody/nothing", messages=(Message.user("hi"),)))
except GenkitError as error:
    print(type(error).__name__, error.backend, error.message)
"""


class TestHub:
    def ask(self, tmp_path: Path, **environment: str) -> str:
        """Run in a process of its own: the hub's client reads its variables when it is imported."""
        variables = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        variables |= {"HF_HOME": str(tmp_path), **environment}
        done = subprocess.run([sys.executable, "-c", HUB], capture_output=True, text=True, cwd=ROOT, env=variables)
        assert done.stderr == ""
        return done.stdout

    def test_a_hub_that_cannot_be_reached_is_a_typed_error_soon(self, tmp_path: Path) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
            start = time.perf_counter()
            said = self.ask(tmp_path, HF_ENDPOINT=endpoint)
        assert said.startswith("ConnectionFailed hf the model 'nobody/nothing' is not in the hub's cache")
        assert endpoint in said
        assert time.perf_counter() - start < 20

    def test_offline_mode_is_honoured(self, tmp_path: Path) -> None:
        assert "HF_HUB_OFFLINE is set" in self.ask(tmp_path, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")

    def test_a_model_in_the_hub_s_cache_needs_no_connection(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = "0" * 40
        folder = tmp_path / "hub" / "models--nobody--nothing"
        shutil.copytree(tiny, folder / "snapshots" / commit)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        monkeypatch.setattr(loading.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(loading, "snapshot_download", _in(tmp_path / "hub", loading.snapshot_download))
        assert HuggingFace(device="cpu").generate(request("nobody/nothing")).text

    def test_a_model_that_the_hub_does_not_have_is_not_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import httpx2

        answer = httpx2.Response(404, request=httpx2.Request("GET", "http://hub/x"))

        class Api:
            def model_info(self, *_: Any, **__: Any) -> Any:
                raise loading.RepositoryNotFoundError("404", response=answer)

        monkeypatch.setattr(loading, "HfApi", Api)
        with pytest.raises(NotFound, match="the hub has no model 'smollm', did you mean 'smollm2'"):
            find(Source("smollm"))

    def test_a_hub_that_fails_is_a_failed_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Api:
            def model_info(self, *_: Any, **__: Any) -> Any:
                raise loading._NETWORK_ERRORS[1]("503")

        monkeypatch.setattr(loading, "HfApi", Api)
        with pytest.raises(ConnectionFailed, match="503"):
            find(Source("nobody/nothing"))


def _in(cache: Path, download: Any) -> Any:
    return lambda *arguments, **options: download(*arguments, cache_dir=cache, **options)


class TestSharing:
    def test_two_backends_share_one_model(self, tiny: Path) -> None:
        source = Source(str(tiny), device="cpu")
        assert load(source, find(source)) is load(source, find(source))

    def test_threads_that_come_at_once_load_it_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = checkpoint(tmp_path / "tiny")
        loads: list[int] = []
        whole = loading._load

        def counted(*arguments: Any) -> Any:
            loads.append(1)
            time.sleep(0.05)
            return whole(*arguments)

        monkeypatch.setattr(loading, "_load", counted)
        backend = HuggingFace(device="cpu")
        threads = [threading.Thread(target=backend.generate, args=(request(path),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert loads == [1]

    def test_a_model_is_freed_with_its_last_backend(self, tmp_path: Path) -> None:
        path = checkpoint(tmp_path / "tiny")
        backend = HuggingFace(device="cpu")
        backend.generate(request(path))
        source = Source(str(path), device="cpu")
        engine = weakref.ref(load(source, find(source)))
        assert engine() is not None
        backend.close()
        gc.collect()
        assert engine() is None
        assert backend.generate(request(path)).text

    def test_a_checkpoint_that_was_trained_on_is_loaded_anew(self, tmp_path: Path) -> None:
        path = checkpoint(tmp_path / "tiny", seed=0)
        backend = HuggingFace(device="cpu")
        before = backend.generate(request(path)).text
        checkpoint(path, seed=1)
        after = backend.generate(request(path)).text
        assert before != after == HuggingFace(device="cpu").generate(request(path)).text


class TestLoading:
    def test_the_dtype_is_the_checkpoint_s_or_the_one_given(self, tiny: Path) -> None:
        for name, expected in ((None, torch.float32), ("bfloat16", torch.bfloat16)):
            source = Source(str(tiny), device="cpu", dtype=name)
            assert load(source, find(source)).model.dtype == expected

    def test_a_narrow_dtype_answers_too(self, tiny: Path) -> None:
        assert HuggingFace(device="cpu", dtype="bfloat16").generate(request(tiny, logprobs=True)).logprobs

    @pytest.mark.parametrize(
        "options", [{"dtype": "int8"}, {"dtype": "flaot32"}, {"device": "toaster"}, {"device": "cuda:99"}]
    )
    def test_an_unknown_dtype_or_device_is_a_typed_error(self, tiny: Path, options: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options.values()))):
            HuggingFace(**options).generate(request(tiny))

    @pytest.mark.parametrize("damage", ["no weights", "cut weights", "strange model", "no tokenizer", "broken config"])
    def test_a_damaged_checkpoint_is_a_typed_error(self, tiny: Path, tmp_path: Path, damage: str) -> None:
        path = Path(shutil.copytree(tiny, tmp_path / "damaged"))
        if damage == "no weights":
            (path / "model.safetensors").unlink()
        elif damage == "cut weights":
            (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:-1000])
        elif damage == "strange model":
            (path / "config.json").write_text(json.dumps({"model_type": "strange"}))
        elif damage == "no tokenizer":
            (path / "tokenizer.json").unlink()
        else:
            (path / "config.json").write_text("{")
        with pytest.raises(ConfigError, match="cannot be loaded from") as caught:
            HuggingFace(device="cpu").generate(request(path))
        assert caught.value.backend == "hf"

    def test_loading_writes_nothing_on_the_terminal(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path = checkpoint(tmp_path / "tiny")
        capfd.readouterr()
        HuggingFace(device="cpu").generate(request(path))
        assert capfd.readouterr() == ("", "")

    def test_code_of_a_checkpoint_does_not_run_unasked(self, tiny: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(tiny, tmp_path / "coded"))
        config = json.loads((path / "config.json").read_text())
        config |= {
            "model_type": "coded",
            "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
        }
        (path / "config.json").write_text(json.dumps(config))
        (path / "code.py").write_text("raise SystemExit('ran')")
        with pytest.raises(ConfigError, match="trust_remote_code=True"):
            HuggingFace(device="cpu").generate(request(path))


class TestEncoders:
    def test_a_model_that_is_no_language_model_embeds_and_does_not_generate(self, tiny: Path, tmp_path: Path) -> None:
        from transformers import BertConfig, BertModel

        from genkit.errors import Unsupported
        from genkit.types import EmbedRequest, ScoreRequest

        path = Path(shutil.copytree(tiny, tmp_path / "bert"))
        (path / "model.safetensors").unlink()
        (path / "generation_config.json").unlink()
        config = BertConfig(
            vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        BertModel(config).save_pretrained(path)
        backend = HuggingFace(device="cpu")
        made = backend.embed(EmbedRequest(model=str(path), texts=("hello", "hello world and more")))
        alone = backend.embed(EmbedRequest(model=str(path), texts=("hello",)))
        assert made.vectors[0] == pytest.approx(alone.vectors[0], abs=1e-5)
        with pytest.raises(Unsupported, match="text generation"):
            backend.generate(request(path))
        with pytest.raises(Unsupported, match="scores"):
            backend.score(ScoreRequest(model=str(path), texts=("a",)))

    @pytest.mark.parametrize("kind", ["Roberta", "MPNet", "Bert"])
    def test_a_context_is_what_the_model_takes_and_not_a_token_more(
        self, tiny: Path, tmp_path: Path, kind: str
    ) -> None:
        import transformers

        path = Path(shutil.copytree(tiny, tmp_path / kind))
        (path / "model.safetensors").unlink()
        (path / "generation_config.json").unlink()
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=400,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=20,
            pad_token_id=1,
        )
        getattr(transformers, f"{kind}Model")(config).save_pretrained(path)
        source = Source(str(path), device="cpu")
        engine = load(source, find(source))
        assert engine.context == (20 if kind == "Bert" else 18)
        rows = [[7] * engine.context, [7, 8]]
        assert len(engine.embed(rows, check=lambda: None)) == 2
        with pytest.raises(BadResponse):
            engine.embed([[7] * (engine.context + 1)], check=lambda: None)

    def test_a_decoder_that_keeps_no_cache_does_not_go_on_from_its_last_token_alone(
        self, tiny: Path, tmp_path: Path
    ) -> None:
        from transformers import BertConfig, BertLMHeadModel

        path = Path(shutil.copytree(tiny, tmp_path / "bert"))
        (path / "model.safetensors").unlink()
        (path / "generation_config.json").unlink()
        config = BertConfig(
            vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        BertLMHeadModel(config).save_pretrained(path)
        with pytest.raises(BadResponse, match="no key-value cache"):
            HuggingFace(device="cpu").generate(request(path))


def test_a_tokenizer_whose_chat_template_is_garbage_is_a_typed_error(tiny: Path, tmp_path: Path) -> None:
    for number, garbage in enumerate([[{"name": "default"}], ["a"], [{"name": "default", "template": 5}], 5]):
        path = Path(shutil.copytree(tiny, tmp_path / str(number)))
        (path / "chat_template.jinja").unlink()
        config = json.loads((path / "tokenizer_config.json").read_text())
        (path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": garbage}))
        with pytest.raises(ConfigError):
            HuggingFace(device="cpu").generate(request(path))


def test_a_tokenizer_with_a_list_of_templates_is_taken(tiny: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(tiny, tmp_path / "list"))
    template = (path / "chat_template.jinja").read_text()
    (path / "chat_template.jinja").unlink()
    config = json.loads((path / "tokenizer_config.json").read_text())
    several = [{"name": "rag", "template": "rag"}, {"name": "default", "template": template}]
    (path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": several}))
    backend = HuggingFace(device="cpu")
    assert backend.generate(request(path)).text == backend.generate(request(tiny)).text


def test_a_device_without_room_for_the_model_is_a_typed_error(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("tried to allocate 20.00 MiB")

    monkeypatch.setattr(LlamaForCausalLM, "to", full)
    with pytest.raises(ConfigError, match=r"cannot be loaded from .* tried to allocate"):
        HuggingFace(device="cpu", dtype="float16").generate(request(tiny))


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = checkpoint(tmp_path / "lacking")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.0.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 weights .* model\.layers\.0\.mlp\.down_proj\.weight"):
        HuggingFace().generate(request(folder))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_pass_of_its_parent(tiny: Path) -> None:
    script = f"""
import os, torch
torch.set_num_threads(1)
from genkit.backends.huggingface import HuggingFace, loading
from genkit.types import Message, Request, Settings
backend = HuggingFace()
settings = Settings(max_tokens=2, timeout=20)
asked = Request(model={str(tiny)!r}, messages=(Message.user("hi"),), settings=settings)
backend.generate(asked)
engine, = loading._engines.values()
with engine.turn:
    child = os.fork()
    if not child:
        os._exit(0 if backend.generate(asked).usage.output else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )
    assert done.stdout == "0\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_load_of_its_parent(tiny: Path) -> None:
    script = f"""
import os, signal, torch
torch.set_num_threads(1)
from genkit.backends.huggingface import HuggingFace, loading
from genkit.types import Message, Request, Settings
asked = Request(model={str(tiny)!r}, messages=(Message.user("hi"),), settings=Settings(max_tokens=2))
with loading._drawing:
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if HuggingFace(device="cpu").generate(asked).usage.output else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )
    assert done.stdout == "0\n", done.stderr
