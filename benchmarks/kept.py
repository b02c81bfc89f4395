"""Answers that are kept from run to run: the same question has the same answer.

What a converter of someone else's costs, and what a file's perplexity is, take minutes and do not depend on
the day. The question holds everything that the answer depends on; `--fresh` asks again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from benchmarks.samples import Frozen
from toolkit.artifact import file_entries
from toolkit.files import sha256_of, write_whole

_Model = TypeVar("_Model", bound=Frozen)


class _Kept(Frozen):
    """One file. The question is there for people; its hash is the file's name."""

    question: dict[str, str]
    answer: dict[str, object]


class KeptAnswers:
    """A folder of answers, one file per question.

    Args:
        folder: made when the first answer is kept.
        fresh: forget an answer of an earlier run when it is asked for the first time.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._asked: set[str] = set()

    def forget(self, question: Mapping[str, str]) -> None:
        """Drop the answer, because what it speaks of is gone."""
        (self._folder / f"{name_of(question)}.json").unlink(missing_ok=True)

    def answer(self, question: Mapping[str, str], model: type[_Model], make: Callable[[], _Model]) -> _Model:
        """The kept answer, or a new one, which is kept."""
        name = name_of(question)
        path = self._folder / f"{name}.json"
        may_be_old = not self._fresh or name in self._asked
        self._asked.add(name)
        if may_be_old and path.is_file():
            try:
                return model.model_validate(_Kept.model_validate_json(path.read_text()).answer)
            except ValidationError:
                # Cut by a full disk, or of another version of this program.
                path.unlink()
        answer = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = _Kept(question=dict(question), answer=answer.model_dump(mode="json"))
        write_whole(path, kept.model_dump_json(indent=1) + "\n")
        return answer


def name_of(question: Mapping[str, str]) -> str:
    """A file name for what belongs to a question."""
    text = json.dumps(dict(question), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_files(path: Path) -> str:
    """Of a file, or of all files under a folder but the manifest, which tells when it was made."""
    if path.is_file():
        return sha256_of(path)
    lines = [f"{entry.path} {entry.sha256}" for entry in file_entries(path)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_of_windows(windows: list[list[int]]) -> str:
    """Of token ids."""
    return hashlib.sha256(json.dumps(windows).encode()).hexdigest()
