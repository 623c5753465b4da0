"""What several iterators yield, each consumed by a thread of its own, as one generator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Ended:
    error: BaseException | None


def merged(sources: Sequence[Callable[[], Iterator[T]]], stop: Callable[[], None]) -> Generator[T]:
    """Yield what the sources yield, in the order in which it comes.

    Args:
        sources: Each is called, and what it returns is consumed, in a thread of its own.
        stop: Makes all sources end soon, whatever they wait for. Called from the reader's thread when the first of them
            raises, when the reader closes the generator, and at the end; afterwards no thread is left.

    Raises:
        BaseException: The first that a source raised; what others raise after `stop` is dropped.
    """
    found: queue.SimpleQueue[T | _Ended] = queue.SimpleQueue()

    def consume(source: Callable[[], Iterator[T]]) -> None:
        error: BaseException | None = None
        try:
            for item in source():
                found.put(item)
        except BaseException as raised:  # raised again where it is read
            error = raised
        found.put(_Ended(error))

    threads = [threading.Thread(target=consume, args=(source,)) for source in sources]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            item = found.get()
            if not isinstance(item, _Ended):
                yield item
                continue
            running -= 1
            if item.error is not None:
                raise item.error
    finally:
        stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
