"""The life of jobs through the unmodified `nvflare job` command, run as processes by users of every role."""

import re
from dataclasses import replace

import rules
from cli_lines import ANSWERS, FOLDER_IN_TEXT, CliLine, wait
from people import LEAD, MEMBER, ORG_ADMIN, OTHER_LEAD, OTHER_MEMBER, OTHER_ORG_ADMIN
from references import VOLATILE

LOG = rules.each_matches(".+", "what a run logs follows the threads of its processes", r"output(\.data\.logs\.server)?")
# How much there was of it.
LOG_SIZE = rules.number("how long a log is, its own run decides", r"output\.data\.sites\.server\.(bytes|lines)")
# A progress line comes with the moment of its poll: one more or less is chance, so only what ends them is compared.
SECONDS = rules.number("how long a run took, or was looked at", r"output\S*\.(elapsed_s|duration_s)")
SECONDS_IN_TEXT = rules.same_after(
    lambda text: VOLATILE.sub("~", re.sub(r"\d+\.\d+s", "~s", text)), "how long a run took, beside ids", r"output"
)
# The command submits a copy of the folder that has a random name.
FOLDER = rules.each_matches(r"tmp\w+", "the command makes up the name of the folder", r"output\S*\.job_folder_name")


def lines() -> list[CliLine]:
    """All lines, in order; what they submit is gone at their end."""
    return [
        *_submitting(),
        *_finished(),
        *_others(),
        *_running(),
        *_deleting(),
    ]


def _as_program(line: CliLine) -> CliLine:
    return replace(line, as_program=True)


def _submit(folder: str, more: str = "", makes: str | None = None) -> CliLine:
    return CliLine(f"job submit -j <JOBS>/{folder} {more}--format json", FOLDER_IN_TEXT, makes=makes)


def _submitting():
    yield _as_program(_submit("short", makes="short"))
    yield _submit("no-workflow", makes="no-workflow")
    yield _submit("never", "--submit-token <RUN> ", makes="never")
    yield _submit("never", "--submit-token <RUN> ")
    yield _submit("short", "--submit-token <RUN> ")
    yield _submit("flawed")
    yield _submit("nothing")
    yield CliLine("job submit -j <JOBS>/flawed", FOLDER_IN_TEXT)
    yield CliLine("job list --submit-token <RUN> --format json")
    yield _as_program(CliLine("job abort {never} --force --format json"))
    yield CliLine("job abort {never} --force")
    yield CliLine("job list -n never")
    yield CliLine("job submit -j <JOBS>/never --submit-token <RUN>")
    yield wait("short", "FINISHED:COMPLETED")
    yield wait("no-workflow", "FINISHED:EXECUTION_EXCEPTION")


def _finished():
    for line in _looking_at_finished():
        yield replace(line, only_looks=True)
    yield _as_program(CliLine("job download {short} -o <OUT> --format json"))
    yield CliLine("job download {short} -o <OUT> --format json")
    yield CliLine("job download {short} -o <OUT>/text")
    yield CliLine("job clone {never} --format json", makes="clone")
    yield CliLine("job abort {clone} --force --format json")


def _looking_at_finished():
    for arguments in ("", "-r", "-m 1", "-n short", "-n none", "-i {short}"):
        yield CliLine(f"job list {arguments} --format json")
    yield CliLine("job meta {short} --format json", FOLDER)
    for name in ("short", "no-workflow", "never"):
        yield CliLine(f"job wait {{{name}}} --format json", SECONDS)
        yield CliLine(f"job monitor {{{name}}} --format json", SECONDS)
    yield _as_program(CliLine("job wait {short}", SECONDS_IN_TEXT))
    yield _as_program(CliLine("job monitor {short} --format jsonl", SECONDS))
    yield CliLine("job monitor {no-workflow} --format jsonl", SECONDS)
    yield CliLine("job logs {short} --tail 1 --format json", LOG + LOG_SIZE)
    yield _as_program(CliLine("job logs {short} --tail 2", LOG))
    yield CliLine("job logs {short} --site site-1 --format json")
    yield CliLine("job logs {short} --site nosite --format json")
    yield CliLine("job stats {short} --format json")
    yield CliLine("job log-config {short} DEBUG --format json")


def _running():
    yield _submit("endless", makes="endless")
    yield wait("endless", "RUNNING")
    yield wait("endless", ANSWERS)
    yield _as_program(CliLine("job wait {endless} --timeout 1 --interval 0.5 --format json"))
    yield CliLine("job wait {endless} --timeout 1 --interval 0.5")
    yield CliLine("job monitor {endless} --timeout 1 --interval 1 --format json")
    # What it tells of a running job is its round at that moment, so only that it tells something is waited for above.
    yield CliLine("job logs {endless} --tail 1 --format json", LOG + LOG_SIZE)
    yield CliLine("job download {endless} -o <OUT> --format json")
    yield CliLine("job delete {endless} --force --format json")
    yield CliLine("job log-config {endless} DEBUG --site server --format json")
    yield CliLine("job abort {endless} --force --format json")
    yield wait("endless", "FINISHED:ABORTED")
    yield CliLine("job wait {endless} --format json", SECONDS)


def _others():
    """What users of the other roles are told about jobs that are not theirs, and what they may do with their own."""
    # The job has ended, and they may not delete it: whatever they ask, it stays as it is.
    for who in (ORG_ADMIN, LEAD, MEMBER, OTHER_ORG_ADMIN, OTHER_LEAD):
        yield CliLine("job list -n short --format json", who=who, only_looks=True)
        yield CliLine("job meta {short} --format json", FOLDER, who=who, only_looks=True)
        for command in ("wait", "logs", "stats", "log-config", "download -o <OUT>/refused", "clone", "abort --force"):
            if command.startswith("download") and who == ORG_ADMIN:
                # He may; what is downloaded is compared elsewhere.
                continue
            more = " DEBUG" if command == "log-config" else ""
            yield CliLine(f"job {command} {{short}}{more} --format json", SECONDS, who=who, only_looks=True)
        if who != ORG_ADMIN:
            yield CliLine("job delete {short} --force --format json", who=who, only_looks=True)
    for who in (ORG_ADMIN, MEMBER, OTHER_MEMBER):
        yield CliLine("job submit -j <JOBS>/never --format json", FOLDER_IN_TEXT, who=who, only_looks=True)
    yield CliLine("job submit -j <JOBS>/never --format json", FOLDER_IN_TEXT, who=LEAD, makes="of-lead")
    yield CliLine("job abort {of-lead} --force --format json", who=OTHER_LEAD)
    yield CliLine("job abort {of-lead} --force", who=OTHER_ORG_ADMIN)
    yield CliLine("job abort {of-lead} --force --format json", who=ORG_ADMIN)
    yield CliLine("job clone {of-lead} --format json", who=LEAD, makes="clone-of-lead")
    yield CliLine("job delete {clone-of-lead} --force --format json", who=LEAD)
    yield CliLine("job abort {clone-of-lead} --force --format json", who=LEAD)
    for name in ("of-lead", "clone-of-lead"):
        yield CliLine(f"job delete {{{name}}} --force --format json", who=LEAD)


def _deleting():
    for name in ("short", "no-workflow", "never", "clone", "endless"):
        yield CliLine(f"job delete {{{name}}} --force --format json")
    yield CliLine("job delete {short} --force --format json")
    yield _as_program(CliLine("job delete {short} --force"))
    yield _submit("never", "--submit-token <RUN> ")
    for command in ("meta", "wait", "monitor", "logs", "stats", "clone", "abort --force", "download -o <OUT>"):
        yield CliLine(f"job {command} {{short}} --format json")
