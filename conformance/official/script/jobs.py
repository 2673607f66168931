"""Commands about jobs and studies, asked of a server that has neither."""

from steps import Step, do_command, line, method

UNKNOWN = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"
NOT_VERSION_4 = "0c5b3d67-1d0e-1c55-9d3e-1f5c2f0b7a11"


def steps() -> list[Step]:
    """All steps about jobs and studies."""
    return [*_list_jobs(), *_job_meta(), *_studies()]


def _list_jobs():
    for arguments in (
        "",
        "-d",
        "-u",
        "-r",
        "-d -u -r",
        "-dur",
        "-m 1",
        "-m1",
        "-m 0",
        "-m -1",
        "-m",
        "-m x",
        "-m 1.5",
        "-n a",
        "-n",
        '-n "a b"',
        "-n 'a\"b'",
        "-n ''",
        UNKNOWN,
        UNKNOWN[:4],
        "nothex",
        "one two",
        "-z",
        "-h",
        "--help",
        "--max 1",
        "--submit-token",
        "--submit-token t",
        "--submit-token=t",
        '--submit-token "bad token"',
        "--submit-token ''",
        "--submit-token " + "t" * 129,
        "-d -m 2 -n x --submit-token t abc",
        "server",
    ):
        yield line(f"list_jobs {arguments}".rstrip())
    yield method("list_jobs")
    yield method("list_jobs", detailed=True, reverse=True, limit=3, name_prefix='a b"c', id_prefix="ab", submit_token="t")
    yield do_command("list_jobs -d")
    yield do_command("job_mgmt.list_jobs -z")


def _job_meta():
    for arguments in (
        "",
        "nope",
        UNKNOWN,
        UNKNOWN.upper(),
        UNKNOWN.replace("-", ""),
        "{" + UNKNOWN + "}",
        NOT_VERSION_4,
        f"{UNKNOWN} server",
        f"{UNKNOWN} foo",
        f"{UNKNOWN} client nosite",
        f'"{UNKNOWN}"',
        "''",
        "NOPE extra",
    ):
        yield line(f"get_job_meta {arguments}".rstrip())
    yield method("get_job_meta", UNKNOWN)
    yield method("get_job_meta", "nope")
    yield method("get_job_meta", "two words")
    yield method("get_job_status", UNKNOWN)
    yield do_command(f"get_job_meta {UNKNOWN}")


def _studies():
    yield line("list_studies")
    yield line("list_studies extra")
    yield line("study_mgmt.list_studies")
    yield line("  list_studies  ")
    yield line("list_studies --help")
    yield method("list_studies")
    yield do_command("list_studies")
