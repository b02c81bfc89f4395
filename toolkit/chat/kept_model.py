"""A model that is loaded when it is needed first, kept, and loaded again after it was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from toolkit.chat.loaded_model import LoadedModel
from toolkit.errors import DeviceError, RunError


class KeptModel:
    """Keeps what ``load`` gives. One thread uses it, since that holds the device's lock; any may stop it."""

    def __init__(self, load: Callable[[], AbstractContextManager[LoadedModel]]) -> None:
        self._load = load
        self._loaded = ExitStack()
        self._model: LoadedModel | None = None

    @contextmanager
    def use(self) -> Iterator[LoadedModel]:
        """The model; a device or a runner that fails in the block takes it along.

        Raises:
            ToolkitError: it cannot be loaded.
        """
        if self._model is None:
            self._model = self._loaded.enter_context(self._load())
        try:
            yield self._model
        except (DeviceError, RunError):
            self.drop()
            raise

    def stop(self) -> None:
        """Ask for the end of the answer under way, from any thread."""
        model = self._model
        if model is not None:
            model.stop()

    def drop(self) -> None:
        """Let go of the model."""
        self._model = None
        self._loaded.close()

    def __enter__(self) -> KeptModel:
        return self

    def __exit__(self, *error: object) -> None:
        self.drop()
