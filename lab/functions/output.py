"""What a process writes on its standard output, complete at any moment it is asked for."""

import os
import selectors
import threading
from typing import IO

MOST = 1 << 20
"""Bytes kept of what is not taken yet; beyond that the oldest go."""


class Output:
    """The readable end of a pipe, read by a thread so that the writer never stalls, and by whoever takes.

    A function's output is in the pipe before its answer is at the Runtime API (the runtime client writes
    unbuffered), so the one who has the answer has all lines at once, without waiting for silence.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._text = bytearray()
        os.set_blocking(stream.fileno(), False)

    def pump(self) -> None:
        """Read until the writer is gone, then close the pipe."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stream, selectors.EVENT_READ)
            while selector.select() and self._read():
                pass
        with self._lock:
            self._stream.close()

    def take(self) -> str:
        """All that was written since the last time, without the final line break."""
        self._read()
        with self._lock:
            text, self._text = bytes(self._text), bytearray()
        return text.decode(errors="replace").rstrip("\n")

    def _read(self) -> bool:
        with self._lock:
            while not self._stream.closed:
                try:
                    some = os.read(self._stream.fileno(), 1 << 16)
                except BlockingIOError:
                    return True
                if not some:
                    return False
                self._text += some
                del self._text[:-MOST]
            return False
