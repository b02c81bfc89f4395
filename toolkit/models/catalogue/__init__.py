"""Small language models as facts: what they are, what was published about them, and configs to build them."""
