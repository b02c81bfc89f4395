"""Decoders that transformers has no causal language model for."""
