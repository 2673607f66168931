"""The lines that a client under test and the referee say to each other (docs/client-protocol.md)."""

import json
import os
import sys
import threading


class Unsupported(Exception):
    """The client has no such call, or not with these arguments."""


class Failed(Exception):
    """The call failed, in the words of the API document."""

    def __init__(self, kind: str, message: str, code: str | None = None, job_id: str | None = None):
        super().__init__(message)
        self.kind, self.code, self.job_id = kind, code, job_id


class Lines:
    """Standard input and output as lines of JSON.

    What a library prints must not come between the lines, so its standard output becomes the standard error.
    """

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._turn = threading.Lock()

    def say(self, line: dict) -> None:
        """Says one line."""
        text = json.dumps(line, default=str)
        with self._turn:
            self._out.write(text + "\n")
            self._out.flush()

    def requests(self):
        """The requests, until there are no more."""
        for line in sys.stdin:
            yield json.loads(line)


def failure(error: Exception) -> dict:
    """An exception as the referee reads it."""
    if isinstance(error, Failed):
        kind, code, job_id = error.kind, error.code, error.job_id
    else:
        kind = type(error).__name__
        code = getattr(error, "auth_code", None) or getattr(error, "error_code", None)
        job_id = getattr(error, "existing_job_id", None) or getattr(error, "job_id", None)
    line = {"type": kind, "message": str(error)}
    if code:
        line["code"] = str(code)
    if job_id:
        line["job_id"] = str(job_id)
    return line


def serve(hello: dict, answer) -> None:
    """Says hello and answers requests with `answer(request, lines)` until `quit`.

    Calls run in threads of their own when the client says that it takes several at once.
    """
    lines = Lines()
    lines.say({"protocol": 1, **hello})
    threads = []

    def handle(request: dict) -> None:
        try:
            lines.say({"id": request["id"], "ok": answer(request, lines)})
        except Unsupported as why:
            lines.say({"id": request["id"], "unsupported": str(why) or True})
        except (Exception, SystemExit) as error:
            lines.say({"id": request["id"], "error": failure(error)})

    for request in lines.requests():
        if request["call"] == "quit":
            lines.say({"id": request["id"], "ok": None})
            return
        if hello.get("concurrent"):
            thread = threading.Thread(target=handle, args=(request,), daemon=True)
            threads.append(thread)
            thread.start()
        else:
            handle(request)
