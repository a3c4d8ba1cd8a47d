"""`@trace`: a function as a step, whatever kind of function it is.

A generator is one step from its first item to its last; its context is in force only while it runs, so what its consumer does in
between is not recorded below it.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, ParamSpec, TypeVar, overload

from noria_client.boundary import boundary
from noria_client.client import current
from noria_client.spans import Kind, Step

P = ParamSpec("P")
R = TypeVar("R")
_MOST_ITEMS: Final = 10_000
_SELF: Final = frozenset({"self", "cls"})


@overload
def trace(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def trace(
    *, name: str = "", kind: Kind = "chain", capture_input: bool = True, capture_output: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def trace(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    kind: Kind = "chain",
    capture_input: bool = True,
    capture_output: bool = True,
) -> Any:
    """Record each call of a function: its arguments, its result or items, its exception."""

    def decorate(decorated: Callable[..., Any]) -> Callable[..., Any]:
        return _Traced(decorated, name, kind, capture_input, capture_output).wrapped()

    return decorate if function is None else decorate(function)


class _Traced:
    """One decorated function."""

    def __init__(
        self, function: Callable[..., Any], name: str, kind: Kind, capture_input: bool, capture_output: bool
    ) -> None:
        self._function = function
        self._name = name or getattr(function, "__name__", type(function).__name__)
        self._kind = kind
        self._capture_input = capture_input
        self._capture_output = capture_output
        self._signature: inspect.Signature | None = None
        if capture_input:
            with boundary("Reading a signature"):
                self._signature = inspect.signature(function)

    def wrapped(self) -> Callable[..., Any]:
        function = self._function
        chosen: Callable[[tuple[Any, ...], dict[str, Any]], Any]
        if inspect.isasyncgenfunction(function):
            chosen = self._async_generator
        elif inspect.isgeneratorfunction(function):
            chosen = self._generator
        elif inspect.iscoroutinefunction(function):
            return functools.wraps(function)(self._as_coroutine())
        else:
            chosen = self._call

        @functools.wraps(function)
        def traced(*arguments: Any, **named: Any) -> Any:
            if current() is None:
                return function(*arguments, **named)
            return chosen(arguments, named)

        return traced

    def _as_coroutine(self) -> Callable[..., Any]:
        async def traced(*arguments: Any, **named: Any) -> Any:
            if current() is None:
                return await self._function(*arguments, **named)
            async with self._step(arguments, named) as step:
                result = await self._function(*arguments, **named)
                self._tell(step, result)
            return result

        return traced

    def _call(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with self._step(arguments, named) as step:
            result = self._function(*arguments, **named)
            self._tell(step, result)
        return result

    def _generator(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Generator[Any, Any, Any]:
        source = self._function(*arguments, **named)
        step, seen = self._step(arguments, named).begin(), _Seen(self._capture_output)
        go: Callable[[], Any] = functools.partial(next, source)
        try:
            while True:
                step.enter()
                try:
                    item = go()
                except StopIteration as end:
                    return end.value
                finally:
                    step.leave()
                seen.add(item)
                try:
                    sent = yield item
                    go = functools.partial(source.send, sent)
                except GeneratorExit:
                    self._close(step, source)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to the generator that it is for
                    go = functools.partial(source.throw, thrown)
        except GeneratorExit:
            raise
        except BaseException as error:
            step.error(error)
            raise
        finally:
            self._tell(step, seen.told())
            step.end()

    def _close(self, step: Step, source: Generator[Any, Any, Any]) -> None:
        step.enter()
        try:
            source.close()
        finally:
            step.leave()

    async def _async_generator(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> AsyncGenerator[Any, Any]:
        source = self._function(*arguments, **named)
        step, seen = self._step(arguments, named).begin(), _Seen(self._capture_output)
        go: Callable[[], Any] = source.__anext__
        try:
            while True:
                step.enter()
                try:
                    item = await go()
                except StopAsyncIteration:
                    return
                finally:
                    step.leave()
                seen.add(item)
                try:
                    sent = yield item
                    go = functools.partial(source.asend, sent)
                except GeneratorExit:
                    await self._aclose(step, source)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to the generator that it is for
                    go = functools.partial(source.athrow, thrown)
        except GeneratorExit:
            raise
        except BaseException as error:
            step.error(error)
            raise
        finally:
            self._tell(step, seen.told())
            step.end()

    async def _aclose(self, step: Step, source: AsyncGenerator[Any, Any]) -> None:
        step.enter()
        try:
            await source.aclose()
        finally:
            step.leave()

    def _step(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Step:
        step = Step(self._name, kind=self._kind, input=None, attributes={})
        client = current()
        if self._signature is not None and client is not None and client.configuration.capture_input:
            with boundary("Reading arguments"):
                bound = self._signature.bind_partial(*arguments, **named).arguments
                step.given({name: value for name, value in bound.items() if name not in _SELF})
        return step

    def _tell(self, step: Step, result: Any) -> None:
        if self._capture_output and result is not None:
            step.output(result)


class _Seen:
    """The items of a generator as its output: a text when all are texts."""

    def __init__(self, keep: bool) -> None:
        self._room = _MOST_ITEMS if keep else 0
        self._items: list[Any] = []
        self._more = 0

    def add(self, item: Any) -> None:
        if len(self._items) < self._room:
            self._items.append(item)
        else:
            self._more += 1

    def told(self) -> Any:
        if self._items and all(isinstance(item, str) for item in self._items):
            return "".join(self._items) + ("…" if self._more else "")
        return [*self._items, f"… {self._more} more"] if self._more else self._items
