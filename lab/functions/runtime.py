"""One execution environment of a python* function: AWS's own runtime client at ministack's Runtime API.

ministack runs python* functions with a client of its own that differs from AWS's in errors, context and state
after an exception. Here its server for provided.* runtimes is used instead, with a bootstrap that starts
`python -m awslambdaric HANDLER`. Not like AWS: memory is not limited, the interpreter is the lab's whatever version
the function names, /opt and /var/task are other folders, and the
environments of one function share their folder.
"""

import io
import shlex
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-untyped]

from lab.functions.output import Output
from lab.launch import Launch

COLD_STARTS = 2
"""Processes that start at the same time: more of them only delay each other beyond Lambda's 10 s for an init."""

_starting = threading.BoundedSemaphore(COLD_STARTS)


class InitError(Exception):
    """The function's process ended, or reported an error, before it could take an event."""

    def __init__(self, payload: Mapping[str, Any], log: str) -> None:
        super().__init__(payload.get("errorMessage"))
        self.payload = payload
        self.log = log


class Environment(lambda_runtime.ProvidedWorker):  # type: ignore[misc]
    """A process that takes one event after the other; ministack's pool leases it and ends it.

    Seams: what is overridden of ministack's class, and the attributes `config`, `code_zip` and `_init_error`.
    """

    config: dict[str, Any]

    def __init__(self, name: str, config: dict[str, Any], archive: bytes, launch: Callable[..., Launch]) -> None:
        super().__init__(name, config, archive)
        self._deployed = archive
        self._launch = launch
        self._output: Output | None = None

    def invoke(self, event: object, request_id: str, **details: Any) -> dict[str, Any]:
        """The result of one event as ministack passes it on, with `log`: what the process wrote meanwhile."""
        try:
            result: dict[str, Any] = super().invoke(event, request_id, **details)
        except InitError as failed:
            return {"status": "error", "error": str(failed), "error_payload": failed.payload, "log": failed.log}
        if (result.get("error_payload") or {}).get("errorType") == "Sandbox.Timedout":
            result["log"] = "\n".join(filter(None, [result["log"], f"{request_id} {result['error']}"]))
        return result

    def _spawn(self, init_timeout: float | None = None) -> None:
        with _starting:
            launch = self._launch(self.config)
            self.code_zip = with_bootstrap(self._deployed, launch)
            self.config = {**self.config, "Launch": launch}
            launch.inside(lambda: super(Environment, self)._spawn(init_timeout))

    def _await_init(self, init_timeout: float | None = None) -> None:
        try:
            super()._await_init(init_timeout)
        except lambda_runtime.ProvidedInitTimeout:
            raise
        except RuntimeError as error:
            payload = self._init_error
            if not isinstance(payload, dict):
                payload = {"errorType": "Runtime.ExitError", "errorMessage": str(error).splitlines()[0]}
            raise InitError(payload, self._drain_stderr()) from error

    def _build_handler_class(self, generation: int, pending: Any) -> Any:
        handler = super()._build_handler_class(generation, pending)
        # The answer goes out as head and body: with Nagle's algorithm the body waits 40 ms for an acknowledgement.
        handler.disable_nagle_algorithm = True
        return handler

    def _pump_output(self, stream: Any, queue: object) -> None:
        self._output = Output(stream)
        self._output.pump()

    def _drain_stderr(self) -> str:
        return self._output.take() if self._output else ""

    def _drain_stderr_bounded(self, *waits: float, **more_waits: float) -> str:
        return self._drain_stderr()


def with_bootstrap(archive: bytes, launch: Launch) -> bytes:
    """The function's archive with a `bootstrap` that starts the runtime client.

    As a part of the archive it is unpacked with the rest, once and under ministack's lock, before anything runs.
    Without -S a function would see all packages of the lab.
    """
    command = shlex.join([*launch.prefix, sys.executable, "-S", "-m", "awslambdaric"])
    content = io.BytesIO(archive)
    with zipfile.ZipFile(content, "a") as zipped:
        # A fixed date: ministack unpacks equal archives once.
        zipped.writestr(zipfile.ZipInfo("bootstrap"), f'#!/bin/sh\nexec {command} "$_HANDLER"\n')
    return content.getvalue()
