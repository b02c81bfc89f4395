"""Starting the runner on a device so that it outlives a cut link, and ending it for sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Literal

from toolkit.devices.base import CommandResult, Device
from toolkit.errors import DeviceError, DeviceUnreadable
from toolkit.profiling import remote
from toolkit.profiling.gate.moments import Moment, parse_moments

_QUICK_S = 15.0
# An app is asked to end its run before it is made to.
_KILL_S = 40.0

# $1 is _SUPERVISE, the rest its arguments. The supervisor gets a session of its own, and everything ignores
# the HUP that adbd sends when the link is cut, because a cut link must not end a measurement that
# `slm pull` can still fetch. A background job is no group leader, so setsid does not fork.
_START = """
trap '' HUP PIPE
supervise=$1
shift
$(command -v setsid) sh -c "$supervise" slm-supervise "$@" &
wait $!
"""

# $1 is the run's folder, the rest is the runner's command. `tee` goes on writing its file when nobody
# reads its output any more. The exit code is renamed into place, so that it is whole or absent. Where the
# pid cannot be written the folder is gone: the run was abandoned before it had a pid to be killed by.
_SUPERVISE = """
cd "$1" || exit 8
shift
{
  "$@" 2>stderr &
  pid=$!
  echo $pid >pid || kill -9 $pid
  wait $pid
  echo $? >exit.part
  mv exit.part exit
} | tee stdout
exit $(cat exit)
"""

# As _SUPERVISE, for a runner that reads its stdin: it ends with the link, so nothing outlives that, and
# nothing is kept of what it says. A background job's stdin is /dev/null unless it is given another one.
_CONVERSE = """
cd "$1" || exit 8
shift
exec 3<&0
"$@" <&3 2>stderr &
pid=$!
echo $pid >pid || kill -9 $pid
wait $pid
code=$?
echo $code >exit.part
mv exit.part exit
exit $code
"""

# $1 is the run's folder, $2 its id. The id is on the runner's command line; checking for it keeps a
# recycled pid safe. Where /proc cannot be read the pid alone must do.
_ALIVE = """
alive() {
  [ -f "$1/pid" ] || return 1
  pid=$(cat "$1/pid")
  if [ -d /proc/self ]; then
    grep -q "$2" "/proc/$pid/cmdline" 2>/dev/null
  else
    kill -0 "$pid" 2>/dev/null
  fi
}
"""

# Ends when the shell of _START has written its last file, so that the folder can be removed.
_KILL = (
    _ALIVE
    + """
alive "$1" "$2" || exit 0
ended() {
  for attempt in $1; do
    [ -f "$2/exit" ] && return
    sleep 0.5
  done
  return 1
}
if [ -f "$1/app" ]; then
  # Ending the app ends all of it, a conversation, too. So the run is asked to end, and has a moment for it.
  app=$(cat "$1/app")
  uri=content://$app.runs
  content call --uri "$uri" --method cancel --arg "$2" >/dev/null 2>&1
  ended "1 2 3 4 5 6" "$1" && exit 0
  case "$(content call --uri "$uri" --method state --arg "$2" 2>&1)" in
    *state=running*) ;;
    *state=*) ended "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" "$1" && exit 0 ;;
  esac
  kill -9 "$pid"
  am force-stop "$app"
else
  kill -9 "$pid"
fi
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ -f "$1/exit" ] && exit 0
  sleep 0.1
done
"""
)

# $1 is the run's folder, $2 its id. An app keeps a folder of its own for a run that was not seen to its end.
_REMOVE = """
if [ -f "$1/app" ]; then content delete --uri "content://$(cat "$1/app").runs/$2" >/dev/null 2>&1; fi
rm -rf "$1"
"""

_STATE = (
    _ALIVE
    + """
if [ -e "$1" ]; then (cd "$1") || exit; fi
if [ -f "$1/exit" ]; then cat "$1/exit"
elif alive "$1" "$2"; then echo running
else echo gone
fi
"""
)

# $1 is the folder of all runs.
_RUNNING = (
    _ALIVE
    + """
[ -e "$1" ] || exit 0
cd "$1" || exit
for run in *; do
  [ -f "$run/exit" ] || { alive "$run" "$run" && echo "$run"; }
