"""The shell protocol on top of ``adb shell`` and ``ssh``: an end marker with the command's own exit code.

``adb shell`` of version 29 exits with 0 when the phone dies, and a connection may break at any byte. So
the remote shell prints a first line with its pid and, after the command, a last line with the exit code,
both carrying a token that is new for each call. Both go to stdout, whose order is kept: once the last line
is there, all the command's output is. No last line: the command's fate is unknown. What comes before the
first line is somebody else's, a start file's greeting or a linker's warning, and is dropped. A shell of
before Android 7 ends lines as a terminal does: its first line tells.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

_KEPT_BEFORE = 300
# Above the token, a word, a number and the white space between them, by far.
_LONGEST_MARKER = 4096


def remote_script(argv: Sequence[str], token: str) -> str:
    """The text for the device's ``sh -c``: quoting happens here and nowhere else."""
    return (
        # The empty line keeps the marker at the start of a line whatever a start file printed.
        f"echo; echo {token} pid $$\n"
        f"{shlex.join(argv)}\n"
        "status=$?\n"
        # The empty line before the marker keeps it at the start of a line whatever the command printed.
        f"echo; echo {token} rc $status"
    )


def kill_script(pid: int, token: str) -> str:
    """The text that kills a command which ran past its deadline, with everything it started.

    The pid may belong to something else by now, so the process must carry the call's token. adbd and sshd
    start each command in a session of its own; its leader is the shell, or what the board puts around it.
    """
    return (
        f"grep -q {token} /proc/{pid}/cmdline 2>/dev/null || exit 0\n"
        # Behind the name in brackets: state, parent, group, session.
        f"read -r stat </proc/{pid}/stat; set -- ${{stat##*) }}\n"
        f'[ "$3" = "$4" ] && kill -9 -"$3" 2>/dev/null || kill -9 {pid}'
    )


class MarkedOutput:
    """Takes the stdout of a ``remote_script`` as it arrives and separates output from markers.

    Args:
        token: of the call.
        on_line: called with each line as it arrives.
        keeps: whether ``text`` holds the output.

    Attributes:
        pid: the remote shell's pid, once known.
        returncode: the command's exit code, once the end marker is there.
        before: what came before the first marker, the end of it.
    """

    def __init__(
        self, token: str, on_line: Callable[[str], None] | None = None, *, keeps: bool = True
    ) -> None:
        self.pid: int | None = None
        self.returncode: int | None = None
        self.before = ""
        self._token = token.encode()
        self._on_line = on_line
        self._keeps = keeps
        self._partial = bytearray()
        self._output = bytearray()
        # An empty line may be the one before the end marker: it is held until the next line is known.
        self._held_empty_line = False
        self._line_end = b""

    @property
    def text(self) -> str:
        """The command's stdout; whole only when ``returncode`` is known."""
        if self.pid is None:
            return ""
        output = self._output if self.returncode is not None else self._output + self._partial
        return output.decode(errors="replace")

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        # Only what is new is searched: a line may come in thousands of parts.
        ended, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = bytes(self._partial + ended).split(b"\n")
            self._partial = bytearray()
            for line in lines:
                self._line(line)
        self._partial += rest
        if self.pid is None:
            # A greeting without end: no marker is as long.
            del self._partial[:-_LONGEST_MARKER]

    def _line(self, line: bytes) -> None:
        if self.returncode is not None:
            return
        if self.pid is None:
            self.pid = self._marker(line, b"pid")
            if self.pid is None:
                self.before = f"{self.before}{line.decode(errors='replace')}\n"[-_KEPT_BEFORE:]
            else:
                # One, or two where a terminal's end was made into a terminal's end again.
                self._line_end = line[len(line.rstrip(b"\r")) :]
            return
        line = line.removesuffix(self._line_end)
        returncode = self._marker(line, b"rc")
        if returncode is not None:
            self.returncode = returncode
            # The newline just before the marker is ours, whether or not it ended an unfinished line.
            if self._output.endswith(b"\n"):
                del self._output[-1:]
            return
        if self._keeps:
            self._output += line + b"\n"
        if self._on_line:
            if self._held_empty_line:
                self._on_line("")
            self._held_empty_line = not line
            if line:
                self._on_line(line.decode(errors="replace"))

    def _marker(self, line: bytes, name: bytes) -> int | None:
        words = line.split()
        if len(words) == 3 and words[:2] == [self._token, name] and words[2].isdigit():
            return int(words[2])
        return None


class BetweenMarkers:
    """Passes on the bytes of a stream between two lines with the token; what stands around them is dropped.

    Of a stream that breaks off, the last bytes may be missing.
    """

    def __init__(self, token: str, sink: Callable[[bytes], None]) -> None:
        self._marker = f"\n{token}\n".encode()
        self._sink = sink
        # As if a line had ended before the first byte: the token's line may be the first.
        self._waiting = bytearray(b"\n")
        self._begun = self._ended = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._ended:
            return
        self._waiting += data
        if not self._begun:
            _, found, rest = self._waiting.partition(self._marker)
            if not found:
                del self._waiting[: -len(self._marker)]
                return
            self._begun, self._waiting = True, rest
        payload, found, _ = self._waiting.partition(self._marker)
        if found:
            self._ended = True
        else:
            # The marker may have begun to arrive.
            payload = self._waiting[: -len(self._marker)]
            del self._waiting[: -len(self._marker)]
        self._sink(bytes(payload))


def marked_output(command: str, token: str) -> str:
    """The text for the device's ``sh -c`` whose stdout a :class:`BetweenMarkers` reads."""
    marker = f"printf '\\n%s\\n' {token}"
    return f"{marker} && {command} && {marker}"
