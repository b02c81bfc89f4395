"""Scores windows with the toolkit's own evaluation; runs in the toolkit's environment.

Usage: text_driver.py TARGET REQUEST.json OUTPUT.json   # a model's folder, or an artifact's
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from toolkit.evaluate.likelihood import negative_log_likelihood, scored_logits
from toolkit.evaluate.subject import subject_of
from toolkit.evaluate.windows import Window
from toolkit.export.quiet import hush_libraries
from toolkit.settings import Settings


def main() -> None:
    """Score every window from its second token on."""
    target, request_path, output = sys.argv[1:]
    request = json.loads(Path(request_path).read_text())
    hush_libraries()
    torch.set_num_threads(request["threads"])
    windows = [Window(tuple(ids), 1) for ids in request["sequences"]]
    subject = subject_of(target, Settings.from_environment())
    decoder = subject.open(max(len(window.ids) for window in windows))
    total = sum(
        negative_log_likelihood(scored_logits(decoder, window), window, subject=subject.name)
        for window in windows
    )
    scored = sum(window.scored for window in windows)
    answer = {"negative_log_likelihood": total, "scored_tokens": scored}
    Path(output).write_text(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
