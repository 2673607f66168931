"""Commands that take a target type and names: every shape of argument, right and wrong."""

import rules
from steps import Step, do_command, line, method

TARGETS = [
    "",
    "server",
    "client",
    "all",
    "client site-1",
    "client site-2",
    "client site-3",
    "client site-1 site-2",
    "client site-3 site-1",
    "client site-1 site-1",
    "client {token:site-1}",
    "client {token:site-2} site-3",
    "client nosite",
    "client site-1 nosite",
    "client nosite other site-1",
    "client SITE-1",
    "client server",
    "client admin@nvidia.com",
    "server site-1",
    "server nosite",
    "all site-1",
    "all nosite",
    "foo",
    "SERVER",
    "Client",
    "site-1",
    "  server  ",
    " client   site-2 ",
    "server -x",
    "--help",
    "'server'",
    '"client" "site-1"',
    '"client site-1"',
    '"server',
    "server # a remark",
]

# The two machines' memory is what it is; the names of the figures and their form are the same. A site that refuses
# puts its refusal where the name of the figure stands, and leaves the figure empty.
MEMORY = rules.each_matches(
    r"(\d+(\.\d+)?)?",
    "memory figures of the machine at that moment",
    r"reply\.data\[\d+\]\.rows\[[1-9]\d*\]\[1\]",
)


def steps() -> list[Step]:
    """All shapes for each command."""
    return [*_lines(), *_environment(), *_methods()]


def _lines():
    for target in TARGETS:
        yield line(_joined("check_status", target))
        yield line(_joined("report_resources", target))
        yield line(_joined("report_version", target))
        yield line(_joined("sys_info", target), MEMORY)
    for target in ("", "server", "client", "all", "client site-1", "client nosite", "foo"):
        yield line(_joined("show_scopes", target))
        yield line(_joined("admin_check_status", target))


def _joined(command: str, arguments: str) -> str:
    return f"{command} {arguments}" if arguments else command


def _environment():
    for names in ("", "site-1", "site-3", "site-1 site-3", "site-3 site-1", "{token:site-2}", "nosite", "site-1 nosite"):
        yield line(_joined("report_env", names))
    for names in ("server", "all", "client site-1", "SITE-1", '"site-1"', "  site-2  "):
        yield line(_joined("report_env", names))


def _methods():
    yield method("get_system_info")
    yield method("get_connected_client_list")
    yield method("get_client_job_status")
    yield method("get_client_job_status", ["site-1"])
    yield method("get_client_job_status", ["site-3", "site-1"])
    yield method("get_client_job_status", ["nosite"])
    for name in ("check_status", "report_resources", "report_version"):
        for target in ("server", "client", "all"):
            yield method(name, target)
        yield method(name, "client", ["site-1", "site-3"])
        yield method(name, "client", ["nosite"])
        yield method(name, "foo")
    yield method("get_client_env")
    yield method("get_client_env", "site-1")
    yield method("get_client_env", ["site-1", "site-3"])
    yield method("get_client_env", ["nosite"])
    for text in ("check_status server", "training.check_status client", "report_version all", "report_resources client"):
        yield do_command(text)
    for text in ("check_status nosuch", "CHECK_STATUS server", "sys.check_status server", "nosuch", "report_env nosite"):
        yield do_command(text)
