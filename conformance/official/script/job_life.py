"""The life of jobs, from submission to deletion, in every state and for several users.

Real jobs take their time: a step that waits keeps no reply, so that how long each side takes is not compared, but
the statuses, texts, members and files that follow are.
"""

import re
import shutil
import threading
import time
from pathlib import Path
from unittest import mock

import job_folders
import rules
from references import VOLATILE
from steps import Step, action, line

# A job of two rounds takes a quarter of a minute; several at once on a busy machine take longer.
SETTLING_LIMIT = 180.0
POLL = 0.25
ENDED = ("FINISHED:COMPLETED", "FINISHED:EXECUTION_EXCEPTION", "FINISHED:ABORTED", "FINISHED:FAILED_TO_RUN", "FINISHED:ABNORMAL")
GONE = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"

LOG_TEXT = rules.at(
    r"(reply\.data\[\d+\]\.data\.logs\.[\w-]+|value\.logs\.[\w-]+)",
    "what a run logs follows the threads of its processes, and tells their ids and ports",
    lambda left, right: [f"{side} is empty" for side, text in (("left", left), ("right", right)) if not text.strip()],
)
FILE_TEXT = rules.each_matches(
    ".*", "what a run logs and measures is its own; that the file is there counts", r"value\.workspace/[\w./]*"
)
SIGNATURE = rules.each_matches(
    ".+", "each side's admin has a key of his own", r"value\.[\w./-]*\.__nvfl_(sig\.json|submitter\.crt)"
)
REFS = rules.each_matches(
    r"R[0-9a-f-]{36}", "each file of a download gets a random name", r"reply\.meta\.files\[\d\]\[1\]"
)
# A meta is shown as a JSON text: what `references.py` knows by the name of its member is to be found in that text.
META_TEXT = rules.same_after(
    lambda text: VOLATILE.sub("~", re.sub(r'("(submit_time|last_schedule_time)": )\d+\.\d+', r"\1~", text)),
    "moments and ids within the text of a meta",
    r"reply\.data\[\d+\]\.data|value\.(workspace/)?meta\.json",
)
COMPONENTS = rules.each_matches(
    r"ERRORLOG_site-[12](, ERRORLOG_site-[12])?",
    "components come in the order in which the file system lists them",
    r"(value|reply\.meta\.job_components)\[\d\]|reply\.data\[0\]\.data",
)
YAML = rules.each_matches(
    r"server internal error: exception <class '(ModuleNotFoundError|AttributeError)'> occurred",
    "the error is another one where the server's machine has the optional YAML package",
    r"raised\.text",
)


def steps() -> list[Step]:
    """All steps, in order; what they submit is gone at their end."""
    return [
        *_refusals(),
        *_finished(),
        *_running(),
        *_waiting(),
        *_tokens(),
        *_others(),
        *_big(),
        *_deleted(),
    ]


# --- what steps are made of ---


def _submit(name: str, make, token: str | None = None, who: str | None = None, key: str | None = None) -> Step:
    """Submits a folder; its id is known as `key`, its own name unless given."""

    def act(player):
        folder = player.scratch / name
        if not folder.exists():
            make(player.scratch, name)
        given = player.resolve(token) if isinstance(token, str) else token
        job_id = player.session_of(who).session.submit_job(str(folder), submit_token=given)
        player.jobs.setdefault(key or name, job_id)
        return job_id

    return action(f"Session.submit_job({name}, submit_token={token!r}) as {who or 'itself'}", act)


def _call(method: str, name: str, *arguments, allowed=(), who: str | None = None, **options) -> Step:
    """A method of the official `Session` about a job."""
    shown = ", ".join([name, *map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())])

    def act(player):
        return getattr(player.session_of(who).session, method)(player.jobs.get(name, name), *arguments, **options)

    return action(f"Session.{method}({shown}) as {who or 'itself'}", act, *allowed)


def _line(text: str, *allowed, who: str | None = None) -> Step:
    """A raw line; `{job:NAME}` in it becomes the id of that job."""
    return action(
        f"line {text!r} as {who or 'itself'}",
        lambda player: player.session_of(who).line(player.resolve(text)),
        *allowed,
    )


def _until(name: str, *statuses: str) -> Step:
    """Waits for one of these statuses, and keeps nothing but which."""

    def act(player):
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            status = player.session.session.get_job_status(player.jobs[name])
            player.session.exchanges.clear()
            if status in statuses or time.monotonic() > ends:
                return status
            time.sleep(POLL)

    return action(f"wait until {name} is {' or '.join(statuses)}", act)


