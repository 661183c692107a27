"""Network namespaces without a name: the kernel removes one as soon as nothing uses it, however its user ended."""

import contextvars
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
"""Linux, sched.h."""
_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


class KernelError(Exception):
    """This machine did not do what a namespace needs; the message says what it was."""


class Namespace:
    """A new network namespace. Raises KernelError if the kernel allows none."""

    def __init__(self) -> None:
        self._handle = _in_thread(_unshare)

    @property
    def path(self) -> str:
        """A path by which another process of the same user enters, as long as this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._handle}"

    def enter(self) -> None:
        """Move this thread, and what it will start, into the namespace for good."""
        _check(_libc.setns(self._handle, _CLONE_NEWNET), "enter a network namespace")

    def inside(self, act: Callable[[], _T]) -> _T:
        """What `act` returns in a thread inside; its sockets, threads and processes stay there."""

        def entered() -> _T:
            self.enter()
            return act()

        return _in_thread(entered)

    def run(self, *command: str, text: str = "") -> None:
        """Run a command inside with `text` as its input. Raises KernelError with what it complained of."""

        def run() -> None:
            try:
                done = subprocess.run(command, input=text, capture_output=True, text=True)  # noqa: S603 - our own
            except OSError as error:
                raise KernelError(f"{command[0]} does not run: {error.strerror}") from error
            if done.returncode:
                raise KernelError(f"{' '.join(command)} failed: {done.stderr.strip()}")

        self.inside(run)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._handle)


def _unshare() -> int:
    _check(_libc.unshare(_CLONE_NEWNET), "make a network namespace")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise KernelError(f"the kernel does not let this user {what}: {os.strerror(ctypes.get_errno())}")


def _in_thread(act: Callable[[], _T]) -> _T:
    """Namespaces belong to threads: in one of its own, which ends, there is nothing to go back from."""
    context, done = contextvars.copy_context(), Future[_T]()

    def run() -> None:
        try:
            done.set_result(context.run(act))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="lab-namespace").start()
    return done.result()
