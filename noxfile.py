"""The project's checks, each in one place: `nox -l` lists them, `nox -s lint` runs one; `.ci/run` runs them too."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PINNED = ("-c", "constraints.txt")
# What the base install promises without any extra.
MINIMAL_TESTS = ("tests/test_minimal.py", "tests/test_architecture.py")

nox.options.sessions = ["lint", "types", "tests", "minimal", "docs"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session, *arguments: str) -> None:
    """Install pinned packages, or nothing where nox was told to use the environment it runs in (as `.ci/run` does)."""
    if session.virtualenv.venv_backend != "none":
        session.install(*PINNED, *arguments)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, import directions, spelling and project metadata."""
    install(session, "-e", ".[lint]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")


@nox.session
def types(session: nox.Session) -> None:
    """Run both type checkers over the package, the public face and this file."""
    install(session, "-e", ".[all,test,types]")
    session.run("mypy")
    session.run("pyright")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with coverage, on one Python; name it as in `nox -s tests-3.11`."""
    install(session, "-e", ".[test]")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report")


@nox.session
def minimal(session: nox.Session) -> None:
    """Install without any extra; the import, the mock and the light start must still work."""
    install(session, ".", "pytest")
    session.run("python", "-m", "pytest", "-q", *MINIMAL_TESTS, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml allows of the core dependencies and of `httpx`."""
    bounds = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["httpx"]]
    oldest = [bound.split(",")[0].replace(">=", "==") for bound in bounds]
    session.install(".", "hypothesis", "pytest", "trustme", *oldest)
    session.run("python", "-m", "pytest", "-q", *MINIMAL_TESTS, "tests/transport", *session.posargs)


@nox.session
def heavy(session: nox.Session) -> None:
    """Run the tests that download the embedded model (93 MB) and answer with it."""
    install(session, "-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "heavy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors; the tests run its examples."""
    install(session, "-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "--site-dir", "site")


@nox.session
def live(session: nox.Session) -> None:
    """Call real providers with the keys of the environment; costs money, so it never runs by default."""
    install(session, "-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "live", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive, look into the wheel, install it elsewhere and start it."""
    session.install(*PINNED, "hatchling", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "hatchling", "build")
    archives = [str(path) for path in sorted(Path("dist").iterdir())]
    session.run("twine", "check", "--strict", *archives)
    wheel = next(path for path in archives if path.endswith(".whl"))
    session.run("python", "-m", "pip", "install", "-q", *PINNED, wheel)
    session.chdir(session.create_tmp())
    session.run("genkit", "--version")
    session.run("python", "-m", "genkit_llm")