def _delete_the_new(player, job_id: str) -> None:
    """Deletes a job that was submitted just now.

    A real server does not keep its scheduler from writing what it found about the job while the job's folder is removed; then
    the file that is written is gone before it is removed, and the server says so. Seen once, on a busy machine.
    """
    session = player.session
    before = len(session.exchanges)
    try:
        session.session.delete_job(job_id)
    except Exception as error:
        if "FileNotFoundError" not in str(error):
            raise
        del session.exchanges[before:]
        session.session.delete_job(job_id)


# --- jobs that are not taken in ---


def _refusals():
    def of_folder(number: int):
        def act(player):
            flawed = player.malformed()[number][1]
            job_id = player.session.session.submit_job(str(flawed))
            _delete_the_new(player, job_id)
            return job_id

        return act

    def of_archive(content: bytes):
        def act(player):
            folder = player.scratch / "J"
            folder.mkdir(exist_ok=True)
            instead = mock.patch(
                "nvflare.fuel.hci.client.file_transfer.zip_directory_to_file",
                lambda _root, _name, output: Path(output).write_bytes(content),
            )
            with instead:
                job_id = player.session.session.submit_job(str(folder))
            player.session.session.delete_job(job_id)
            return job_id

        return act

    with job_folders.temporary() as scratch:
        whats = [what for what, _ in job_folders.malformed(scratch)]
    for number, what in enumerate(whats):
        allowed = [YAML] if what == "meta as YAML" else []
        yield action(f"Session.submit_job() of a job with {what}", of_folder(number), *allowed)
    for what, content in job_folders.hostile_archives():
        yield action(f"Session.submit_job() of an archive with {what}", of_archive(content))
    yield action("Session.submit_job() of no folder", lambda player: player.session.session.submit_job(str(player.scratch / "nothing")))
    yield action("Session.submit_job() of a file", lambda player: player.session.session.submit_job(__file__))
    for text in ("submit_job", "submit_job x", "submit_job x --submit-token", "submit_job -z", "submit_job --help"):
        yield line(text)


# --- jobs that end by themselves ---


def _finished():
    yield _submit("short", job_folders.job)
    yield _submit("no-workflow", job_folders.without_workflow)
    yield _submit("custom-code", job_folders.custom_code)
    yield _submit("no-executor", job_folders.without_executor)
    yield _until("short", "FINISHED:COMPLETED")
    yield _until("no-workflow", "FINISHED:EXECUTION_EXCEPTION")
    yield _until("custom-code", "FINISHED:COMPLETED")
    yield _until("no-executor", *ENDED)
    for name in ("short", "no-workflow", "custom-code", "no-executor"):
        yield _call("get_job_meta", name)
        yield _call("list_job_components", name, allowed=[COMPONENTS])
    yield from _lists()
    yield from _questions("short")
    for method in ("wait_for_job", "monitor_job", "monitor_job_and_return_job_meta"):
        yield _call(method, "short")
    yield action(
        "Session.monitor_job(short) with a callback that ends it",
        lambda player: player.session.session.monitor_job(player.jobs["short"], cb=lambda *_: False),
    )
    yield action("Session.monitor_job(short) with a callback and what it is given", _monitor_with_callback)
    yield _download("short")
    yield _call("download_job_components", "short")
    yield _call("clone_job", "no-such-job")
    yield _call("clone_job", GONE)
    yield _delete("no-workflow")
    yield _delete("custom-code")
    yield _delete("no-executor")


def _lists():
    for arguments in (
        "",
        "-d",
        "-r",
        "-u",
        "-d -r -m 1",
        "-m 1",
        "-m 2",
        "-m 0",
        "-n short",
        "-n sho",
        "-n SHORT",
        "-n none",
        "{job:short}",
        "-d {job:short}",
        "-r -n s {job:short}",
        "-n no {job:short}",
    ):
        yield _line(f"list_jobs {arguments}".rstrip(), META_TEXT)
    for options in (
        {},
        {"detailed": True},
        {"reverse": True},
        {"limit": 1, "reverse": True},
        {"name_prefix": "no-"},
        {"name_prefix": "s", "detailed": True, "limit": 5},
    ):
        yield action(
            f"Session.list_jobs({options})",
            lambda player, options=options: player.session.session.list_jobs(**options),
            META_TEXT,
        )


