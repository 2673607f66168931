"""Shell commands on a target: what they show, and every way in which they are refused."""

import re

import rules
from steps import Step, do_command, line, method

# What a server or a site logs is its own story, told in lines of one form; a traceback follows some of them.
WHOLE_LOG = rules.each_matches(rules.LOG_LINE + r"\n.*", "each side's own log, from its first line on", rules.TEXT)
ERROR_LOG = rules.each_matches(r".*", "what went wrong on each side so far, which may be nothing", rules.TEXT)
HEAD_OF_LOG = rules.each_line(rules.LOG_LINE, "the first lines of each side's own log", same_count=True)
TAIL_OF_LOG = rules.each_line(r".*", "the last lines of each side's own log", same_count=True)


def _found_in_log(word: str) -> rules.Rules:
    return rules.each_line(f".*{word}.*", "the lines with that word in each side's own log")


def _without_dates(text: str) -> str:
    """What `ls -l` shows, but for sizes and dates: mode, links, owner and name stay."""
    return re.sub(
        r"(?m)^(total) \d+$|^([-dl][rwxsStT-]{9} +\d+ \S+ \S+) +\d+ \w{3} [ \d]\d +(?:\d\d:\d\d|\d{4}) ",
        lambda found: f"{found[1]} N" if found[1] else f"{found[2]} SIZE DATE ",
        text,
    )


