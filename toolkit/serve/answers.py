"""One answer after the other from one model, for all who ask at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from toolkit.chat.answer import Generated
from toolkit.chat.kept_model import KeptModel
from toolkit.chat.request import GenerateRequest
from toolkit.errors import ToolkitError


class QueueFull(ToolkitError):
    """So many wait that nobody more may."""


class Answers:
    """A queue in front of a model; it is first come, first served.

    Args:
        model: used in a thread of its own.
        maximum_waiting: further ones are refused.
    """

    def __init__(self, model: KeptModel, *, maximum_waiting: int) -> None:
        self._model = model
        self._maximum_waiting = maximum_waiting
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slm-model")

    async def start(self) -> None:
        """Load the model.

        Raises:
            ToolkitError: it cannot be loaded.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def close(self) -> None:
        """Let go of the model, once the answer under way has been stopped."""
        self._model.stop()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._model.drop)
        self._thread.shutdown()

    async def stream(self, prompt: list[int], options: GenerateRequest) -> AsyncGenerator[str | Generated]:
        """The text as it comes, and at the end what was generated. Whoever stops reading stops the answer.

        Raises:
            QueueFull: so many wait already.
            ToolkitError: see :meth:`LoadedModel.answer`; the next one loads the model again where it is lost.
        """
        if self._turn.locked() and self._waiting >= self._maximum_waiting:
            raise QueueFull(
                f"{self._waiting} requests wait already",
                next_step="Ask again later, or start it with a larger --queue.",
            )
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        unwanted = threading.Event()

        def take(piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)
            if unwanted.is_set():
                self._model.stop()

        def work() -> Generated:
            with self._model.use() as model:
                return model.answer(prompt, options, on_text=take)

        job = loop.run_in_executor(self._thread, work)
        job.add_done_callback(lambda done: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield job.result()
        finally:
            if not job.done():
                # It may not have begun: then it never does, or stops with its first piece.
                unwanted.set()
                self._model.stop()
                job.cancel()
            self._turn.release()

    def _load(self) -> None:
        with self._model.use():
            pass