def _questions(name: str):
    """What can be asked of a job in any state."""
    for target in ("server", "all", "site-1", "nosite"):
        yield _call("get_job_logs", name, target, allowed=[LOG_TEXT])
    yield _call("get_job_logs", name, "server", tail_lines=1, allowed=[LOG_TEXT])
    yield _call("get_job_logs", name, "server", grep_pattern="no line has this", allowed=[LOG_TEXT])
    for text in ("log.json", "error_log.txt", "nofile", "../meta.json", "audit.log"):
        yield _line(f"get_job_log {{job:{name}}} server {text}", LOG_TEXT)
    yield _line(f"get_job_log {{job:{name}}}", LOG_TEXT)
    yield _line(f"get_job_log {{job:{name}}} client site-1", LOG_TEXT)
    for method in ("show_stats", "show_errors"):
        yield _line(f"{method} {{job:{name}}} client nosite")
        yield _line(f"{method} {{job:{name}}} nothing")
        yield _line(f"{method} {{job:{name}}}")
    for config in ("DEBUG", "nonsense", "concise", "reload", {"a": 1}):
        yield _call("configure_job_log", name, config, "server")
    yield _call("configure_job_log", name, "INFO", "nosite")
    yield _line(f"configure_job_log {{job:{name}}} server")
    yield _line(f"configure_job_log {{job:{name}}}")
    yield _call("do_app_command", name, "topic", {"a": 1})
    yield _line(f"app_command {{job:{name}}}")
    if name != "endless":
        for method in ("show_stats", "show_errors"):
            for target in ("server", "client", "all"):
                yield _call(method, name, target)
        yield _call("reset_errors", name)
        yield _call("abort_job", name)


def _download(name: str) -> Step:
    """The files of a result, with the content of those that are the same wherever the job runs."""

    def act(player):
        folder = Path(player.session.session.download_job_result(player.jobs[name]))
        try:
            # What was submitted comes back byte by byte, with the signatures that the client put into the folder.
            job, submitted = _files(folder / "job" / name), _files(player.scratch / name)
            if job != submitted:
                raise AssertionError(f"submitted {sorted(submitted)} but got {sorted(job)}, or other bytes")
            app = _files(folder / "workspace" / "app_server")
            of_job = _files(player.scratch / name / "app")
            wrong = [file for file, content in app.items() if of_job.get(file) != content]
            if wrong:
                raise AssertionError(f"the server's app differs in {wrong}")
            # The model is the work of the job's Python, which a simulated run has none of.
            files = {name: text for name, text in _files(folder).items() if not name.startswith("workspace/models/")}
            return {file: content.decode("latin-1") for file, content in sorted(files.items())}
        finally:
            shutil.rmtree(folder)

    return action(f"Session.download_job_result({name}), file by file", act, META_TEXT, FILE_TEXT, SIGNATURE, REFS)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _delete(name: str, who: str | None = None) -> Step:
    return _call("delete_job", name, who=who)


# --- a job that runs ---


def _running():
    yield _submit("endless", job_folders.endless)
    yield _until("endless", "RUNNING")
    yield action("wait until its processes answer", _until_answered)
    yield _call("get_job_meta", "endless")
    yield _line("list_jobs -n endless")
    yield _line("check_status server")
    yield _line("check_status client")
    yield action("Session.get_client_job_status()", lambda player: player.session.session.get_client_job_status())
    yield action("Session.show_errors(endless, 'server'), who answers", _who_shows_errors)
    yield _call("reset_errors", "endless")
    yield from _questions("endless")
    for method in ("delete_job", "download_job_result", "download_job_components", "list_job_components"):
        yield _call(method, "endless")
    yield action("Session.monitor_job(endless) for half a second", _monitor_for_a_moment)
    # Nothing is restarted nor shut down while a job runs.
    for method in ("restart", "shutdown"):
        for target in ("server", "client", "all"):
            yield action(
                f"Session.{method}({target!r}, wait=False) while endless runs",
                lambda player, method=method, target=target: getattr(player.session.session, method)(target, wait=False),
            )
    yield _call("abort_job", "endless")
    yield _until("endless", "FINISHED:ABORTED")
    yield _call("get_job_meta", "endless")
    yield _call("abort_job", "endless")
    yield _call("wait_for_job", "endless")
    yield _call("show_stats", "endless", "all")


def _who_shows_errors(player) -> list[str]:
    answers = player.session.session.show_errors(player.jobs["endless"], "server")
    # From its first round on a real server warns of the weights that this job does not give: which round it is is chance.
    player.session.exchanges.clear()
    return sorted(answers)


def _monitor_with_callback(player):
    calls = []

    def callback(_session, job_id, job_meta, *arguments, **named):
        calls.append([job_id, job_meta["status"], list(arguments), named])
        return True

    outcome = player.session.session.monitor_job(player.jobs["short"], 5, 0.5, callback, 1, "two", three=3)
    return [outcome, calls]


