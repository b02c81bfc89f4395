"""What the fixture ``runner`` gives: runs the bundle on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Runner = Callable[..., "subprocess.CompletedProcess[str]"]
