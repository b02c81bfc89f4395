"""The whole path over ssh: push, run, pull, store."""

from __future__ import annotations

import json

from private_sshd import SERIAL, Board
from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.artifact import Artifact


def test_a_board_is_profiled_like_a_phone(slm: SlmProcess, board: Board, artifact: Artifact) -> None:
    process = slm("profile", artifact.path, "-d", SERIAL, *SMALL_FLAGS, "--json")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    [stored] = json.loads(out)
    assert (stored["device"]["serial"], stored["device"]["kind"]) == (SERIAL, "ssh")
    assert stored["device"]["emulated"] is False and stored["run"]["greedy_matched"] == 12
    assert list((board.home / ".slm-toolkit" / "runs").iterdir()) == []
    assert not (board.home / ".slm-toolkit" / "lease").exists()

    again = slm("push", artifact.path, "-d", SERIAL, "--json")
    out, err = again.communicate(timeout=60)
    assert json.loads(out)[0]["sent"] == [], err
