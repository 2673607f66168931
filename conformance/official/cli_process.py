"""Runs the unmodified `nvflare` command: as a program of its own, or forked from an interpreter that has it loaded."""

import itertools
import json
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path

# A command takes about two seconds, most of it waiting; this is for a server that answers nothing.
COMMAND_LIMIT_SECONDS = 240
PROGRAM = str(Path(sys.executable).with_name("nvflare"))


class Forker:
    """The interpreter of `cli_forker.py`; for use by several threads, and to be closed."""

    def __init__(self):
        # Like every command it gets nothing of the caller's surroundings.
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__).with_name("cli_forker.py"))],
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._numbers = itertools.count()
        self._waiting: dict[int, Future] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, command: list[str], env: dict[str, str], output: Path, errors: Path) -> int:
        """Runs a command to its end; gives its exit code."""
        request = {"command": command, "env": env, "output": str(output), "errors": str(errors)}
        ended = Future()
        with self._lock:
            request["number"] = next(self._numbers)
            self._waiting[request["number"]] = ended
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return ended.result(COMMAND_LIMIT_SECONDS)

    def close(self) -> None:
        """Ends the interpreter; what was started of it ends by itself."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout:
            reply = json.loads(line)
            self._waiting.pop(reply["number"]).set_result(reply["code"])
        for ended in self._waiting.values():
            ended.set_exception(RuntimeError("the interpreter that runs the commands has ended"))


def run(arguments: list[str], env: dict[str, str], forker: Forker | None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command that has nothing to read.

    It runs in its `HOME`: before it connects it looks for a file in every folder below the one it runs in, and four times,
    which takes a second of computing where a folder of builds is.
    """
    command = [PROGRAM, *arguments]
    if forker is None:
        process = subprocess.run(
            command,
            env=env,
            cwd=env["HOME"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_LIMIT_SECONDS,
            text=True,
        )
        return process.returncode, process.stdout, process.stderr
    with tempfile.TemporaryDirectory() as scratch:
        output, errors = Path(scratch) / "output", Path(scratch) / "errors"
        code = forker.run(command, env, output, errors)
        return code, output.read_text(), errors.read_text()
