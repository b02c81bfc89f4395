"""Text from a model on a device: tokens, generation, conversations."""
