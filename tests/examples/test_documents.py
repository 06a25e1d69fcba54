"""Every `python` block of the README and of docs/ runs, against the mock, and prints what the page shows."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import io
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import genkit
from genkit import errors
from genkit.backends import Backend, load
from genkit.backends.services import SERVICES
from genkit.testing import Mock
from tests.examples.pages import PAGES, ROOT, Block, blocks, pages_with


class Answers:
    """Stands in for `backends.load`: behind every name of a block is one mock, which answers from the page."""

    def __init__(self) -> None:
        self.mock = Mock()
        self.real = False

    def script(self, block: Block) -> None:
        self.mock, self.real = Mock(), block.real
        for answer in block.answers:
            if isinstance(answer, dict) and "fail" in answer:
                self.mock.fail(getattr(errors, answer["fail"])(answer.get("message", "scripted")))
            else:
                self.mock.reply(answer)

    def load(self, name: str, **options: object) -> Backend:
        if self.real:
            return load(name, **options)
        self.mock.name = name
        return self.mock


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    script = Answers()
    monkeypatch.setattr("genkit.llm.load", script.load)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name in ("OPENAI_API_KEY", "GENKIT_LLM_MODEL", "GENKIT_LLM_ENV"):
        monkeypatch.delenv(name, raising=False)
    return script


def execute(block: Block, page: Path, names: dict[str, Any]) -> str:
    """Run a block, `await` allowed at its top, with line numbers of the page in tracebacks; return what it printed."""
    code = compile(
        "\n" * (block.line - 1) + block.code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = types.FunctionType(code, names)()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    return printed.getvalue()


def is_test(block: Block) -> bool:
    return re.search(r"^def test_", block.code, re.MULTILINE) is not None


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages_with("python"), ids=page_id)
def test_every_block_of_a_page_runs_and_prints_what_is_shown(
    page: Path, answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files that pages speak of.
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n a cat..")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7 report")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__page__"}
    checker = doctest.OutputChecker()
    for block in blocks(page):
        if block.language != "python" or is_test(block):
            continue
        answers.script(block)
        printed = execute(block, page, names)
        assert not block.answers or len(answers.mock.calls) == len(block.answers), (
            f"{page_id(page)}:{block.line} scripts {len(block.answers)} answers, and asks {len(answers.mock.calls)}"
        )
        shown = block.shown if block.shown is not None else ""
        assert checker.check_output(shown.rstrip(), printed.rstrip(), doctest.ELLIPSIS), (
            f"{page_id(page)}:{block.line} shows\n{shown}\nand prints\n{printed}"
        )


def shown_tests() -> Iterator[Any]:
    for page in pages_with("python"):
        for block in blocks(page):
            if block.language == "python" and is_test(block):
                yield pytest.param(block, id=f"{page_id(page)}:{block.line}")


@pytest.mark.parametrize("block", list(shown_tests()))
def test_every_test_that_a_page_shows_passes(block: Block, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(block.code)
    done = pytester.runpytest_subprocess("-q", "-p", "no:asyncio", "-W", "error", *plugin())
    outcome = done.parseoutcomes()
    assert set(outcome) == {"passed"}, done.stdout.str()


def plugin() -> tuple[str, ...]:
    """Name the pytest plugin where it is not installed as an entry point (a checkout that is merely on the path)."""
    from importlib.metadata import entry_points

    installed = any(point.value == "genkit_llm_pytest" for point in entry_points(group="pytest11"))
    return () if installed else ("-p", "genkit_llm_pytest")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_the_page_on_compatible_servers_lists_every_service_and_its_variable() -> None:
    text = (ROOT / "docs/how-to/compatible-server.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w-]+):` \|", text, re.MULTILINE))
    assert listed == set(SERVICES) - {"openai", "azure"}
    assert [row.name for row in SERVICES.values() if row.name in listed for key in row.key_env if key not in text] == []


def test_the_page_on_errors_names_every_class() -> None:
    text = (ROOT / "docs/how-to/errors-and-retries.md").read_text(encoding="utf-8")
    classes = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    assert [name for name in classes if name not in text] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.name != "README.md"]
    assert [page for page in pages if page not in navigation] == []


def test_the_readme_has_its_two_commands_on_one_line_each() -> None:
    lines = [
        line for block in blocks(ROOT / "README.md") if block.language == "bash" for line in block.code.splitlines()
    ]
    assert [line.count("-m venv") for line in lines[:2]] == [1, 1]
    assert "genkit run" in lines[0]
    assert "pytest" in lines[1]


def modules_with_examples() -> list[str]:
    paths = [path for path in sorted((ROOT / "genkit").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    return [path.relative_to(ROOT).as_posix().removesuffix(".py").removesuffix("/__init__") for path in paths]


@pytest.mark.parametrize("module", modules_with_examples())
def test_the_examples_in_docstrings_say_what_happens(module: str) -> None:
    name = module.replace("/", ".")
    try:
        loaded = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    names = {**vars(genkit), **vars(errors), **vars(loaded)}
    done = doctest.testmod(loaded, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert done.failed == 0
