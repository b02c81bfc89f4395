"""What `slm chat` makes of what is typed or piped."""

from __future__ import annotations

import io
import sys

import pytest

from toolkit.cli.chat import _next_line
from toolkit.errors import UsageError


def test_piped_input_that_is_no_text_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n\xff\xfe\n"), encoding="utf-8"))
    with pytest.raises(UsageError, match="UTF-8"):
        while _next_line(False) is not None:
            pass