def _monitor_for_a_moment(player):
    outcome = player.session.session.monitor_job(player.jobs["endless"], timeout=0.5, poll_interval=0.2)
    # How often it asks within the time is chance.
    del player.session.exchanges[1:]
    return outcome


def _until_answered(player) -> list[str]:
    """A job is said to run before its processes are there to be asked, and those of others outlive the jobs."""
    ends = time.monotonic() + SETTLING_LIMIT
    session = player.session.session
    while True:
        try:
            stats = session.show_stats(player.jobs["endless"], "all")
        except Exception:
            stats = {}
        answered = sorted(name for name, answer in stats.items() if answer)
        there = {job.get("job_id") for job in session.get_client_job_status()} - {None}
        player.session.exchanges.clear()
        settled = answered == ["server", *job_folders.SITES] and there == {player.jobs["endless"]}
        if settled or time.monotonic() > ends:
            return answered
        time.sleep(POLL)


# --- jobs that do not start ---


def _waiting():
    for name, make in (("never", job_folders.never), ("no-resources", job_folders.without_resources)):
        yield _submit(name, make)
        yield action(f"the first attempt to schedule {name}", _first_attempt(name))
        yield _call("get_job_logs", name, "all", allowed=[LOG_TEXT])
        yield _call("show_stats", name, "all")
        yield _call("configure_job_log", name, "INFO")
        yield _call("list_job_components", name)
        yield _call("do_app_command", name, "topic", None)
        yield _download_of_waiting(name)
        yield _call("abort_job", name)
        yield _call("get_job_status", name)
        yield _call("abort_job", name)
        yield _call("clone_job", name)
    yield action("clone never and abort the clone", _clone_and_abort)


def _first_attempt(name: str):
    def act(player):
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            meta = player.session.session.get_job_meta(player.jobs[name])
            player.session.exchanges.clear()
            if meta.get("schedule_history") or time.monotonic() > ends:
                # It is tried again and again meanwhile: how often until one looks is chance.
                meta["schedule_history"] = meta.get("schedule_history", [])[:1]
                meta.pop("schedule_count", None)
                return meta
            time.sleep(POLL)

    return act


def _download_of_waiting(name: str) -> Step:
    def act(player):
        location = player.session.session.download_job_result(player.jobs[name])
        try:
            return sorted(_files(Path(location)))
        finally:
            shutil.rmtree(location)

    return action(f"Session.download_job_result({name}), which never ran", act, REFS)


def _clone_and_abort(player):
    session = player.session.session
    clone = session.clone_job(player.jobs["never"])
    meta = session.get_job_meta(clone)
    player.session.exchanges.pop()
    # The order of its members is that of a Python set of texts, which differs from one process to the next; and it may
    # have been tried already.
    kept = {key: meta[key] for key in sorted(meta) if not key.startswith(("schedule", "last_schedule"))}
    return [kept, session.abort_job(clone), session.delete_job(clone)]


# --- submit tokens ---


def _tokens():
    token = "{run}.1"
    yield _submit("token-a", job_folders.never, token)
    yield _submit("token-a", job_folders.never, token)
    yield _submit("token-b", job_folders.never, token)
    yield action("the same content in another folder", lambda player: _resubmit(player, "token-a", "renamed", token))
    yield _submit("token-a", job_folders.never, token, who="lead", key="token-of-lead")
    yield _submit("token-a", job_folders.never, token, who="member")
    yield _submit("token-a", job_folders.never, token, who="org_admin")
    for text in (
        f"--submit-token {token}",
        f"-n none --submit-token {token}",
        f"-n token --submit-token {token}",
        f"--submit-token {token} {{job:token-a}}",
        f"--submit-token {token} z",
        "--submit-token unknown",
    ):
        yield _line(f"list_jobs {text}", META_TEXT)
        yield _line(f"list_jobs {text}", META_TEXT, who="lead")
    for wrong in ("", "a b", "a/b", "ä", "t" * 129, "a\n", 5):
        yield _submit("token-c", job_folders.never, wrong, key=f"token {wrong!r}")
        yield action(f"delete what {wrong!r} made", lambda player, wrong=wrong: _forget(player, f"token {wrong!r}"))
    yield _submit("token-c", job_folders.never, "{run}" + "t" * 92)
    yield _call("abort_job", "token-a")
    yield _submit("token-a", job_folders.never, token)
    yield _call("clone_job", "token-a")
    yield _line(f"list_jobs --submit-token {token}")
    yield action("submit at once four times", _at_once)
    yield _delete("token-a")
    yield _submit("token-a", job_folders.never, token)
    yield _submit("token-b", job_folders.never, token)
    yield _line(f"list_jobs --submit-token {token}")
    yield _line(f"list_jobs -n none --submit-token {token}")
    yield _line(f"list_jobs --submit-token {token}", who="lead")
    # Deleted by somebody else, it is gone for its submitter all the same.
    yield _delete("token-of-lead")
    yield _submit("token-a", job_folders.never, token, who="lead")


