"""Studies through the unmodified `nvflare study` command and `nvflare job --study`, as processes, by users of every role.

What is registered here is removed again; the server's registry of studies stays, empty.
"""

from dataclasses import replace

from cli_lines import FOLDER_IN_TEXT, CliLine
from people import EVERYBODY, LEAD, MEMBER, ORG_ADMIN, OTHER_LEAD, OTHER_MEMBER, OTHER_ORG_ADMIN, OWNER, THE_OTHERS

JSON = "--format json"


def lines() -> list[CliLine]:
    """All lines, in order."""
    # The first are all refused.
    refused = [replace(line, only_looks=True) for line in (*_bad_arguments(), *_refusals())]
    return [*refused, *_registering(), *_sites(), *_users(), *_jobs(), *_removing()]


def _of(who: str, *texts: str, text_format: bool = False):
    for text in texts:
        looks = text.startswith(("list", "show"))
        yield CliLine(f"study {text} {JSON}", who=who, only_looks=looks)
        if text_format:
            yield CliLine(f"study {text}", who=who, only_looks=looks)


def _bad_arguments():
    """What the command refuses before it connects, by role."""
    yield from _of(OWNER, "", "nosuch", "register", "show", "add-user s", "list extra", "register s --site-org")
    for command in ("register", "add-site", "remove-site"):
        yield from _of(OWNER, f"{command} s --sites site-1", f"{command} s", text_format=True)
        yield from _of(OWNER, f"{command} s --sites site-1 --site-org nvidia:site-1")
        yield from _of(ORG_ADMIN, f"{command} s --site-org nvidia:site-1", f"{command} s --sites ,")
        yield from _of(LEAD, f"{command} s")
    yield from _of(OWNER, "register --schema", "show --schema")


def _refusals():
    """What the server refuses, before there is a study."""
    for who in EVERYBODY:
        yield from _of(who, "list", "show nost")
    for name in ("Bad-Name", "default", "a_", "x" * 64):
        yield from _of(OWNER, f"register {name} --site-org nvidia:site-1", f"show {name}")
    for value in ("nvidia", "nvidia:", ":site-1", "nvidia:site-3", "nvidia:nosite", "nvidia:si*te", "no-org:site-1", "none:site-1"):
        yield from _of(OWNER, f"register s --site-org {value}")
    yield from _of(OWNER, "register s --site-org nvidia:site-1 --site-org acme:site-1")
    yield from _of(ORG_ADMIN, "register s --sites site-3", "register s --sites nosite,site-1", "register s --sites si*te")
    for who in (LEAD, MEMBER, OTHER_LEAD):
        yield from _of(who, "register s --sites site-1", "register s --site-org nvidia:site-1", "add-site s --sites site-1")
        yield from _of(who, "remove-site s --sites site-1", f"add-user s {who}", f"remove-user s {who}")
    for who in THE_OTHERS:
        yield from _of(who, "remove nost")
    yield from _of(OWNER, "remove nost", text_format=True)
    for command in ("add-site", "remove-site"):
        yield from _of(OWNER, f"{command} nost --site-org nvidia:site-1")
        yield from _of(ORG_ADMIN, f"{command} nost --sites site-1")
    yield from _of(OWNER, f"add-user nost {LEAD}", f"remove-user nost {LEAD}")


def _registering():
    yield from _of(OWNER, "register one --site-org nvidia:site-1")
    # The same again, and more of it: studies are merged.
    yield from _of(OWNER, "register one --site-org nvidia:site-1", text_format=True)
    yield from _of(ORG_ADMIN, "register one --sites site-2")
    yield from _of(OTHER_ORG_ADMIN, "register one --sites site-3", text_format=True)
    yield from _of(OTHER_ORG_ADMIN, "register two --sites site-3,site-3")
    yield from _of(ORG_ADMIN, "register three --sites site-1 site-2")
    for who in EVERYBODY:
        yield from _of(who, "list", "show one", text_format=who in (OWNER, MEMBER))


def _sites():
    yield from _of(OWNER, "add-site one --site-org acme:site-3", "add-site one --site-org acme:site-3,nosite")
    yield from _of(OTHER_ORG_ADMIN, "show one", "add-site one --sites site-3", "add-site three --sites site-3")
    yield from _of(ORG_ADMIN, "remove-site one --sites site-2,nosite", "remove-site one --sites site-3", text_format=True)
    yield from _of(OTHER_ORG_ADMIN, "remove-site one --sites site-3", "show one", "remove-site three --sites site-3")
    yield from _of(OWNER, "remove-site one --site-org acme:site-3 --site-org none:site-1", "show one", text_format=True)


def _users():
    yield from _of(OWNER, f"add-user one {LEAD}", f"add-user one {LEAD}", text_format=True)
    yield from _of(OWNER, "add-user one nobody@nowhere.org", "remove-user one somebody@nowhere.org")
    yield from _of(ORG_ADMIN, f"add-user one {MEMBER}", f"add-user two {MEMBER}")
    yield from _of(OTHER_ORG_ADMIN, f"add-user one {OTHER_MEMBER}", f"add-user three {OTHER_MEMBER}")
    for who in EVERYBODY:
        yield from _of(who, "list", text_format=who == MEMBER)
    yield from _of(LEAD, "show one", f"add-user one {OTHER_LEAD}")


def _jobs():
    def job(who: str, text: str, *allowed, study: str = "one", **more):
        return CliLine(f"job {text} --study {study} {JSON}", *allowed, who=who, **more)

    for who in EVERYBODY:
        yield job(who, "list", only_looks=True)
    yield CliLine("job list --study one", who=OTHER_LEAD, only_looks=True)
    yield job(OWNER, "list", study="Bad-Name", only_looks=True)
    yield job(OWNER, "list", study="nost", only_looks=True)
    yield job(LEAD, "submit -j <JOBS>/never", FOLDER_IN_TEXT, makes="in-study")
    yield job(MEMBER, "submit -j <JOBS>/never", FOLDER_IN_TEXT)
    yield job(LEAD, "list")
    yield CliLine("job list --study one", who=LEAD)
    yield job(OTHER_LEAD, "meta {in-study}")
    for who in (OWNER, LEAD):
        yield job(who, "meta {in-study}", study="default")
        yield job(who, "abort {in-study} --force", study="default")
    yield from _of(OWNER, "remove one", text_format=True)
    yield job(MEMBER, "abort {in-study} --force")
    yield job(LEAD, "abort {in-study} --force")
    yield from _of(OWNER, "remove one")
    yield job(MEMBER, "delete {in-study} --force")
    yield job(LEAD, "delete {in-study} --force")


def _removing():
    yield from _of(OWNER, f"remove-user one {LEAD}", f"remove-user one {LEAD}", text_format=True)
    yield CliLine(f"job list --study one {JSON}", who=LEAD)
    yield from _of(LEAD, "list")
    yield from _of(ORG_ADMIN, "remove one")
    for name in ("one", "two", "three"):
        yield from _of(OWNER, f"remove {name}")
    yield from _of(OWNER, "remove one", "list", text_format=True)
    yield from _of(MEMBER, "list")

