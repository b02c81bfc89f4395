"""The gate: a repetition starts only when the device is cool, idle and charged enough.

The runner loads the model once and then asks before every repetition, because only the host can read
Android's services: it prints a ``gate`` record and waits for the file ``open-<repetition>`` in its run's
folder. The host takes readings, judges them, and makes that file, which holds the readings. None of this is
within a timed region.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from toolkit.devices.base import Device, DeviceKind, Readings
from toolkit.errors import DeviceError, GateTimeout
from toolkit.profiling import remote
from toolkit.profiling.gate.limits import Verdict, judge, limits_for
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate_options import GateOptions

# How long the CPU's load is watched. A phone needs some hundred clock ticks for a fraction worth the name.
_CPU_WINDOW_S = 0.3
# This machine's load is not gated by default, and a repetition here must not wait for a reading.
_LOCAL_CPU_WINDOW_S = 0.05
# Between two looks at a device that is not ready; looking warms it.
_POLL_S = 2.0
_TOKEN_TIMEOUT_S = 15.0
# An empty token opens as well: a full phone must not keep a runner waiting. An app that cannot see it here is
# streamed it (toolkit.app.driver).
_OPEN = """
printf '%s' "$2" >"$1.part" && mv "$1.part" "$1" || : >"$1" || exit
if [ -f "${1%/*}/streamed" ]; then content write --uri "$(cat "${1%/*}/streamed")/${1##*/}" <"$1" >&2; fi
"""


class GateKeeper:
    """Opens the gate for one run, and keeps every reading.

    Args:
        device: where the runner waits.
        run_id: the run.
        options: the gate.
        say: told, in a sentence, what a repetition is waiting for.
        lit: the run lights the screen itself.
        poll_s: seconds between two looks at a device that is not ready.
        pause_s: seconds of rest before each repetition; the device is looked at after them.

    Attributes:
        moments: readings around repetitions, in the order in which they were taken.
    """

    def __init__(
        self,
        device: Device,
        run_id: str,
        options: GateOptions,
        kind: DeviceKind,
        *,
        say: Callable[[str], None],
        lit: bool = False,
        poll_s: float = _POLL_S,
        pause_s: float = 0.0,
    ) -> None:
        self.moments: list[Moment] = []
        self._device = device
        self._run_dir = remote.run_dir(device, run_id)
        self._options = options
        self._limits = limits_for(options, kind, lit=lit)
        self._window_s = _LOCAL_CPU_WINDOW_S if kind == "local" else _CPU_WINDOW_S
        self._say = say
        self._poll_s = poll_s
        self._pause_s = pause_s

    def on_line(self, line: str) -> None:
        """Take a line of the runner's output; returns once the gate that it asks for is open.

        Raises:
            GateTimeout: the device was not ready within the time limit, or never will be.
            DeviceError: the device was lost.
        """
        record = _record(line)
        if record is None or self._options.name == "off":
            return
        kind, index = record
        if kind == "repetition":
            self.moments.append(Moment("after", index, self._device.readings(cpu_window_s=0)))
        else:
            self._open(index)

    def _open(self, index: int) -> None:
        # A rest is time itself: there is nothing to look for meanwhile, and looking warms the device.
        time.sleep(self._pause_s)
        readings = self._ready(index)
        self.moments.append(Moment("before", index, readings))
        # The readings go along: whoever finds the run after this host died, finds them too.
        known = [asdict(moment) for moment in self.moments if moment.repetition in (index - 1, index)]
        token = remote.gate_token(self._run_dir, index)
        opened = self._device.shell(
            ["sh", "-c", _OPEN, "slm-gate", token, json.dumps(known)], timeout_s=_TOKEN_TIMEOUT_S
        )
        if opened.returncode != 0:
            raise DeviceError(
                f"the gate of repetition {index} cannot be opened: {opened.stderr.strip()[-200:]}",
                serial=self._device.serial,
                next_step="Free some space on the device: slm devices clean.",
            )

    def _ready(self, index: int) -> Readings:
        started = time.monotonic()
        said: tuple[str, ...] = ()
        while True:
            readings = self._device.readings(cpu_window_s=self._window_s)
            verdict = judge(readings, self._limits)
            if not verdict.unmet:
                return readings
            waited_s = time.monotonic() - started
            if verdict.hopeless or waited_s >= self._options.time_limit_s:
                raise self._timeout(index, verdict, waited_s)
            if not said:
                said = verdict.unmet
                self._say(f"{self._device.serial}: repetition {index} waits: {', '.join(said)}")
            time.sleep(min(self._poll_s, max(self._options.time_limit_s - waited_s, 0)))

    def _timeout(self, index: int, verdict: Verdict, waited_s: float) -> GateTimeout:
        return GateTimeout(
            f"not ready for repetition {index} after {waited_s:.0f} s: {', '.join(verdict.unmet)}",
            subject=f"device {self._device.serial}",
            next_step="Let it cool, charge it, end what runs on it, or set other limits: --max-celsius, "
            "--max-cpu-busy, --min-battery, --gate-limit, --gate off.",
        )


def _record(line: str) -> tuple[str, int] | None:
    """(kind, index) of a ``gate`` or ``repetition`` record; None of every other line."""
    # Most lines are long: only those that may matter are parsed.
    if '"record":"gate"' not in line and '"record":"repetition"' not in line:
        return None
    try:
        record = json.loads(line)
        return str(record["record"]), int(record["index"])
    except (ValueError, KeyError, TypeError):
        return None
