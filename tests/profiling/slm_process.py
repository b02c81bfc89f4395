"""What the fixture ``slm`` gives: starts the real command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

SlmProcess = Callable[..., "subprocess.Popen[str]"]
