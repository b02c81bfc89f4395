"""Searching for a quantization within limits on size, loss and speed."""
