"""How a backend is found by name."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genkit import backends
from genkit.backends import TABLE, Row, find, known, load, split
from genkit.backends.mock import Mock
from genkit.errors import ConfigError, MissingExtra, UnknownBackend, UnknownSetting
from genkit.llm import LLM


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("mock:", ("mock", "mock")),
        ("mock:x", ("mock", "x")),
        ("openai:gpt-5-mini", ("openai", "gpt-5-mini")),
        ("hf:/path/to:x", ("hf", "/path/to:x")),
        ("openai:ft:gpt-4o:org::id", ("openai", "ft:gpt-4o:org::id")),
    ],
)
def test_a_model_is_split_at_the_first_colon(spec: str, meant: tuple[str, str]) -> None:
    assert split(spec) == meant


@pytest.mark.parametrize("spec", ["gpt-5", "", ":gpt-5"])
def test_a_model_without_a_backend_is_an_error_that_shows_the_form(spec: str) -> None:
    with pytest.raises(ConfigError, match="must be written with its backend"):
        split(spec)


def test_a_backend_without_a_model_says_what_goes_there() -> None:
    with pytest.raises(ConfigError, match=r"smollm2, a checkpoint's path, or a hub id"):
        split("hf:")


def test_an_unknown_backend_lists_the_known_ones() -> None:
    with pytest.raises(UnknownBackend, match=r"'opeanai', did you mean 'openai'\?; known: .*anthropic.*mock"):
        find("opeanai")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_row_leads_to_a_backend_that_takes_its_options(name: str) -> None:
    module, _, attribute = TABLE[name].target.partition(":")
    import inspect

    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    assert TABLE[name].options <= parameters.keys()
    assert load(name).name == name


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"hf"}))
def test_every_backend_shows_a_prompt_without_credentials(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [key for key in os.environ if key not in ("PATH", "HOME", "SYSTEMROOT")]:
        monkeypatch.delenv(variable)
    model = "us.anthropic.claude-sonnet-4-6" if name == "bedrock" else "m"
    plan = LLM(f"{name}:{model}").plan("Say hello, please.")
    assert "Say hello, please." in plan.model_dump_json()


def test_an_option_the_row_does_not_have_is_an_error_before_anything_is_imported() -> None:
    with pytest.raises(UnknownSetting, match="no option 'devise', did you mean 'device'"):
        load("hf", devise="cpu")


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    monkeypatch.setattr(backends, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"needs 'torch': pip install 'genkit-llm\[huggingface\]'"):
        load("hf")


def test_a_bug_in_a_backend_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'genkit.typo'", name="genkit.typo")

    monkeypatch.setattr(backends, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        load("hf")


def test_other_packages_register_by_entry_point(tmp_path: Path) -> None:
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[genkit.backends]\nother = other_backend:Other\n")
    (tmp_path / "other_backend.py").write_text("from genkit.backends.mock import Mock\nclass Other(Mock):\n    pass\n")
    script = (
        "from genkit import LLM\nfrom genkit.backends import known\n"
        "assert 'other' in known()\nprint(LLM('other:m').generate('found').text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "PATH": ""},
    )
    assert done.stdout == "found\n", done.stderr


def test_a_row_without_options_takes_none() -> None:
    assert Row("a:b").options == frozenset()
    assert "mock" in known()
    with pytest.raises(UnknownSetting, match="takes none"):
        load("mock", api_key="x")


def test_a_backend_that_is_made_already_is_used_as_it_is() -> None:
    mock = Mock(name="mine")
    llm = LLM("mine:x", backend=mock)
    assert (llm.model, llm.generate("hi").backend) == ("mine:x", "mine")
