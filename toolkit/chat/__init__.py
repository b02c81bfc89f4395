"""Text from a model on a device: chat templates, tokens, generation."""