done
:
"""
)

# $1 is the run's folder, $2 what tokens' names begin with. A token is one line of JSON without its newline.
_TOKENS = """
cd "$1" || exit
for token in "$2"*; do [ -f "$token" ] && cat "$token" && echo; done
"""

RunnerState = int | Literal["running", "gone"]


def start_runner(
    device: Device,
    run_id: str,
    command: Sequence[str],
    *,
    timeout_s: float,
    on_stdout_line: Callable[[str], None] | None = None,
) -> CommandResult:
    """Run the runner in its run folder, which must exist, and wait for it.

    The command line must hold the run id. When the wait is broken off, by Ctrl-C for instance, the
    runner goes on: call :func:`kill_runner`.

    Raises:
        DeviceError: the link was lost, or the runner took longer than ``timeout_s``.
    """
    script = ["sh", "-c", _START, "slm-run", _SUPERVISE, remote.run_dir(device, run_id)]
    return device.shell([*script, *command], timeout_s=timeout_s, on_stdout_line=on_stdout_line)


def converse_with_runner(
    device: Device,
    run_id: str,
    command: Sequence[str],
    stdin: IO[bytes],
    *,
    on_stdout_line: Callable[[str], None],
) -> CommandResult:
    """As :func:`start_runner`, for a runner that is told what to do while it runs; it ends with its stdin.

    Raises:
        DeviceError: the link was lost, or the device stopped answering.
    """
    script = ["sh", "-c", _CONVERSE, "slm-run", remote.run_dir(device, run_id)]
    return device.converse([*script, *command], stdin, on_stdout_line=on_stdout_line)


def kill_runner(device: Device, run_id: str) -> None:
    """Kill the run's runner if it still runs; one in the app is asked to end first.

    Raises:
        DeviceError: the device cannot be reached.
    """
    device.shell(["sh", "-c", _KILL, "slm-kill", remote.run_dir(device, run_id), run_id], timeout_s=_KILL_S)


def runner_state(device: Device, run_id: str) -> RunnerState:
    """The runner's exit code, "running", or "gone" when it vanished without leaving one.

    Raises:
        DeviceError: the device cannot be reached, or gives none of these answers.
    """
    script = ["sh", "-c", _STATE, "slm-state", remote.run_dir(device, run_id), run_id]
    answer = answered(device, script, timeout_s=_QUICK_S).strip()
    if answer.isdigit():
        return int(answer)
    if answer == "running":
        return "running"
    if answer == "gone":
        return "gone"
    raise DeviceUnreadable(
        f"the device does not say what became of run {run_id}: {answer[-300:]!r}",
        serial=device.serial,
        next_step="Run the same command again.",
    )


def running_ids(device: Device) -> list[str]:
    """Ids of the runs whose runner is at work.

    Raises:
        DeviceError: the device cannot be reached.
    """
    script = ["sh", "-c", _RUNNING, "slm-running", remote.runs_dir(device)]
    return answered(device, script, timeout_s=_QUICK_S).split()


def answered(device: Device, script: Sequence[str], *, timeout_s: float) -> str:
    """What a script prints that ends with code 0 whenever it could look.

    Raises:
        DeviceUnreadable: it could not.
        DeviceError: the device cannot be reached.
    """
    result = device.shell(script, timeout_s=timeout_s)
    if result.returncode != 0:
        raise DeviceUnreadable(
            f"what lies on the device cannot be read: {result.stderr.strip()[-300:] or 'no reason given'}",
            serial=device.serial,
            next_step="Run the same command again; slm doctor says what the device lacks.",
        )
    return result.stdout


def make_run_dir(device: Device, run_id: str) -> None:
    """Make a run's folder.

    Raises:
        DeviceError: the device cannot be reached.
    """
    device.shell(["mkdir", "-p", remote.run_dir(device, run_id)], timeout_s=_QUICK_S)


def remove_run_dir(device: Device, run_id: str) -> CommandResult:
    """Remove a run's folder, and the one that the app has of it; the code is other than 0 where it stays.

    Raises:
        DeviceError: the device cannot be reached.
    """
    script = ["sh", "-c", _REMOVE, "slm-remove", remote.run_dir(device, run_id), run_id]
    return device.shell(script, timeout_s=_QUICK_S)


def left_moments(device: Device, run_id: str) -> tuple[Moment, ...]:
    """The readings in a run's gate tokens.

    Raises:
        DeviceError: the device cannot be reached.
    """
    script = ["sh", "-c", _TOKENS, "slm-tokens", remote.run_dir(device, run_id), remote.GATE_TOKEN]
    result = device.shell(script, timeout_s=_QUICK_S)
    return parse_moments(result.stdout.splitlines())


def read_remote_text(device: Device, path: str, *, last_bytes: int) -> str:
    """The end of a text file on the device; empty when there is none.

    Raises:
        DeviceError: the device cannot be reached.
    """
    result = device.shell(["tail", "-c", str(last_bytes), path], timeout_s=_QUICK_S)
    return result.stdout if result.returncode == 0 else ""


def abandon(device: Device, run_id: str) -> None:
    """Kill a run's runner and remove its folder, as far as the device can still be reached.

    Raises:
        KeyboardInterrupt: Ctrl-C arrived here. The folder was removed all the same; only a second one
            breaks that off.
    """
    try:
        _end_and_remove(device, run_id)
    except KeyboardInterrupt:
        _end_and_remove(device, run_id)
        raise


def _end_and_remove(device: Device, run_id: str) -> None:
    try:
        kill_runner(device, run_id)
        remove_run_dir(device, run_id)
    except DeviceError:
        # Whatever brought us here is the error to report; `slm pull` cleans up later.
        pass
