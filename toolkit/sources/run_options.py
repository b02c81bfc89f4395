"""What configs say of how their model was run, which says nothing about what it computes."""

from __future__ import annotations

from typing import Any


def forget_run_options(config: Any) -> None:
    """Let whoever builds the model choose its attention and its experts, and have answers as they come.

    Configs that were saved from a running model name kernels that are not installed everywhere.
    """
    config._attn_implementation = None
    config._experts_implementation = None
    for part in (config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", ()))):
        if part is not None:
            part.return_dict = True
