"""The app on a device: is it there, and how a run is started in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from toolkit.devices.base import Device
from toolkit.errors import DeviceNotReady

# What the engine runs in: a process of adb's shell, or an app's.
Runner = Literal["shell", "app"]
# What keeps the app's process going: the activity in front, or a foreground service behind other apps.
AppState = Literal["activity", "service"]

PACKAGE = "slm.toolkit.app"
# What host and app agree on; slm.toolkit.core.CONTRACT is the app's.
CONTRACT = 3
# The result file of a run in the app, as slm.toolkit.core.Arguments takes it.
APP_RESULT = "@run/result.jsonl"
_QUICK_S = 60.0

# Runs under the launcher of every run (profiling/session/launch.py), in the run's folder, and does what the
# runner would: says its lines, leaves its result, ends with its exit code. $1 is the app, $2 the engine, $3
# the app's state, the rest the runner's command line. The app reads what lies in the run's folder as another
# user. Android has a service started after it has said so.
_RUN = """
app=$1
engine=$2
app_state=$3
shift 3
run=${PWD##*/}
uri=content://$app.runs
fail() { echo "slm-app: error: $1" >&2; exit 13; }
dark() { dumpsys power 2>/dev/null | grep -qE 'mWakefulness=(Asleep|Dozing)'; }
locked() { dumpsys activity activities 2>/dev/null | grep -q 'mKeyguardShowing=true'; }
was_dark=
# Left as it was found, whatever comes between: the next run may ask for a dark screen.
trap '[ ! "$was_dark" ] || input keyevent KEYCODE_SLEEP >/dev/null 2>&1' EXIT
if [ "$app_state" = activity ]; then
  # Behind a dark or locked screen no activity is a top app. A lock with a secret stays, whatever is asked.
  if dark; then was_dark=yes; fi
  input keyevent KEYCODE_WAKEUP >/dev/null 2>&1
  wm dismiss-keyguard >/dev/null 2>&1
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    if dark || locked; then sleep 0.3; else break; fi
  done
  why=
  if dark; then why="the screen is off and does not come on"; elif locked; then why="the screen is locked"; fi
  if [ "$why" ]; then
    echo "slm-app: error: $why" >&2
    exit 12
  fi
fi
chmod 755 . && chmod 644 ./* 2>/dev/null
case " $* " in
  *" @artifacts/"*)
    # The app reads nothing that adb has put here: all of it is streamed, the gate's tokens later.
    echo "$uri/$run" >streamed
    for name in prompt.txt continuation.txt conversation.json; do
      [ ! -f "$name" ] || content write --uri "$uri/$run/$name" <"$name" >&2
    done
    for one; do
      shift
      case "$one" in "$PWD" | "$PWD"/*) one=@run/${one#"$PWD"} ;; esac
      set -- "$@" "$one"
    done
    ;;
esac
printf '%s\\0' slm-app/3 "$engine" "$@" >arguments
echo "$app" >app
said=$(content write --uri "$uri/$run/arguments" <arguments 2>&1)
case "$said" in
  *"No space left"*|*ENOSPC*) echo "slm-app: error: the app has no room: No space left" >&2; exit 8 ;;
  *[Ee]rror*|*ERROR*|*xception*) fail "the app does not take a run: $said" ;;
esac
state() {
  said=$(content call --uri "$uri" --method state --arg "$run" 2>&1)
  case "$said" in
    *state=*) said=${said#*state=}; said=${said%%[\\},]*} ;;
    *) fail "the app does not say what became of the run: $said" ;;
  esac
}
if [ "$app_state" = service ]; then
  am start-foreground-service -n "$app/$app.RunService" --es run_id "$run" >started 2>&1
  if grep -q '^Error' started || ! grep -q '^Starting service' started; then
    fail "the app does not start: $(tail -n 1 started)"
  fi
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    state
    [ "$said" = "13 not_started" ] || break
    sleep 1
  done
  content read --uri "$uri/$run/stdout"
  state
else
  # A process that another run has just ended in is on its way out.
  for attempt in 1 2 3; do
    am start -W -n "$app/$app.RunActivity" --es run_id "$run" >started 2>&1
    grep -q '^Status: ok' started || fail "the app does not start: $(tail -n 1 started)"
    content read --uri "$uri/$run/stdout"
    state
    [ "$said" = "13 not_started" ] || break
    sleep 1
  done
fi
[ "$said" != "13 not_started" ] || fail "the app did not start the run: another one may be at work in it"
while [ "$said" = running ]; do sleep 1; state; done
content read --uri "$uri/$run/stderr" >&2
content read --uri "$uri/$run/app.jsonl" >app.jsonl
code=${said%% *}
if [ "$code" = 0 ] && [ "$1" = profile ]; then
  content read --uri "$uri/$run/result.jsonl" >result.jsonl.part && mv result.jsonl.part result.jsonl
fi
[ "${said#* }" = runner ] || [ "$code" = 0 ] || echo "slm-app: error: the run ended: ${said#* }" >&2
content delete --uri "$uri/$run" >&2 && rm -f app
exit "$code"
"""

# $1 is the app.
_INFO = """
# pm fails, and says nothing, of a package that there is not; any other failure has something to say.
said=$(pm path "$1" 2>&1)
code=$?
case "$said" in
  *package:*) echo "$said" ;;
  "") [ "$code" -le 1 ] && exit 0; exit "$code" ;;
  *) echo "$said" >&2; exit 1 ;;
esac
content call --uri "content://$1.runs" --method info 2>&1
sha256sum $(echo "$said" | sed -n 's/^package://p' | head -n 1)
"""
# $1 is the app.
_ENGINES = """
content query --uri "content://$1.runs/engines" 2>&1
"""
# $1 is the app, $2 a path.
_PROBE = """
[ -e "$2" ] || { echo absent; exit; }
content call --uri "content://$1.runs" --method probe --arg "$2" 2>&1
"""
_CONTRACT = re.compile(r"\bcontract=(\d+)")
_VERSION = re.compile(r"\bversion=([^,}\s]+)")
_ENGINE_ROW = re.compile(
    r"^Row: \d+ engine=(\w+), version=([^,\n]*), providers=([^,\n]*), problem=(.*)$", re.MULTILINE
)
_SHA256 = re.compile(r"^([0-9a-f]{64})\s", re.MULTILINE)


@dataclass(frozen=True)
class InstalledApp:
    """The app as a device has it; ``sha256`` is that of its package."""

    version: str
    contract: int
    sha256: str


def installed_app(device: Device) -> InstalledApp | None:
    """The app on a device; None when it has none.

    Raises:
        DeviceNotReady: it is there and does not answer, or is no Android device.
        DeviceError: the device cannot be reached.
    """
    result = device.shell(["sh", "-c", _INFO, "slm-app-info", PACKAGE], timeout_s=_QUICK_S)
    if "package:" not in result.stdout:
        if result.returncode == 0:
            return None
        raise DeviceNotReady(
            f"pm does not say whether the app is there: {result.stderr.strip()[-300:] or 'no reason given'}",
            serial=device.serial,
            next_step="Only Android devices have apps; restart the device if it is one.",
        )
    contract, version, sha256 = (one.search(result.stdout) for one in (_CONTRACT, _VERSION, _SHA256))
    if contract is None or version is None or sha256 is None:
        raise DeviceNotReady(
            f"the app does not answer: {(result.stdout + result.stderr).strip()[-300:]}",
            serial=device.serial,
            next_step="Install it again: slm app install",
        )
    return InstalledApp(version[1], int(contract[1]), sha256[1])


@dataclass(frozen=True)
class EngineInApp:
    """An engine as the app has it.

    Attributes:
        version: None where its library cannot be used.
        providers: what it can hand work to.
        problem: why its library cannot be used.
    """

    engine: str
    version: str | None
    providers: tuple[str, ...]
    problem: str | None


def engines_of_app(device: Device) -> list[EngineInApp] | None:
    """The engines in the app on a device; None when the app does not say.

    Raises:
        DeviceError: the device cannot be reached.
    """
    said = device.shell(["sh", "-c", _ENGINES, "slm-app-engines", PACKAGE], timeout_s=_QUICK_S).stdout
    found = []
    for row in _ENGINE_ROW.finditer(said):
        version, providers, problem = (None if one == "NULL" else one for one in row.groups()[1:])
        found.append(EngineInApp(row[1], version, tuple((providers or "").split()), problem))
    return found if found or "No result found" in said else None


def app_reads(device: Device, path: str) -> bool | None:
    """Whether the app can read a file or folder; None where there is none, or the app does not say.

    Raises:
        DeviceError: the device cannot be reached.
    """
    said = device.shell(["sh", "-c", _PROBE, "slm-app-probe", PACKAGE, path], timeout_s=_QUICK_S).stdout
    answer = re.search(r"\breadable=(true|false)\b", said)
    return None if answer is None else answer[1] == "true"


def needed_app(device: Device) -> InstalledApp:
    """The app on a device, of the version that this toolkit speaks to.

    Raises:
        DeviceNotReady: it is missing, or speaks another contract.
        DeviceError: the device cannot be reached.
    """
    app = installed_app(device)
    if app is None:
        raise DeviceNotReady(
            f"the app ({PACKAGE}) is not installed", serial=device.serial, next_step="slm app install"
        )
    if app.contract != CONTRACT:
        raise DeviceNotReady(
            f"the app {app.version} speaks version {app.contract} of the contract, this toolkit {CONTRACT}",
            serial=device.serial,
            next_step="slm app install" if app.contract < CONTRACT else "Update slm-toolkit.",
        )
    return app


def app_command(engine: str, state: AppState) -> tuple[str, ...]:
    """What takes the place of the runner's command: it runs on the device, in the run's folder."""
    return ("sh", "-c", _RUN, "slm-app-run", PACKAGE, engine, state)
