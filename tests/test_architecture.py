"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "genkit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

FILE_LINES = 600
FUNCTION_LINES = 50
# Why a file or a function ("file.py::name") may be longer. A reason that is no longer needed fails a test.
LONGER: dict[str, str] = {
    "genkit/types.py": "the whole vocabulary is one subject, and is read as one page",
}

# What must not be loaded by `from genkit import LLM`: SDKs, engines, numbers.
HEAVY = (
    "aiohttp", "azure", "boto3", "botocore", "genai_prices", "google.auth", "google.genai", "httpcore", "httpcore2",
    "httpx", "httpx2", "numpy", "openai", "peft", "rich", "safetensors", "tokenizers", "torch",
    "transformers", "trl", "typer",
)  # fmt: skip

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
SKIPPED_DIRECTORIES = {".git", ".nox", ".ci-work", "build", "dist", "site", "__pycache__"}


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def our_files() -> Iterator[Path]:
    """Yield the files of the checkout, without environments, builds and caches."""
    for entry in sorted(ROOT.iterdir()):
        if entry.is_file():
            yield entry
        elif entry.name not in SKIPPED_DIRECTORIES and not re.match(r"\.(venv|.*cache$|hypothesis)", entry.name):
            yield from (
                path
                for path in sorted(entry.rglob("*"))
                if path.is_file() and SKIPPED_DIRECTORIES.isdisjoint(path.parts)
            )


def functions(path: str) -> Iterator[tuple[str, int]]:
    """Yield name and length of every function of a file, its docstring not counted."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                length -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            yield f"{path}::{node.name}", length


def load(path: str) -> object:
    """Import a module, or skip where an extra it needs is not installed."""
    try:
        return importlib.import_module(module_name(path))
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != "genkit":
            pytest.skip(f"{error.name} is not installed")
        raise


class TestSizes:
    @pytest.mark.parametrize("path", MODULES)
    def test_a_file_stays_short_or_says_why_not(self, path: str) -> None:
        lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        assert lines <= FILE_LINES or path in LONGER

    @pytest.mark.parametrize("path", MODULES)
    def test_a_function_stays_short_or_says_why_not(self, path: str) -> None:
        assert [name for name, length in functions(path) if length > FUNCTION_LINES and name not in LONGER] == []

    def test_no_reason_outlives_its_length(self) -> None:
        long = {path for path in MODULES if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > FILE_LINES}
        long |= {name for path in MODULES for name, length in functions(path) if length > FUNCTION_LINES}
        assert set(LONGER) <= long


class TestPublicNames:
    @pytest.mark.parametrize("path", [path for path in MODULES if not Path(path).name.startswith("_")])
    def test_everything_in_all_exists_and_is_public(self, path: str) -> None:
        module = load(path)
        names = getattr(module, "__all__", [])
        assert [name for name in names if not hasattr(module, name)] == []
        assert [name for name in names if name.startswith("_") and name != "__version__"] == []

    def test_the_package_exports_what_it_imports(self) -> None:
        genkit = importlib.import_module("genkit")
        modules = {module_name(path).removeprefix("genkit.") for path in MODULES}
        public = {name for name in vars(genkit) if name[0] not in "_@" and name not in modules}
        assert public - set(genkit.__all__) <= {"annotations", "sys", "warnings", "Path", "TYPE_CHECKING"}


def twins(kind: type) -> list[tuple[str, str]]:
    names = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    return sorted((name, f"a{name}") for name in names if f"a{name}" in names)


class TestTwins:
    @pytest.mark.parametrize("kind", ["genkit.llm:LLM", "genkit.backends.base:Backend"])
    def test_async_twins_have_the_same_parameters(self, kind: str) -> None:
        module, _, name = kind.partition(":")
        cls = getattr(importlib.import_module(module), name)
        pairs = twins(cls)
        assert ("generate", "agenerate") in pairs
        for plain, twin in pairs:
            mine = inspect.signature(getattr(cls, plain)).parameters
            its = inspect.signature(getattr(cls, twin)).parameters
            assert list(mine.values()) == list(its.values()), f"{plain} and {twin} differ"

    @pytest.mark.parametrize("kind", ["genkit.llm:LLM", "genkit.backends.base:Backend"])
    def test_every_call_has_an_async_twin(self, kind: str) -> None:
        module, _, name = kind.partition(":")
        cls = getattr(importlib.import_module(module), name)
        calls = {"generate", "stream", "embed", "score", "count_tokens", "map", "close"} & set(dir(cls))
        assert {f"a{call}" for call in calls} <= set(dir(cls))


class TestDistribution:
    def test_the_extras_named_by_backends_exist(self) -> None:
        table = importlib.import_module("genkit.backends").TABLE
        assert {extra for row in table.values() for extra in row.needs.values()} <= set(
            PROJECT["optional-dependencies"]
        )

    def test_all_holds_every_extra_for_users(self) -> None:
        extras = PROJECT["optional-dependencies"]
        contributors = {"all", "test", "docs", "lint", "types", "dev"}
        (everything,) = extras["all"]
        listed = set(everything.partition("[")[2].rstrip("]").split(","))
        assert listed == set(extras) - contributors

    def test_core_has_one_upper_bound_and_it_is_tenacity(self) -> None:
        bounded = [requirement for requirement in PROJECT["dependencies"] if "<" in requirement or "==" in requirement]
        assert [requirement.partition(">")[0] for requirement in bounded] == ["tenacity"]

    def test_constraints_pin_every_direct_dependency(self) -> None:
        pinned = {
            line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
        }
        extras = [requirement for group in PROJECT["optional-dependencies"].values() for requirement in group]
        direct = {re.split(r"[\[><=;]", requirement)[0] for requirement in [*PROJECT["dependencies"], *extras]}
        assert direct - {"genkit-llm"} <= pinned

    def test_the_changelog_begins_with_a_dated_version_or_unreleased(self) -> None:
        headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", headings[0])

    def test_no_file_names_a_machine_or_a_private_index(self) -> None:
        # Pieced together, so that this file does not contain what it looks for.
        strange = re.compile(
            "|".join(["/" + "work/", "/" + "root/", "/" + "home/" + r"\w", r"/tmp/" + "gk", "file:" + "///opt"])
        )
        guilty = []
        for path in our_files():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            guilty += [f"{path.relative_to(ROOT)}: {found.group()}" for found in strange.finditer(text)]
        assert guilty == []


class TestLightImport:
    def test_importing_llm_loads_nothing_heavy_and_opens_no_socket(self) -> None:
        script = f"""
import socket, sys
before = set(sys.modules)
def refuse(*arguments, **options):
    raise AssertionError("a socket was used at import")
socket.socket.__init__ = refuse
from genkit import LLM
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
print(",".join(loaded))
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")

    def test_making_an_llm_opens_no_socket(self) -> None:
        script = """
import socket
def refuse(*arguments, **options):
    raise AssertionError("a socket was used at construction")
socket.socket.__init__ = refuse
from genkit import LLM
LLM("openai:gpt-5-mini", api_key="none")
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
