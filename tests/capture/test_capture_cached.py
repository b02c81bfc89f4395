"""A kept capture is taken as it was written, or made again: never as damage has left it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from toolkit.capture import cached
from toolkit.capture.cached import cached_capture
from toolkit.capture.skeleton import build_skeleton
from toolkit.settings import Settings
from toolkit.sources import resolve


def test_a_capture_of_which_one_byte_is_another_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    config = resolve("random:llama-tiny", settings).config
    model = build_skeleton(config)
    graph, from_cache = cached_capture(model, config, settings.cache_dir)
    assert not from_cache
    [file] = (settings.cache_dir / "captures").iterdir()
    whole = file.read_bytes()
    assert cached_capture(model, config, settings.cache_dir) == (graph, True)

    made = []
    monkeypatch.setattr(cached, "capture", lambda model, config: made.append(1) or graph)
    rng = random.Random(1)
    damages = [b"", b"\n", b"null", b"[]", b"{}", b"\xff\xfe", whole[:-1], whole[: len(whole) // 2]]
    for at in (0, 70, *(rng.randrange(len(whole)) for _ in range(60))):
        # A digit may become another digit, and a letter no character at all.
        damages.append(whole[:at] + bytes([whole[at] ^ rng.choice((1, 2, 128, 255))]) + whole[at + 1 :])
    for number, damage in enumerate(damages, 1):
        file.write_bytes(damage)
        assert cached_capture(model, config, settings.cache_dir) == (graph, False)
        assert len(made) == number
        assert file.read_bytes() == whole
