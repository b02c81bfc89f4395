"""onnxruntime-genai, the official runtime of artifacts for ONNX Runtime."""

from __future__ import annotations

import json

from toolkit.artifact import Artifact


def genai_greedy(artifact: Artifact) -> list[int]:
    """Greedy continuation of the manifest's prompt in the official runtime."""
    import onnxruntime_genai as og

    reference = artifact.manifest.greedy_reference
    assert reference is not None
    length = len(reference.prompt_ids) + len(reference.token_ids)
    config = og.Config(str(artifact.path))
    # The reference goes on after an end token, as profiling does; min_length would forbid that token instead.
    unused = next(token for token in range(len(reference.token_ids) + 1) if token not in reference.token_ids)
    config.overlay(json.dumps({"model": {"eos_token_id": unused}}))
    model = og.Model(config)
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=length, do_sample=False)
    generator = og.Generator(model, parameters)
    generator.append_tokens(reference.prompt_ids)
    tokens = []
    while not generator.is_done():
        generator.generate_next_token()
        tokens.append(int(generator.get_next_tokens()[0]))
    return tokens
