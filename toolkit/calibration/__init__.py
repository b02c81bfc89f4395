"""Quantizing matrices for the inputs that they see."""
