"""Closes the connections that the official client opens after it has been told to stop.

`ConnManager.stop` (2.9.0) closes the connections that there are and then waits for the threads that hold them. A thread
that was just connecting holds one afterwards, which nobody closes: neither does a server, and `Session.close` does not
return for ever. What the client sends is not touched by this.
"""

import threading

from nvflare.fuel.f3.sfm.conn_manager import ConnManager

# Nothing waits for it but a client that would hang.
BETWEEN_LOOKS = 1.0

_stop = ConnManager.stop


def _stop_and_close(manager: ConnManager) -> None:
    stopped = threading.Event()

    def close_late() -> None:
        while not stopped.wait(BETWEEN_LOOKS):
            for connector in list(manager.connectors.values()):
                connector.driver.shutdown()

    threading.Thread(target=close_late, daemon=True).start()
    try:
        _stop(manager)
    finally:
        stopped.set()


def close_them() -> None:
    """Does so from now on, for every session of this process."""
    ConnManager.stop = _stop_and_close
