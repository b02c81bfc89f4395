"""A model on a device behind the interface of OpenAI's servers."""