def _resubmit(player, name: str, other: str, token: str) -> str:
    shutil.copytree(player.scratch / name, player.scratch / other)
    return player.session.session.submit_job(str(player.scratch / other), submit_token=player.resolve(token))


def _forget(player, name: str):
    job_id = player.jobs.pop(name, None)
    return player.session.session.delete_job(job_id) if job_id else None


def _at_once(player) -> int:
    """How many jobs four submissions with one token make, each over a connection of its own."""
    job_folders.never(player.scratch, "at-once")
    made, failed = [], []

    def submit(session, folder):
        try:
            made.append(session.session.submit_job(str(folder), submit_token=f"{player.run}.at-once"))
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}")

    sessions = [player.new_session() for _ in range(4)]
    threads = []
    for number, session in enumerate(sessions):
        # Every submission signs its folder, so each gets one.
        folder = shutil.copytree(player.scratch / "at-once", player.scratch / f"at-once-{number}" / "at-once")
        threads.append(threading.Thread(target=submit, args=(session, folder)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in sessions:
        session.close()
    if failed:
        raise AssertionError(f"{failed}")
    player.jobs["at-once"] = made[0]
    return len(set(made))


# --- other users ---


def _others():
    for who in ("lead", "member", "org_admin", "lead of another organisation"):
        yield _line("list_jobs -n short", who=who)
        for method in ("get_job_meta", "list_job_components", "abort_job", "clone_job", "delete_job", "reset_errors"):
            if method == "delete_job" and who in ("org_admin",):
                # He may; the job is needed further on.
                continue
            if method == "clone_job" and "lead" in who:
                # The clone would run; what a lead may do he does with a job that never starts.
                yield _call(method, "never", who=who)
                continue
            yield _call(method, "short", who=who)
        yield _call("show_stats", "short", "all", who=who)
        yield _call("get_job_logs", "short", who=who, allowed=[LOG_TEXT])
        yield _call("configure_job_log", "short", "INFO", who=who)
        yield _call("do_app_command", "short", "topic", None, who=who)
        yield _call("download_job_components", "short", who=who)
    for who in ("member", "org_admin"):
        yield _submit("never-2", job_folders.never, who=who)


# --- many pieces ---


def _big():
    yield _submit("big", job_folders.big)
    yield _call("abort_job", "big")
    yield action("Session.download_job_result(big)", _download_big, REFS)
    yield _submit("big", job_folders.big, "{run}.big", key="big-with-token")


def _download_big(player) -> bool:
    folder = Path(player.session.session.download_job_result(player.jobs["big"]))
    try:
        return _files(folder / "job" / "big") == _files(player.scratch / "big")
    finally:
        shutil.rmtree(folder)


# --- what is deleted ---


def _deleted():
    yield _delete("short")
    for method, arguments in (
        ("get_job_meta", ()),
        ("get_job_status", ()),
        ("list_job_components", ()),
        ("abort_job", ()),
        ("clone_job", ()),
        ("delete_job", ()),
        ("download_job_result", ()),
        ("download_job_components", ()),
        ("get_job_logs", ()),
        ("show_stats", ("server",)),
        ("show_errors", ("all",)),
        ("reset_errors", ()),
        ("configure_job_log", ("INFO",)),
        ("do_app_command", ("topic", None)),
        ("wait_for_job", ()),
    ):
        yield _call(method, "short", *arguments)
        yield _call(method, "no-id", *arguments)
    yield action("delete whatever is left", _delete_all)
    yield line("list_jobs")


def _delete_all(player) -> list[str]:
    """Jobs of every step, whatever became of them; how many there are shows a job too many on one side."""
    session = player.session.session
    left = session.list_jobs()
    for job in left:
        if not job["status"].startswith("FINISHED"):
            session.abort_job(job["job_id"])
        session.delete_job(job["job_id"])
    player.session.exchanges.clear()
    return sorted(f"{job['job_name']} {job['status']}" for job in left)
