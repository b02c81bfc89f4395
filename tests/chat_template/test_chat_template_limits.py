"""Templates that compute for ever or fill the memory are given up, in words, and leave no process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toolkit.chat_format import UnsplitChat
from toolkit.chat_template import limits
from toolkit.chat_template.environment import render, render_with_transformers
from toolkit.chat_template.splitting import split_template
from toolkit.chat_template.template import render_chat
from toolkit.errors import UsageError

MACRO = "{{% macro f(n) %}}{}{{% endmacro %}}{{{{ f({}) }}}}"
TIME = "ended after 1 s of computing"
MEMORY = "needs more than 1 GiB of memory"
ENDLESS = {
    "ranges in ranges": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        TIME,
    ),
    "a macro that calls itself twice": (
        MACRO.format("{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}", 60),
        TIME,
    ),
    # Jinja computes what is constant when it reads a template, in one operation.
    "a power": ("{{ 10 ** (10 ** 9) }}", f"{TIME}|{MEMORY}"),
    "a text repeated": ("{{ 'a' * (10 ** 11) }}", MEMORY),
    "a text that doubles": (
        "{% set s = namespace(t='a') %}{% for i in range(60) %}{% set s.t = s.t * 2 %}{% endfor %}{{ s.t }}",
        f"{MEMORY}|{TIME}",
    ),
    "a list that grows": ("{% for i in [0] * (10 ** 10) %}{{ i }}{% endfor %}", MEMORY),
    "a wide field": ("{{ '%40000000d' % 1 }}", "makes a text of 40000000 characters"),
    "a macro that calls itself for ever": (MACRO.format("{{ f(n) }}", 1), "RecursionError"),
    "brackets in brackets": ("{{ " + "(" * 30000 + ")" * 30000 + " }}", "RecursionError|ended with SIG"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CPU_S", 1)


def chat(template: str, folder: Path) -> str:
    (folder / "chat_template.jinja").write_text(template)
    manifest = SimpleNamespace(chat_template_file="chat_template.jinja")
    artifact: Any = SimpleNamespace(path=folder, name="made", manifest=manifest)
    return render_chat(artifact, "Hi")


@pytest.mark.parametrize("name", ENDLESS)
def test_a_template_that_never_ends_is_refused(name: str, tmp_path: Path) -> None:
    template, said = ENDLESS[name]
    with pytest.raises(UsageError, match=f"cannot render this conversation: .*({said})") as refused:
        chat(template, tmp_path)
    assert refused.value.subject == "made" and "--no-chat" in (refused.value.next_step or "")


@pytest.mark.parametrize("renderer", [render, render_with_transformers])
def test_both_environments_are_limited(renderer: Any) -> None:
    template, _ = ENDLESS["ranges in ranges"]
    with pytest.raises(limits.NotRendered, match=TIME):
        limits.within_limits(lambda: renderer(template, [{"role": "user", "content": "Hi"}], {}))


def test_a_template_that_never_ends_is_not_split() -> None:
    found = split_template(ENDLESS["ranges in ranges"][0], {})
    assert isinstance(found, UnsplitChat) and TIME in found.reason


def test_what_a_template_writes_comes_back_as_it_is() -> None:
    text = "é 日本 🙂 \ud83d\ude42 \0 \r\n" + "long" * 100_000
    assert limits.within_limits(lambda: text) == text


def test_a_process_that_dies_is_a_reason() -> None:
    # Whatever the process that was copied does at that signal.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)

    def die() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    try:
        with pytest.raises(limits.NotRendered, match="ended with SIGTERM"):
            limits.within_limits(die)
    finally:
        signal.signal(signal.SIGTERM, before)
