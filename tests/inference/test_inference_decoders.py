"""All decoders of this host keep to one interface: what was fed in pieces, or fed again, gives the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from toolkit.capture.skeleton import build_skeleton
from toolkit.evaluate.subject import subject_of
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference.decoder import Decoder
from toolkit.inference.reference import streamed_logits
from toolkit.inference.transformers_decoder import open_original
from toolkit.settings import Settings
from toolkit.sources import resolve

IDS = [5, 9, 300, 41, 7, 8, 19, 10, 33, 2]


@pytest.mark.parametrize("model", ["llama-tiny", "gemma3-tiny"])
@pytest.mark.parametrize("kind", ["transformers", "onnxruntime", "executorch"])
def test_steps_and_rewinding_give_what_one_pass_gives(
    kind: str, model: str, tmp_path: Path, settings: Settings
) -> None:
    source = resolve(f"random:{model}", settings)
    skeleton = build_skeleton(source.config)
    tied = {"lm_head.weight": "model.embed_tokens.weight"}
    expected = streamed_logits(skeleton, source.weights, tied, [IDS])[0]
    decoder: Decoder = open_original(source)
    if kind != "transformers":
        request = ConvertRequest(model=f"random:{model}", quant="fp32", backend=kind, parity_check=False)
        decoder = subject_of(str(convert(source, request, tmp_path / "a", settings).path), settings).open(64)
    assert decoder.every_position == (kind == "transformers")
    decoder.step(IDS[:6])
    torch.testing.assert_close(decoder.step(IDS[6:])[-1], expected[-1], rtol=1e-4, atol=1e-4)
    for position in (7, 3, 0):
        kept = decoder.rewind(position)
        assert 0 <= kept <= position
        last = decoder.step([*IDS[kept:position], *IDS[position:9]])[-1]
        torch.testing.assert_close(last, expected[8], rtol=1e-4, atol=1e-4)
        assert decoder.rewind(9) == 9
    decoder.reset()
    torch.testing.assert_close(decoder.step(IDS[:2])[-1], expected[1], rtol=1e-4, atol=1e-4)
