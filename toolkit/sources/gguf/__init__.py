"""GGUF files: header, tensors and blocks, tokenizers, and the config of each architecture."""
