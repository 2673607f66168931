"""Runs `nvflare` commands, each in a process of its own that is forked from this one. Started by `cli_process.py`.

Most of what a command costs is importing the packages, a second of computing; here that is done once. What runs in the
forked process is the entry point of the installed command, with an environment, arguments and files of its own, and it
ends as any interpreter does.

One JSON object per line: in, `{"number", "command", "env", "output", "errors"}`; out, `{"number", "code"}` when it ended.
"""

import gc
import importlib
import json
import os
import selectors
import sys

# All that the command loads for what it connects for.
PACKAGES = (
    "nvflare.cli",
    "nvflare.tool.cli_session",
    "nvflare.tool.job.job_cli",
    "nvflare.tool.study.study_cli",
    "nvflare.tool.system.system_cli",
    "nvflare.tool.agent.inspector",
    "nvflare.fuel.flare_api.flare_api",
    "nvflare.fuel.f3.drivers.aio_http_driver",
    "nvflare.fuel.f3.drivers.aio_grpc_driver",
    "nvflare.fuel.f3.drivers.grpc_driver",
    "nvflare.fuel.f3.drivers.tcp_driver",
    "nvflare.fuel.hci.client.file_transfer",
    "nvflare.fuel.utils.fobs.decomposers.core_decomposers",
)


def main() -> int | None:
    """Forks for every line, until there are no more; in a forked process it returns the command's exit code."""
    for package in PACKAGES:
        importlib.import_module(package)
    # A forked process that ends looks for cycles in all it has, and by that copies every page: half a second of computing.
    gc.freeze()
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
    pending = b""
    running = {}
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                process = key.data
                selector.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(process, 0)
                print(json.dumps({"number": running.pop(process), "code": os.waitstatus_to_exitcode(status)}), flush=True)
                continue
            read = os.read(sys.stdin.fileno(), 65536)
            if not read:
                return None
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                request = json.loads(line)
                process = os.fork()
                if process == 0:
                    selector.close()
                    return _become(request)
                running[process] = request["number"]
                selector.register(os.pidfd_open(process), selectors.EVENT_READ, process)


def _become(request: dict):
    for number, file, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["output"], os.O_WRONLY | os.O_CREAT),
        (2, request["errors"], os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(file, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(os.environ["HOME"])
    sys.argv = request["command"]
    return importlib.import_module("nvflare.cli").main()


if __name__ == "__main__":
    sys.exit(main())
