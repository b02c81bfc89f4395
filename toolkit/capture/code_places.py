"""Which line of a model's own code a failed trace stood at."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from torch import nn

# Where torch tells (TORCH_LOGS="dynamic") what a trace assumes of sizes, while the code that asks still runs.
_ASSUMPTIONS = logging.getLogger("torch.fx.experimental.symbolic_shapes")


class Places(logging.Handler):
    """Lines of a model's own code at which a trace assumed something of the length of the text."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(logging.INFO)
        modules = (sys.modules[type(module).__module__] for module in model.modules())
        own = {str(module.__file__) for module in modules if not module.__name__.startswith("torch.")}
        self._files = own - {__file__, str(Path(__file__).with_name("capture.py"))}
        self._equal = self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Note where the code stands that an assumption was made for."""
        told = record.getMessage()
        if "[guard added]" not in told or "[guard suppressed]" in told:
            return
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code.co_filename not in self._files:
            frame = frame.f_back
        if frame is None:
            return
        self._last = _said(frame.f_code, frame.f_lineno)
        # An equation holds for some lengths, most others for all but the longest.
        if "Eq(" in told:
            self._equal = self._equal or self._last

    @property
    def assumed(self) -> str:
        """The first line that takes the text to have some lengths only; empty where none is known."""
        return self._equal or self._last

    def of(self, trace: TracebackType | None) -> str:
        """The innermost of the model's own lines in a traceback; empty where none is."""
        found = ""
        while trace is not None:
            if trace.tb_frame.f_code.co_filename in self._files:
                found = _said(trace.tb_frame.f_code, trace.tb_lineno)
            trace = trace.tb_next
        return found


@contextmanager
def places(model: nn.Module) -> Iterator[Places]:
    """Note them while the block runs."""
    noted = Places(model)
    level, propagates, others = _ASSUMPTIONS.level, _ASSUMPTIONS.propagate, _ASSUMPTIONS.handlers
    # Heard here and nowhere else: torch's own handlers print.
    _ASSUMPTIONS.handlers = [noted]
    _ASSUMPTIONS.setLevel(logging.INFO)
    _ASSUMPTIONS.propagate = False
    try:
        yield noted
    finally:
        _ASSUMPTIONS.handlers = others
        _ASSUMPTIONS.setLevel(level)
        _ASSUMPTIONS.propagate = propagates


def _said(code: CodeType, line: int) -> str:
    return f"{code.co_qualname}, {Path(code.co_filename).name} line {line}"
