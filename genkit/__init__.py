"""One `LLM` object that answers the same way whichever model is behind it.

This is the import package of the distribution `genkit-llm`. It is unrelated to Google's Firebase Genkit, whose
distribution `genkit` installs a package of the same name: see docs/adr/0001-names-and-the-clash.md.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from . import errors
from .errors import GenkitError
from .llm import LLM
from .types import (
    Audio,
    CallWarning,
    Document,
    Embeddings,
    Features,
    FetchPolicy,
    Health,
    Image,
    Message,
    Opaque,
    Plan,
    Reasoning,
    Response,
    Schema,
    Score,
    Settings,
    Text,
    Thinking,
    Timeouts,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    Video,
)

# `genkit_llm.py` reads this line, without importing, to tell this file from Google's.
__distribution__ = "genkit-llm"
__version__ = "0.1.0"

__all__ = [
    "LLM",
    "Audio",
    "CallWarning",
    "Document",
    "Embeddings",
    "Features",
    "FetchPolicy",
    "GenkitError",
    "Health",
    "Image",
    "Message",
    "Opaque",
    "Plan",
    "Reasoning",
    "Response",
    "Schema",
    "Score",
    "Settings",
    "Text",
    "Thinking",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "Video",
    "__version__",
    "errors",
]

# Names of Google's package that ours does not have: people who meant that package look for these.
_GOOGLES_NAMES = frozenset(
    {
        "Action",
        "ActionKind",
        "ActionRunContext",
        "EmbedRequest",
        "EmbedResponse",
        "EmbedderInfo",
        "EmbedderRef",
        "ExecutablePrompt",
        "Flow",
        "Genkit",
        "GenkitRegistry",
        "GenkitSpan",
        "Interrupt",
        "MiddlewareRef",
        "ModelInfo",
        "ModelRequest",
        "ModelResponse",
        "ModelResponseChunk",
        "ModelStreamResponse",
        "Plugin",
        "PromptGenerateOptions",
        "PublicError",
        "StreamResponse",
        "ToolDefinition",
        "ToolRequest",
        "ToolResponse",
        "ToolRunContext",
        "background_model",
    }
)

# Directories that Google's distribution has put beside this file, now or in earlier versions.
_GOOGLES_DIRECTORIES = frozenset({"_ai", "_core", "ai", "blocks", "core", "plugin_api", "plugins"})

_GOOGLES = (
    "{} is part of Google's Firebase Genkit; the package installed here is genkit-llm, another library of the same "
    "import name: run 'python -m genkit_llm' to see the state of this environment and the way out"
)


def __getattr__(name: str) -> object:
    if name not in _GOOGLES_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    message = _GOOGLES.format(f"{__name__}.{name}")
    # `from genkit import X` drops the text of an AttributeError; `hasattr` and `getattr` accept nothing else.
    if sys._getframe(1).f_code.co_name == "_handle_fromlist":  # noqa: SLF001 - nothing else says who asks
        raise ImportError(message, name=__name__)
    raise AttributeError(message, name=name, obj=sys.modules[__name__])


class _GooglesModules:
    """Answers an import of Google's subpackages with the sentence above. It is asked last, when nothing has them."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004  # Python's signature
        """Raise for a module of Google's, and know no other."""
        package, _, module = name.partition(".")
        if package == __name__ and module.partition(".")[0] in _GOOGLES_DIRECTORIES:
            raise ModuleNotFoundError(_GOOGLES.format(name), name=name)


def _warn_of_the_clash() -> None:
    try:
        left = _GOOGLES_DIRECTORIES.intersection(entry.name for entry in Path(__file__).parent.iterdir())
    except OSError:  # in a zip archive or a frozen program there is no directory, and nothing to clash with
        return
    if left:
        warnings.warn(
            f"Google's Firebase Genkit (distribution 'genkit') is installed over the same directory as genkit-llm "
            f"(found {', '.join(sorted(left))}): genkit-llm works, Firebase Genkit does not, and uninstalling or "
            f"upgrading either breaks the other; run 'python -m genkit_llm' for the way out",
            RuntimeWarning,
            stacklevel=3,
        )


sys.meta_path.append(_GooglesModules)
_warn_of_the_clash()
