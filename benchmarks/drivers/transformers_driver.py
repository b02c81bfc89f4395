"""The source as others need it; runs in the environment that has transformers.

Usage:
  transformers_driver.py export     GGUF FOLDER              # fp32 safetensors for genai's builder
  transformers_driver.py tokenize   FOLDER TEXT OUTPUT.json  # {"token_ids": [...]}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path


def export(gguf: Path, folder: Path) -> None:
    """Dequantize a GGUF file into an fp32 Hugging Face folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    dequantized = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The GGUF loader marks the model as quantized, though its weights are fp32 now, and such a model
    # cannot be saved; a fresh one of the same shape can.
    config = dequantized.config
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(dequantized.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def tokenize(folder: Path, text: Path, output: Path) -> None:
    """Token ids of a text, without special tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    token_ids = tokenizer(text.read_text(encoding="utf-8"), add_special_tokens=False)["input_ids"]
    output.write_text(json.dumps({"token_ids": token_ids}) + "\n")


def main() -> None:
    """Dispatch on the first argument."""
    modes: dict[str, Callable[..., None]] = {"export": export, "tokenize": tokenize}
    modes[sys.argv[1]](*(Path(argument) for argument in sys.argv[2:]))


if __name__ == "__main__":
    main()
