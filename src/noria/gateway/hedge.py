"""Hedging: a second try beside the first when the first is late; the first answer wins and the other is aborted.

In: a coroutine function that makes one try, and how to throw a result away. Out: the winner's result and its number. The
decision to know: a try that fails does not end the other; only when all have failed does the first one's error come out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def first_of(
    attempt: Callable[[], Coroutine[Any, Any, Result]], after: float, discard: Callable[[Result], Awaitable[None]]
) -> tuple[Result, int]:
    """The first result, and 0 when no second try was made, else 1 or 2 for the try that won."""
    tasks = [asyncio.create_task(attempt())]
    won: asyncio.Task[Result] | None = None
    try:
        await asyncio.wait(tasks, timeout=after)
        if not tasks[0].done():
            tasks.append(asyncio.create_task(attempt()))
        waiting = set(tasks)
        while won is None and waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            won = next((task for task in tasks if task in done and task.exception() is None), None)
        if won is None:
            return tasks[0].result(), 1  # raises what the first failed with
        return won.result(), tasks.index(won) + 1 if len(tasks) > 1 else 0
    finally:
        await _end([task for task in tasks if task is not won], discard)


async def _end(losers: list[asyncio.Task[Result]], discard: Callable[[Result], Awaitable[None]]) -> None:
    for task in losers:
        task.cancel()
    for result in await asyncio.gather(*losers, return_exceptions=True):
        if not isinstance(result, BaseException):
            await discard(result)
