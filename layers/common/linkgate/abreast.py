"""Side by side: what touches different items of the ledger is written at once, what touches the same ones in turn."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Each(Protocol):
    """Does something with each of several values, as the built-in `map` does; perhaps with all of them at once."""

    def __call__(self, do: Callable[[A], B], some: Iterable[A], /) -> Iterable[B]: ...


def lanes(some: Iterable[A], of: Callable[[A], Hashable]) -> list[list[A]]:
    """Values in their order, those of one lane together."""
    found: defaultdict[Hashable, list[A]] = defaultdict(list)
    for one in some:
        found[of(one)].append(one)
    return list(found.values())


def threads(number: int) -> Each:
    """So many threads. All is done before anything is said of it, what failed included."""
    pool = ThreadPoolExecutor(number)

    def each(do: Callable[[A], B], some: Iterable[A], /) -> Iterable[B]:
        futures = [pool.submit(do, one) for one in some]
        wait(futures)
        return [future.result() for future in futures]

    return each
