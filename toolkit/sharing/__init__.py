"""Artifacts for others: a model card, and the Hugging Face hub."""