def _without_error_log(text: str) -> str:
    """A listing without the file that FLARE opens when it logs its first error."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.endswith("log_fl.txt\n"))


LISTED = rules.same_after(_without_dates, "sizes and dates are those of each side's own files")
ROOT = rules.same_after(_without_error_log, "log_fl.txt appears with the first error that a server or a site logs")
LISTED_ROOT = rules.same_after(
    lambda text: _without_error_log(_without_dates(text)),
    "sizes and dates are each side's own, and log_fl.txt appears with its first error",
)


def steps() -> list[Step]:
    """All shell steps."""
    return [*_pwd(), *_ls(), *_cat(), *_head_and_tail(), *_grep(), *_methods()]


def _pwd():
    for target in ("", "server", "site-1", "site-2", "site-3", "all", "client", "nosite", "SERVER", "{token:site-1}"):
        yield line(f"pwd {target}".rstrip())
    for target in ("server extra", "server -l", "site-1 site-2", "nosite extra", "'server'", '"site-1"', "  site-3  ", '""'):
        yield line(f"pwd {target}")


def _ls():
    yield line("ls")
    for target in ("server", "site-1", "site-2", "site-3", "all", "nosite", "client site-1", "server ."):
        yield line(f"ls {target}", ROOT)
    for arguments in (
        "startup",
        "local",
        "transfer",
        "startup/fed_server.json",
        "nosuch",
        "nosuch/deeper",
        "-a",
        "-R local",
        "-a startup",
        "/etc",
        "/",
        "..",
        "../",
        "local/..",
        "local/../startup",
        "a..b",
        "./local",
        "loc*",
        "lo?al",
        "$HOME",
        "~",
        "a;b",
        "a|b",
        "local startup",
        "-z",
        "-z local",
        "--all",
        "-l local extra",
        '"-a -l"',
        '"-z -l" startup',
        "'with blank'",
        "-",
        "--",
    ):
        yield line(f"ls server {arguments}")
    yield line("ls server -la", LISTED_ROOT)
    for arguments in ("-l local", "-l -a startup", "-t -l local", "-S -l startup", "-u -l local", "-lR local"):
        yield line(f"ls server {arguments}", LISTED)
    for site in ("site-1", "site-3"):
        yield line(f"ls {site} startup")
        yield line(f"ls {site} local")
        yield line(f"ls {site} nosuch")
        yield line(f"ls {site} -z")
        yield line(f"ls {site} ..")
        yield line(f"ls {site} /etc")
        yield line(f"ls {site} -l local", LISTED)


def _cat():
    yield line("cat")
    for arguments in (
        "server",
        "nosite",
        "nosite log.txt",
        "all log.txt",
        "server startup/fed_server.json",
        "server -n startup/fed_server.json",
        "server -b startup/fed_server.json",
        "server -s startup/fed_server.json",
        "server -T startup/fed_server.json",
        "server -nb startup/fed_server.json",
        "server startup/fed_server.json -n",
        "server -z startup/fed_server.json",
        "server -E startup/fed_server.json",
        "server nosuch.txt",
        "server local/nosuch.json",
        "server local",
        "server startup",
        "server startup/server.key",
        "server startup/rootCA.pem",
        "server local/authorization.json.default",
        "server local/resources.json.default",
        "server log.txt.x",
        "server nosuch.txt.1",
        "server nosuch.TXT",
        "server noextension",
        "server /etc/passwd",
        "server /etc/hosts.txt",
        "server ../x.txt",
        "server local/../startup/fed_server.json",
        "server ./startup/fed_server.json",
        "server a*.txt",
        "server 'two words.txt'",
        "server one.txt two.txt",
        "server nosuch.py",
        "server nosuch.csv",
        "server nosuch.config",
        "site-1 startup/fed_client.json",
        "site-3 startup/fed_client.json",
        "site-3 -n startup/fed_client.json",
        "site-1 nosuch.txt",
        "site-1 /etc/hosts.txt",
        "site-1 startup/client.key",
        "site-3 ../x.txt",
        "site-1",
    ):
        yield line(f"cat {arguments}")
    for target in ("server", "site-1", "site-3"):
        yield line(f"cat {target} log.txt", WHOLE_LOG)
        yield line(f"cat {target} error_log.txt", ERROR_LOG)


def _head_and_tail():
    for command in ("head", "tail"):
        yield line(command)
        for arguments in (
            "server",
            "nosite log.txt",
            "server startup/fed_server.json",
            "server -n 3 startup/fed_server.json",
            "server -n3 startup/fed_server.json",
            "server -n -3 startup/fed_server.json",
            "server -n 0 startup/fed_server.json",
            "server -c 20 startup/fed_server.json",
            "server -c -20 startup/fed_server.json",
            "server -n x startup/fed_server.json",
            "server -c 1.5 startup/fed_server.json",
            "server -n startup/fed_server.json",
            "server -n 1 -c 5 startup/fed_server.json",
            "server -n 1 -n 2 startup/fed_server.json",
            "server -q startup/fed_server.json",
            "server -3 startup/fed_server.json",
            'server "-n 2" startup/fed_server.json',
            "server nosuch.txt",
            "server local",
            "server /etc/hosts.txt",
            "server ../x.txt",
            "server startup/server.crt",
            "server one.txt two.txt",
            "site-1 -n 2 startup/fed_client.json",
            "site-3 -n 2 startup/fed_client.json",
            "site-1 -n x startup/fed_client.json",
        ):
            yield line(f"{command} {arguments}")
        own_log = HEAD_OF_LOG if command == "head" else TAIL_OF_LOG
        yield line(f"{command} server -n 2 log.txt", own_log)
        yield line(f"{command} site-1 -n 2 log.txt", own_log)
        yield line(f"{command} site-3 -n 1 log.txt", own_log)


def _grep():
    yield line("grep")
    for arguments in (
        "server",
        "server scheme",
        "nosite scheme startup/fed_server.json",
        "server scheme startup/fed_server.json",
        "server -n scheme startup/fed_server.json",
        "server -i SCHEME startup/fed_server.json",
        "server -b scheme startup/fed_server.json",
        "server -n -i SCHEME startup/fed_server.json",
        "server -ni SCHEME startup/fed_server.json",
        "server -v scheme startup/fed_server.json",
        "server nothingofthekind startup/fed_server.json",
        'server "\\"scheme\\": " startup/fed_server.json',
        "server 'ssl_.*key' startup/fed_server.json",
        "server '^ *\\]' startup/fed_server.json",
        "server '' startup/fed_server.json",
        "server '[' startup/fed_server.json",
        "server scheme nosuch.txt",
        "server scheme local",
        "server scheme /etc/hosts.txt",
        "server scheme ../x.txt",
        "server scheme startup/server.key",
        "server scheme one.txt two.txt",
        "server -- scheme startup/fed_server.json",
        "site-1 scheme startup/fed_client.json",
        "site-3 -n scheme startup/fed_client.json",
        "site-3 scheme nosuch.txt",
    ):
        yield line(f"grep {arguments}")
    yield line("grep server started log.txt", _found_in_log("started"))
    yield line("grep site-1 server log.txt", _found_in_log("server"))


def _methods():
    for target in ("server", "site-1", "site-3", "nosite"):
        yield method("get_working_directory", target)
        yield method("ls_target", target, allowed=ROOT)
        yield method("head_target_log", target, allowed=HEAD_OF_LOG)
        yield method("tail_target_log", target, "-n 2", allowed=TAIL_OF_LOG)
    yield method("ls_target", "server", "-a", "startup")
    yield method("ls_target", "server", "-l -a")
    yield method("ls_target", "server", "-z")
    yield method("cat_target", "server", None, "startup/fed_server.json")
    yield method("cat_target", "server", "-n", "startup/fed_server.json")
    yield method("cat_target", "server", None, "nosuch.txt")
    yield method("head_target", "server", "-n 2", "startup/fed_server.json")
    yield method("head_target", "site-1", "-c 10", "startup/fed_client.json")
    yield method("tail_target", "server", "-n 2", "startup/fed_server.json")
    yield method("tail_target", "site-3", None, "startup/fed_client.json")
    yield method("grep_target", "server", None, "scheme", "startup/fed_server.json")
    yield method("grep_target", "site-1", "-n", "scheme", "startup/fed_client.json")
    yield method("grep_target", "server", None, 'a "quoted\\" pattern', "startup/fed_server.json")
    for text in ("pwd server", "sys.pwd site-1", "ls nosite", "cat server ../x.txt", "cat server nosuch.txt"):
        yield do_command(text)
