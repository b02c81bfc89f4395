"""slm-toolkit: from a Hugging Face small language model to honest numbers from a phone."""

__version__ = "0.1.0"
