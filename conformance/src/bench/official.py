"""What the official client takes to submit a job and to download it again. Arguments: kit, job, destination.

Prints seconds up, seconds down and the peak of its resident bytes.
"""

import os
import resource
import sys
import time
from pathlib import Path

from nvflare.fuel.flare_api.flare_api import new_session

kit, job, destination = sys.argv[1:]
session = new_session(Path(kit).name, kit, timeout=20.0, command_timeout=120.0)
started = time.monotonic()
job_id = session.submit_job(job)
up = time.monotonic() - started
# The server gives out no job that may still run.
session.abort_job(job_id)
started = time.monotonic()
session.download_job_result(job_id, destination)
down = time.monotonic() - started
session.delete_job(job_id)
print(up, down, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
# Threads of the client would keep the process.
os._exit(0)
