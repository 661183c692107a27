"""What the process of a function sees: its variables and its import path, and nothing of the lab's own."""

import functools
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-untyped]
from ministack.services import lambda_svc  # type: ignore[import-untyped]

from lab.launch import Launch

# The private names of ministack used here.
_credentials = lambda_runtime.execution_credentials
_own_variables = lambda_svc._runtime_env_vars
_layer_archive = lambda_svc._resolve_layer_zip
_unpacked = lambda_svc._provided_runtime_code_dir


def variables(config: Mapping[str, Any], folder: str, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the process of a function, with its role's credentials.

    Names are Lambda's (developer guide, "Defined runtime environment variables"), and TMPDIR, since the lab has no
    /tmp for each function. Nothing of the lab's own environment but PATH and the address of the lab gets in.
    """
    launch: Launch = config["Launch"]
    return {
        "PATH": environ.get("PATH", os.defpath),
        "HOME": tempfile.gettempdir(),
        "TMPDIR": tempfile.gettempdir(),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        **_own_variables(config),
        **_reserved(config, port),
        **_credentials(config),
        "AWS_ENDPOINT_URL": environ["AWS_ENDPOINT_URL"],
        "LAMBDA_TASK_ROOT": folder,
        "PYTHONPATH": os.pathsep.join([*launch.python_path, folder, *_layer_paths(config), _packages()]),
        **launch.environment,
    }


def _reserved(config: Mapping[str, Any], port: int) -> dict[str, str]:
    """What Lambda says about the function, which its own variables cannot replace."""
    name, version = config["FunctionName"], config.get("Version", "$LATEST")
    region = config["FunctionArn"].split(":")[3]
    logging = config.get("LoggingConfig") or {}
    level = logging.get("ApplicationLogLevel")
    return {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"[{version}]{port}",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": config["Handler"],
        **({"AWS_LAMBDA_LOG_LEVEL": level} if level else {}),
    }


def _layer_paths(config: Mapping[str, Any]) -> list[str]:
    """Where /opt/python of each layer is, the last layer first: on AWS its files lie over those of the earlier."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    archives = [_layer_archive(layer) for layer in reversed(config.get("Layers") or [])]
    roots = [os.path.join(_unpacked(archive), "python") for archive in archives if archive]
    return [path for root in roots for path in (os.path.join(root, "lib", version, "site-packages"), root)]


@functools.cache
def _packages() -> str:
    """A folder with what Lambda's python runtimes bring along, the runtime client and boto3, out of the lab's."""
    folder = tempfile.mkdtemp(prefix="runtime-")
    for distribution in _with_requirements({}, "awslambdaric", "boto3").values():
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            os.symlink(str(distribution.locate_file(top)), os.path.join(folder, top))
    return folder


def _with_requirements(found: dict[str, metadata.Distribution], *names: str) -> dict[str, metadata.Distribution]:
    for name in names:
        if name not in found:
            found[name] = metadata.distribution(name)
            _with_requirements(found, *_requirements(found[name]))
    return found


def _requirements(distribution: metadata.Distribution) -> Iterator[str]:
    """The names that a distribution needs always; what depends on the platform or an extra is not needed here."""
    for requirement in distribution.requires or ():
        if ";" not in requirement:
            yield re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()
