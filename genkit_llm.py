"""Console script of genkit-llm, and the guard against another package called `genkit`.

The module has a name that nobody else uses. Google's Firebase Genkit (distribution `genkit`) also installs a package
`genkit`; the one installed last owns `genkit/__init__.py`, and pip says nothing. What each order leaves:

- Google's last: `genkit/__init__.py` is Google's. `main` explains and exits with 2.
- Ours last: `genkit` is ours and works; importing it warns of Google's files beside it.
- One of the two uninstalled: `genkit/__init__.py` is gone. `main` explains and exits with 2.

`python -m genkit_llm` prints which of these this environment is in. Nothing here imports `genkit` before it is known
to be ours, because importing Google's runs its code and needs its dependencies.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

__all__ = ["clash", "main"]

# The line of our `genkit/__init__.py` that no other has.
_MARK = b'__distribution__ = "genkit-llm"'
# What Google's distribution puts into `genkit/`, now or in earlier versions.
_GOOGLES_DIRECTORIES = ("_ai", "_core", "ai", "blocks", "core", "plugin_api", "plugins")


def clash() -> str | None:
    """Return what is wrong with the package `genkit` of this environment and the way out, or None when all is well."""
    spec = importlib.util.find_spec("genkit")
    google = _google_version()
    if spec is None:
        return f"the package 'genkit' is not installed.\n{_way_out(google)}"
    if spec.origin is None:
        places = ", ".join(spec.submodule_search_locations or ())
        return (
            f"genkit/__init__.py is missing in {places}. Google's Firebase Genkit (distribution 'genkit') has the same "
            f"file, and uninstalling it removed ours.\n{_way_out(google)}"
        )
    origin = Path(spec.origin)
    if origin.name != "__init__.py" or _MARK not in origin.read_bytes():
        owner = f"Google's Firebase Genkit (distribution 'genkit' {google})" if google else "another distribution"
        return (
            f"{origin} is not genkit-llm's: it belongs to {owner}. Both install a package 'genkit', and the one "
            f"installed last replaces the other.\n{_way_out(google)}"
        )
    left = [name for name in _GOOGLES_DIRECTORIES if (origin.parent / name).is_dir()]
    if google or left:
        found = f"distribution 'genkit' {google}" if google else f"its directories {', '.join(left)}"
        return (
            f"genkit-llm and Google's Firebase Genkit ({found}) share the directory {origin.parent}. genkit-llm was "
            f"installed last and works; Firebase Genkit does not.\n{_way_out(google)}"
        )
    return None


def main() -> None:
    """Run the command line, after making sure that `genkit` is ours; explain and exit with 2 when it is not."""
    if not _is_ours():
        print(f"genkit: {clash()}", file=sys.stderr)
        raise SystemExit(2)
    importlib.import_module("genkit.cli").main()


def _is_ours() -> bool:
    # The quick half of `clash`: without importlib.metadata's search, which costs more than the rest of the start.
    spec = importlib.util.find_spec("genkit")
    return spec is not None and spec.origin is not None and _MARK in Path(spec.origin).read_bytes()


def _google_version() -> str | None:
    try:
        return importlib.metadata.version("genkit")
    except importlib.metadata.PackageNotFoundError:
        return None


def _way_out(google: str | None) -> str:
    pip = f"{sys.executable} -m pip"
    lines = [
        "Keep one of the two in this environment (or give each an environment of its own). To keep genkit-llm:",
        f"  {pip} uninstall -y genkit genkit-llm",
        f"  {pip} install genkit-llm",
    ]
    if google:
        lines += [
            "To keep Firebase Genkit:",
            f"  {pip} uninstall -y genkit-llm genkit",
            f"  {pip} install genkit=={google}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    problem = clash()
    print(problem or "genkit-llm is installed, and nothing else claims the name 'genkit'.")
    raise SystemExit(2 if problem else 0)
