"""Keeps what the official client says to people out of the output."""

import io
import sys
import threading


class _Quiet:
    """Takes the output of the whole process away while at least one thread asks for it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._streams = None

    def __enter__(self):
        with self._lock:
            if self._depth == 0:
                self._streams = sys.stdout, sys.stderr
                sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
            self._depth += 1

    def __exit__(self, *_):
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                sys.stdout, sys.stderr = self._streams


# One for all: `contextlib.redirect_stdout` of several threads restores what another had put there.
_QUIET = _Quiet()


def quiet() -> _Quiet:
    """Keeps what the client says to people out of the output; for use by several threads."""
    return _QUIET
