"""slm-toolkit: from a Hugging Face small language model to honest numbers from a phone.

The Python API: what the commands do. Each name is imported when it is first used: `import toolkit` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.api import (
        convert,
        evaluate_needle,
        evaluate_tasks,
        evaluate_text,
        generate,
        generate_each,
        open_store,
        profile,
    )
    from toolkit.chat.request import GenerateRequest
    from toolkit.errors import ToolkitError
    from toolkit.evaluate.request import NeedleRequest, TaskRequest, TextRequest
    from toolkit.export.request import ConvertRequest
    from toolkit.profiling.request import ProfileRequest

__version__ = "0.1.0"

__all__ = [
    "ConvertRequest",
    "GenerateRequest",
    "NeedleRequest",
    "ProfileRequest",
    "TaskRequest",
    "TextRequest",
    "ToolkitError",
    "convert",
    "evaluate_needle",
    "evaluate_tasks",
    "evaluate_text",
    "generate",
    "generate_each",
    "open_store",
    "profile",
]

_MODULES = {
    "ConvertRequest": "toolkit.export.request",
    "GenerateRequest": "toolkit.chat.request",
    "NeedleRequest": "toolkit.evaluate.request",
    "ProfileRequest": "toolkit.profiling.request",
    "TaskRequest": "toolkit.evaluate.request",
    "TextRequest": "toolkit.evaluate.request",
    "ToolkitError": "toolkit.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, "toolkit.api")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
