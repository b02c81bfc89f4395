"""Conversions asked for in ways that are refused; what is advised is done, and the conversion is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from refused_conversions import Asked, Refusal, first_name, follow_the_advice, leave_out, option

from toolkit.errors import ArtifactExists, BadGroupSize, ContextTooLong, UnknownScheme, UsageError
from toolkit.settings import Settings

LONG_TEXT = "The river had risen in the night. " * 400


def calibration(text: str | None) -> Callable[[Asked], object]:
    def cause(asked: Asked) -> None:
        file = asked.place / "text.txt"
        if text is not None:
            file.write_text(text)
        asked.options |= {"quant": "4w", "algorithm": "gptq", "calibration": file}

    return cause


def in_the_way(asked: Asked) -> None:
    asked.convert()


def not_an_artifact(asked: Asked) -> None:
    asked.output.mkdir(parents=True)
    (asked.output / "notes.txt").touch()


def a_file_above(asked: Asked) -> None:
    (asked.place / "notes.txt").touch()
    asked.output = asked.place / "notes.txt" / "a"


def elsewhere(asked: Asked, advice: str) -> None:
    assert "nother folder" in advice
    asked.output = asked.place / "out" / "b"


def with_force(asked: Asked, advice: str) -> None:
    assert "--force" in advice
    asked.force = True


def a_picture_in_the_calibration(asked: Asked) -> None:
    """A tokenizer that has one token more than the model, and a text with it."""
    fields = json.loads((asked.folder / "tokenizer.json").read_text())
    more = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    fields["model"]["vocab"]["<picture>"] = 600
    fields["added_tokens"].append({"id": 600, "content": "<picture>", "special": True, **more})
    asked.damage("tokenizer.json", json.dumps(fields).encode())
    calibration(f"<picture>{LONG_TEXT}")(asked)


REFUSALS = {
    "a context beyond the model's": Refusal(
        option(context=10**6),
        ContextTooLong,
        lambda asked, advice: asked.options.update(context=asked.number(advice, "context")),
    ),
    "a context of nothing": Refusal(
        option(context=0), UsageError, leave_out("leave it out", "context")
    ),
    "an opset of long ago": Refusal(
        option(opset=5),
        UsageError,
        lambda asked, advice: asked.options.update(opset=asked.number(advice, "opset")),
    ),
    "an opset of the future": Refusal(
        option(opset=99),
        UsageError,
        lambda asked, advice: asked.options.update(opset=asked.number(advice, "opset")),
    ),
    "an opset for ExecuTorch": Refusal(
        option(opset=20, backend="executorch"), UsageError, leave_out("Leave out --opset", "opset")
    ),
    "an unknown scheme": Refusal(
        option(quant="8da9w"), UnknownScheme, first_name(r"Did you mean '(\w+)'", "quant")
    ),
    "a scheme that the engine lacks": Refusal(
        option(quant="fp16", backend="executorch"),
        UnknownScheme,
        first_name(r"Linears can be (\w+)", "quant"),
    ),
    "a group size that nobody has": Refusal(
        option(quant="8da4w", group_size=48), BadGroupSize, first_name(r"(\d+)", "group_size")
    ),
    "a group size that does not divide": Refusal(
        option(quant="8da4w", group_size=256), BadGroupSize, first_name(r"(\d+)", "group_size")
    ),
    "a calibration that nobody uses": Refusal(
        lambda asked: (calibration(LONG_TEXT)(asked), asked.options.update(algorithm="hqq")),
        UsageError,
        leave_out("Leave out --calibration", "calibration"),
    ),
    "a calibration that is not there": Refusal(
        calibration(None), UsageError, leave_out("leave the option out", "calibration")
    ),
    "a calibration that is too short": Refusal(
        calibration("short"), UsageError, leave_out("leave the option out", "calibration")
    ),
    "a revision of a folder": Refusal(
        option(revision="main"), UsageError, leave_out("Leave out --revision", "revision")
    ),
    "an artifact in the way": Refusal(in_the_way, ArtifactExists, with_force),
    "something else in the way": Refusal(not_an_artifact, ArtifactExists, elsewhere),
    "a file where a folder should be": Refusal(a_file_above, ArtifactExists, elsewhere),
    "a calibration with tokens that the model lacks": Refusal(
        a_picture_in_the_calibration, UsageError, leave_out("leave the option out", "calibration")
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_advised_is_accepted(name: str, settings: Settings, tmp_path: Path) -> None:
    follow_the_advice(REFUSALS[name], Asked(tmp_path, settings))
