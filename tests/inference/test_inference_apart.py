"""An engine that dies over an artifact takes nothing along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toolkit.engines import ENGINES
from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.errors import EngineFailed
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference.apart import decoder_apart
from toolkit.inference.decoder import open_decoder
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.fixture
def dying() -> Iterator[str]:
    spec = replace(ONNXRUNTIME, name="dying", title="Dying", decoder="dying_decoders:Dying")
    ENGINES.register("dying", spec)
    yield "dying"
    ENGINES.unregister("dying")


@pytest.mark.parametrize(
    ("how", "said", "advised"),
    [
        ("SIGSEGV", "signal SIGSEGV", "--backend onnxruntime"),
        ("SIGABRT", "signal SIGABRT", "--backend executorch"),
        ("SIGKILL", "for want of memory", "--context"),
        ("exit", "exit code 3", "report it"),
        ("memory", "MemoryError", "report it"),
        ("raises", "INVALID_GRAPH : no such thing", "report it"),
    ],
)
def test_its_death_is_a_typed_error_and_leaves_nothing(
    how: str,
    said: str,
    advised: str,
    dying: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOW_TO_DIE", how)
    source = resolve("random:llama-tiny", settings)
    with pytest.raises(EngineFailed, match=said) as caught:
        convert(
            source,
            ConvertRequest.of(model=source.name, quant="fp32", backend=dying),
            tmp_path / "out" / "a",
            settings,
        )
    assert caught.value.subject == source.name
    assert caught.value.next_step is not None and advised in caught.value.next_step
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("copy", [True, False], ids=["a copy of this process", "a new process"])
@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
def test_it_says_what_the_engine_says_in_this_process(
    backend: str, copy: bool, settings: Settings, tmp_path: Path
) -> None:
    source = resolve("random:llama-tiny", settings)
    request = ConvertRequest.of(model=source.name, quant="8da4w", backend=backend)
    artifact = convert(source, request, tmp_path / "a", settings)
    engine = ENGINES.get(backend)
    here = open_decoder(engine, artifact.path, 16)
    expected = [here.step([3, 5, 7]), here.step([9])]
    with decoder_apart(engine, artifact.path, 16, copy=copy) as apart:
        for _ in range(2):
            apart.reset()
            assert apart.every_position == here.every_position
            for ids, logits in zip(([3, 5, 7], [9]), expected, strict=True):
                torch.testing.assert_close(apart.step(ids), logits, rtol=1e-4, atol=1e-4)
        assert apart.rewind(2) == here.rewind(2)
