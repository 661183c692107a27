"""Lambda functions of the python* runtimes through AWS's own runtime client, in a queue instead of a throttle.

Not like AWS: the log stream of each invocation is its own, a stream's name in the function's environment is another,
and REPORT names no memory used. Retries of asynchronous invocations wait 1 and 2 s, not 1 and 2 min.
"""

import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-untyped]
from ministack.services import lambda_svc  # type: ignore[import-untyped]

from lab.functions import batches, cross_account, destinations, limits, mappings, streams
from lab.functions.launch import Launch
from lab.functions.runtime import Environment
from lab.functions.sandbox import variables

LONGEST_PAUSE = 300.0
"""Seconds between two tries of a throttled asynchronous invocation, from 1 second on (developer guide, "Invoking a
function asynchronously": "a maximum of 5 minutes")."""

_unattended = contextvars.ContextVar("unattended", default=False)
"""Whether nobody waits for the answer of the invocation."""
_Record = dict[str, Any]


def install(
    concurrency: int, account_concurrency: int, speed: float, launch: Callable[[Mapping[str, Any]], Launch]
) -> None:
    """Run python* functions as AWS does: at most `concurrency` executions at once, the others wait.

    More than `account_concurrency`, waiting ones included, are throttled (1000 by default on AWS, in a new account
    perhaps 10). `speed` is how much faster than on AWS an event source waits at a quiet queue.

    `launch` is asked before each cold start, with the function's configuration as GetFunctionConfiguration has it,
    how the process enters its network. An invocation made by a function that waits for the answer is not queued,
    since the waiting function holds a place: functions that call each other would wait for ever.
    """
    places = threading.BoundedSemaphore(concurrency)
    _start_with_runtime_client(launch)
    _queue(places)
    _retry_throttled()
    lambda_svc._ACCOUNT_CONCURRENCY_CAP = account_concurrency
    cross_account.install()
    batches.install(speed)
    mappings.install()
    limits.install()
    streams.install()
    destinations.install()


def _is_python(config: Mapping[str, Any]) -> bool:
    return str(config.get("Runtime", "")).startswith("python")


def _start_with_runtime_client(launch: Callable[[Mapping[str, Any]], Launch]) -> None:
    """Seams: the choice of a worker's class, and the environment of the process of a Runtime API worker."""
    class_for = lambda_runtime._worker_class_for
    environment_of = lambda_svc._provided_worker_env

    def worker_class(config: _Record) -> Callable[..., Any]:
        if not _is_python(config):
            return class_for(config)  # type: ignore[no-any-return]
        return lambda name, config, archive: Environment(name, config, archive, launch)

    def environment(config: _Record, folder: str, port: int) -> dict[str, str]:
        if not _is_python(config):
            return environment_of(config, folder, port)  # type: ignore[no-any-return]
        return variables(config, folder, port, os.environ)

    lambda_runtime._worker_class_for = worker_class
    lambda_svc._provided_worker_env = environment


def _queue(places: threading.BoundedSemaphore) -> None:
    """Seams: the dispatch of an accounted invocation, and the start of an asynchronous one."""
    dispatch = lambda_svc._execute_function_dispatch
    invoke_async = lambda_svc.invoke_async_with_retry

    def queued(func: _Record, config: _Record, event: object, request_id: str, started: float) -> _Record:
        if not _is_python(config):
            return dispatch(func, config, event, request_id, started)  # type: ignore[no-any-return]
        with _place(places):
            return _execute(func, event, request_id)

    def unattended(func: _Record, event: object) -> None:
        # No caller waits for it, so it takes its place in the queue.
        caller, unattended_before = lambda_svc._request_access_key.set(""), _unattended.set(True)
        try:
            invoke_async(func, event)
        finally:
            lambda_svc._request_access_key.reset(caller)
            _unattended.reset(unattended_before)

    lambda_svc._execute_function_dispatch = queued
    lambda_svc.invoke_async_with_retry = unattended


def _retry_throttled() -> None:
    """Seam: an execution, throttled or not. Where nobody waits, a throttled one is tried until its event is too old.

    As on AWS, whatever MaximumRetryAttempts says ("For throttling errors (429) … Lambda returns the event to the queue
    and attempts to run the function again for up to 6 hours by default", developer guide as above).
    """
    execute = lambda_svc._execute_function

    def executed(func: _Record, event: object) -> _Record:
        result: _Record = execute(func, event)
        settings = func.get("event_invoke_config") or (func.get("event_invoke_configs") or {}).get("$LATEST") or {}
        for pause in pauses(float(settings.get("MaximumEventAgeInSeconds") or 21_600)):
            if not (result.get("throttle") and _unattended.get()):
                break
            time.sleep(pause)
            result = execute(func, event)
        return result

    lambda_svc._execute_function = executed


def pauses(age: float) -> Iterator[float]:
    """The seconds between the tries of an event that may be `age` seconds old."""
    pause = 1.0
    while pause <= age:
        yield pause
        age -= pause
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def _place(places: threading.BoundedSemaphore) -> Iterator[None]:
    """A place among the running executions; not needed where a role's session (ASIA...) waits for the answer."""
    if lambda_svc._request_access_key.get().startswith("ASIA"):
        yield
        return
    with places:
        yield


def _execute(func: _Record, event: object, request_id: str) -> _Record:
    started = time.monotonic()
    result: _Record = lambda_svc._execute_function_provided_warm(func, event, request_id)
    milliseconds = int((time.monotonic() - started) * 1000)
    lambda_svc._emit_lambda_logs(func, request_id, result.get("log", ""), bool(result.get("error")), milliseconds)
    return result
