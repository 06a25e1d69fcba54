"""The wheel, and what happens beside Google's distribution `genkit`, in real environments made by the test."""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import genkit
import genkit_llm

ROOT = Path(__file__).parent.parent
SCRIPTS = "Scripts" if os.name == "nt" else "bin"

# The layout of Google's wheel: its own `genkit/__init__.py` and directories beside it.
GOOGLE = {
    "genkit/__init__.py": (
        "import sys\nprint('google code ran', file=sys.stderr)\n"
        "from genkit._core._plugin import Plugin\nclass Genkit: ...\n"
    ),
    "genkit/py.typed": "",
    "genkit/_ai/_aio.py": "",
    "genkit/_core/_plugin.py": "class Plugin: ...\n",
    "genkit/plugin_api/__init__.py": "",
}


def write_wheel(directory: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """Write a wheel by hand; building one would need an index."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for path, text in files.items()
    }
    record = "".join(f"{path},sha256={digests[path]},{len(text.encode())}\n" for path, text in files.items())
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return wheel


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def run(*command: object, check: bool = True, cwd: str | Path = sys.prefix) -> subprocess.CompletedProcess[str]:
    """Run a command, outside the checkout unless told, so that nothing is imported from it by accident."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "COV_"))}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, env=clean)
    if check and done.returncode:
        pytest.fail(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return done


class Environment:
    """A throw-away virtual environment that sees this one's dependencies, and no `genkit` but its own."""

    def __init__(self, place: Path, *wheels: Path) -> None:
        venv.create(place, with_pip=False, symlinks=os.name != "nt")
        self.python = place / SCRIPTS / "python"
        self.script = place / SCRIPTS / "genkit"
        site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        dependencies = place / "dependencies"
        dependencies.mkdir()
        for entry in Path(pytest.__file__).parent.parent.iterdir():
            if not entry.name.startswith(("genkit", "_genkit", "__editable__")):
                (dependencies / entry.name).symlink_to(entry)
        (site / "dependencies.pth").write_text(f"{dependencies}\n")
        for wheel in wheels:
            self.pip("install", "--no-index", "--no-deps", "--no-compile", wheel)

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(self.python, *arguments, check=check)

    def pip(self, *arguments: object) -> None:
        run(sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "-q", *arguments)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with our wheel, as built from this checkout, and one laid out like Google's."""
    pytest.importorskip("hatchling", reason="building the wheel needs hatchling")
    pytest.importorskip("pip", reason="installing the wheel needs pip")
    place = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place, cwd=ROOT)
    write_wheel(place, "genkit", "0.12.0", GOOGLE)
    return place


@pytest.fixture(scope="module")
def ours(wheels: Path) -> Path:
    return next(wheels.glob("genkit_llm-*.whl"))


@pytest.fixture(scope="module")
def googles(wheels: Path) -> Path:
    return wheels / "genkit-0.12.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, ours: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("alone") / "env", ours)


@pytest.fixture(scope="module")
def google_last(tmp_path_factory: pytest.TempPathFactory, ours: Path, googles: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("google_last") / "env", ours, googles)


@pytest.fixture(scope="module")
def ours_last(tmp_path_factory: pytest.TempPathFactory, ours: Path, googles: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("ours_last") / "env", googles, ours)


class TestWheel:
    def test_it_holds_the_package_the_guard_and_the_type_marker(self, ours: Path) -> None:
        assert {"genkit/__init__.py", "genkit/py.typed", "genkit_llm.py", "genkit_llm_pytest.py"} <= set(names_in(ours))

    def test_it_holds_nothing_else_at_the_top(self, ours: Path) -> None:
        tops = {name.split("/")[0] for name in names_in(ours)}
        assert tops == {"genkit", "genkit_llm.py", "genkit_llm_pytest.py", f"genkit_llm-{genkit.__version__}.dist-info"}

    def test_alone_it_imports_without_a_warning(self, alone: Environment) -> None:
        alone.run("-W", "error", "-c", "from genkit import LLM")

    def test_alone_the_guard_finds_nothing_wrong(self, alone: Environment) -> None:
        assert "nothing else claims the name" in alone.run("-m", "genkit_llm").stdout

    def test_alone_the_console_script_tells_its_version(self, alone: Environment) -> None:
        assert genkit.__version__ in run(alone.script, "--version").stdout


class TestGoogleInstalledLast:
    def test_the_console_script_explains_and_exits_with_2(self, google_last: Environment) -> None:
        done = run(google_last.script, "run", "hi", check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "belongs to Google's Firebase Genkit (distribution 'genkit' 0.12.0)" in done.stderr
        assert "pip uninstall -y genkit genkit-llm" in done.stderr

    def test_the_console_script_runs_none_of_googles_code(self, google_last: Environment) -> None:
        assert "google code ran" not in run(google_last.script, "run", "hi", check=False).stderr

    def test_importing_llm_fails_and_names_googles_file(self, google_last: Environment) -> None:
        done = google_last.run("-c", "from genkit import LLM", check=False)
        assert "cannot import name 'LLM' from 'genkit'" in done.stderr

    def test_googles_own_names_work(self, google_last: Environment) -> None:
        google_last.run("-c", "from genkit import Genkit")

    def test_the_guard_as_a_module_explains_too(self, google_last: Environment) -> None:
        done = google_last.run("-m", "genkit_llm", check=False)
        assert (done.returncode, "is not genkit-llm's" in done.stdout) == (2, True)


class TestOursInstalledLast:
    def test_llm_imports_and_one_warning_names_the_clash(self, ours_last: Environment) -> None:
        done = ours_last.run("-c", "from genkit import LLM; import genkit; print(LLM.__name__)")
        assert done.stdout == "LLM\n"
        assert done.stderr.count("RuntimeWarning: Google's Firebase Genkit") == 1

    def test_importing_googles_class_says_whose_it_is(self, ours_last: Environment) -> None:
        done = ours_last.run("-W", "ignore", "-c", "from genkit import Genkit", check=False)
        assert done.stderr.splitlines()[-1].startswith("ImportError: genkit.Genkit is part of Google's Firebase Genkit")

    def test_the_console_script_works(self, ours_last: Environment) -> None:
        assert genkit.__version__ in run(ours_last.script, "--version").stdout

    def test_the_guard_as_a_module_tells_the_state(self, ours_last: Environment) -> None:
        done = ours_last.run("-m", "genkit_llm", check=False)
        assert (done.returncode, "genkit-llm was installed last and works" in done.stdout) == (2, True)


@pytest.mark.parametrize("order", ["google last", "ours last"])
class TestOneUninstalled:
    def test_what_uninstalling_google_leaves_is_explained(
        self, order: str, ours: Path, googles: Path, tmp_path: Path
    ) -> None:
        place = Environment(tmp_path / "env", *((ours, googles) if order == "google last" else (googles, ours)))
        place.pip("uninstall", "-y", "genkit")
        done = run(place.script, "run", "hi", check=False)
        assert done.returncode == 2
        assert "genkit/__init__.py is missing" in done.stderr
        assert "Firebase Genkit:" not in done.stderr  # nothing to keep: it is gone

    def test_the_commands_it_prints_are_the_way_out(
        self, order: str, wheels: Path, ours: Path, googles: Path, tmp_path: Path
    ) -> None:
        place = Environment(tmp_path / "env", *((ours, googles) if order == "google last" else (googles, ours)))
        said = place.run("-m", "genkit_llm", check=False).stdout.splitlines()
        commands = [shlex.split(line)[3:] for line in said if line.startswith("  ")][:2]
        assert [command[0] for command in commands] == ["uninstall", "install"]
        place.pip(*commands[0])
        place.pip(*commands[1], "--no-index", "--no-deps", "--find-links", wheels)
        place.run("-W", "error", "-c", "from genkit import LLM")
        assert place.run("-m", "genkit_llm", check=False).returncode == 0


class TestNames:
    def test_both_halves_of_the_guard_know_the_same_directories(self) -> None:
        assert frozenset(genkit_llm._GOOGLES_DIRECTORIES) == genkit._GOOGLES_DIRECTORIES

    def test_none_of_those_directories_is_ours(self) -> None:
        assert genkit._GOOGLES_DIRECTORIES.isdisjoint(entry.name for entry in Path(genkit.__file__).parent.iterdir())

    @pytest.mark.parametrize("name", ["Genkit", "Flow", "Plugin", "Action"])
    def test_googles_names_are_absent_to_hasattr(self, name: str) -> None:
        assert not hasattr(genkit, name)

    def test_an_attribute_of_googles_says_whose_it_is(self) -> None:
        with pytest.raises(AttributeError, match=r"genkit\.Flow is part of Google's Firebase Genkit"):
            _ = genkit.Flow

    @pytest.mark.parametrize(
        "statement", ["from genkit.ai import Genkit", "import genkit.plugins.google_genai", "import genkit.core"]
    )
    def test_a_module_of_googles_says_whose_it_is(self, statement: str) -> None:
        with pytest.raises(ModuleNotFoundError, match=r"genkit\.\w+ is part of Google's Firebase Genkit") as caught:
            exec(statement)
        assert caught.value.name in statement

    def test_a_module_that_nobody_has_is_missing_as_any_other(self) -> None:
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            importlib.import_module("genkit.nothing")

    def test_no_name_of_ours_is_given_away(self) -> None:
        assert genkit._GOOGLES_NAMES.isdisjoint(genkit.__all__)

    def test_a_stranger_called_genkit_is_not_taken_for_google(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "genkit.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "genkit")
        said = genkit_llm.clash()
        assert said is not None
        assert "it belongs to another distribution" in said
