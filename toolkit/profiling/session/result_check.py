"""Does a pulled result file answer the run that was asked for?"""

from __future__ import annotations

from toolkit.errors import ResultInvalid
from toolkit.profiling.description import RunDescription
from toolkit.profiling.records import Result, parse_result

_ASKED = ("prompt_tokens", "generate_tokens", "depth", "warmup", "repetitions", "repeat_s", "reserve")


def checked_result(text: str, description: RunDescription) -> Result:
    """Parse a result file and compare it with the run's description.

    Args:
        text: the file's content.
        description: the run it must belong to.

    Raises:
        ResultInvalid: cut short, malformed, of another run, other work than asked for, times that
            cannot be, or no greedy record although one was asked for.
    """
    serial = description.device.serial
    result = parse_result(text, run_id=description.run_id, subject=f"device {serial}")

    def invalid(why: str) -> ResultInvalid:
        return ResultInvalid(why, subject=f"device {serial}", next_step="Run it again; the raw file is kept.")

    for name in _ASKED:
        asked, done = getattr(description.options, name), getattr(result.start, name)
        if asked != done:
            raise invalid(f"{name} is {done}, {asked} was asked for")
    for repetition in result.repetitions:
        if repetition.prefill_ns <= 0 or any(step <= 0 for step in repetition.decode_ns):
            raise invalid(f"repetition {repetition.index} holds a time that is not positive")
    if result.memory.peak_bytes <= 0:
        raise invalid(f"peak memory of {result.memory.peak_bytes} bytes")
    if description.manifest.greedy_reference is not None and result.greedy is None:
        raise invalid("no greedy record, although the artifact has a reference to compare with")
    return result
