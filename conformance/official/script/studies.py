"""Studies through the methods of the official `Session`, by users of every role, and what a session in a study sees.

What is registered is removed again; the server's registry of studies stays, empty.
"""

import job_folders
from people import EVERYBODY, LEAD, MEMBER, ORG_ADMIN, OTHER_LEAD, OTHER_MEMBER, OTHER_ORG_ADMIN, OWNER, SITES, THE_OTHERS
from script.job_life import META_TEXT
from steps import Step, action, by, raw

CHANGES_OF_SITES = ("register_study", "add_study_site", "remove_study_site")


def steps() -> list[Step]:
    """All steps, in order."""
    return [
        *_bad_arguments(),
        *_nothing_there(),
        *_bad_sites(),
        *_registering(),
        *_changing_sites(),
        *_users(),
        *_sessions(),
        *_jobs(),
        *_removing(),
    ]


def _bad_arguments():
    """What the client refuses itself."""
    for name in CHANGES_OF_SITES:
        for study in (5, "", None):
            yield by(OWNER, name, study, sites=["site-1"])
        yield by(OWNER, name, "s", sites=["site-1"], site_orgs=["nvidia:site-1"])
        yield by(OWNER, name, "s")
        for sites in ("site-1", [], [""], [5], ("site-1",)):
            yield by(OWNER, name, "s", sites=sites)
        for site_orgs in ("nvidia:site-1", [], [""], [5], {"nvidia": ["site-1"]}):
            yield by(OWNER, name, "s", site_orgs=site_orgs)
        yield by(OWNER, name, "s", sites=[], site_orgs=["nvidia:site-9"])
    for name in ("remove_study", "show_study"):
        for study in (5, "", None):
            yield by(OWNER, name, study)
    for name in ("add_study_user", "remove_study_user"):
        for study, user in ((5, "u"), ("", "u"), ("s", 5), ("s", ""), ("s", None)):
            yield by(OWNER, name, study, user)
    # What a client that is not the official one may send.
    for text in (
        "register_study",
        "register_study s",
        "register_study s --sites",
        "register_study s --sites ''",
        "register_study s --site-org ''",
        "register_study s --sites site-1 --site-org nvidia:site-1",
        "register_study s --site-org=nvidia:site-9",
        "register_study s --zzz",
        "register_study s other --site-org nvidia:site-1",
        "register_study --help",
        "add_study_site",
        "add_study_site s --zzz x",
        "remove_study_site",
        "remove_study_site s --zzz x",
        "remove_study",
        "remove_study a b",
        "show_study",
        "show_study a b",
        "add_study_user",
        "add_study_user s",
        "add_study_user s u v",
        "remove_study_user",
        "remove_study_user s",
        "list_studies x",
        "study_mgmt.show_study nost",
        '"show_study" "no st"',
    ):
        yield raw(OWNER, text)
        yield raw(MEMBER, text)


def _nothing_there():
    """Every method by everybody, about a study that there is not."""
    for who in EVERYBODY:
        yield by(who, "list_studies")
        yield by(who, "show_study", "nost")
        yield by(who, "remove_study", "nost")
        for name in CHANGES_OF_SITES[1:]:
            yield by(who, name, "nost", sites=["site-1"])
            yield by(who, name, "nost", site_orgs=["nvidia:site-1"])
        for name in ("add_study_user", "remove_study_user"):
            yield by(who, name, "nost", "somebody@else.org")
    for who in (LEAD, MEMBER, OTHER_LEAD, OTHER_MEMBER):
        yield by(who, "register_study", "s", sites=["site-1"])
        yield by(who, "register_study", "s", site_orgs=["nvidia:site-1"])


def _bad_sites():
    """What the server refuses; a study name first, then the arguments, then what they name."""
    for study in ("Bad", "default", "a-", "-a", "a b", "a/b", "x" * 64, "ä"):
        yield by(OWNER, "register_study", study, site_orgs=["nvidia:site-1"])
        yield by(OWNER, "add_study_site", study, site_orgs=["nvidia"])
        yield by(OWNER, "show_study", study)
        yield by(OWNER, "remove_study", study)
        yield by(OWNER, "add_study_user", study, "u")
    for site_org in (
        "nvidia",
        "nvidia:",
        ":site-1",
        ":",
        "nvidia:site-3",
        "nvidia:nosite",
        "nvidia:site-1,nosite",
        "nvidia:site-1,site-1",
        "nvidia:site-1,,site-2",
        "nvidia: site-1 , site-3 ",
        "nvidia:si te",
        "no-org:site-1",
        "none:site-1",
        "nvidia:acme:site-1",
        "NVIDIA:site-1",
    ):
        yield by(OWNER, "register_study", "bad-sites", site_orgs=[site_org])
    yield by(OWNER, "register_study", "bad-sites", site_orgs=["nvidia:site-1", "acme:site-1"])
    yield by(OWNER, "register_study", "bad-sites", site_orgs=["nvidia:site-1", "acme:site-3", "none:site-1"])
    yield by(OWNER, "register_study", "bad-sites", sites=["site-1"])
    for who in (ORG_ADMIN, OTHER_ORG_ADMIN):
        yield by(who, "register_study", "bad-sites", site_orgs=["nvidia:site-1"])
        for sites in (["nosite"], ["site-2", "site-3"], ["si te"], ["si*te"], [","], ["SITE-1"]):
            yield by(who, "register_study", "bad-sites", sites=sites)
    # Blanks and empty names were let pass.
    yield by(OWNER, "show_study", "bad-sites")
    yield by(OWNER, "remove_study", "bad-sites")
    yield by(OWNER, "list_studies")


def _registering():
    yield by(OWNER, "register_study", "one", site_orgs=["nvidia:site-1"])
    yield by(OWNER, "register_study", "one", site_orgs=["nvidia:site-1"])
    yield by(OWNER, "register_study", "one", site_orgs=["nvidia:site-2,nosite"])
    yield by(ORG_ADMIN, "show_study", "one")
    yield by(ORG_ADMIN, "register_study", "one", sites=["site-2"])
    yield by(OTHER_ORG_ADMIN, "register_study", "one", sites=["site-3"])
    yield by(OTHER_ORG_ADMIN, "register_study", "two", sites=["site-3", "site-3"])
    yield by(ORG_ADMIN, "register_study", "three", sites=["site-2", "site-1"])
    yield by(OWNER, "register_study", "all", site_orgs=["nvidia:site-2", "acme:site-3", "nvidia:site-1"])
    yield by(OWNER, "register_study", "x" * 63, site_orgs=["acme:site-3"])
    for who in EVERYBODY:
        yield by(who, "list_studies")
        for study in ("one", "two", "all"):
            yield by(who, "show_study", study)


def _changing_sites():
    yield by(OWNER, "add_study_site", "one", site_orgs=["nvidia:site-1,site-2", "acme:site-3"])
    yield by(OTHER_ORG_ADMIN, "show_study", "one")
    yield by(OTHER_ORG_ADMIN, "add_study_site", "one", sites=["site-3"])
    yield by(OTHER_ORG_ADMIN, "add_study_site", "one", sites=["site-1"])
    yield by(OTHER_ORG_ADMIN, "add_study_site", "three", sites=["site-3"])
    yield by(ORG_ADMIN, "add_study_site", "one", sites=["site-1", "nosite"])
    yield by(ORG_ADMIN, "add_study_site", "one", site_orgs=["nvidia:site-1"])
    yield by(ORG_ADMIN, "remove_study_site", "one", sites=["site-2", "site-3", "nosite"])
    yield by(ORG_ADMIN, "remove_study_site", "two", sites=["site-3"])
    yield by(OTHER_ORG_ADMIN, "remove_study_site", "one", sites=["site-3"])
    yield by(OTHER_ORG_ADMIN, "show_study", "one")
    yield by(OTHER_ORG_ADMIN, "add_study_site", "one", sites=["site-3"])
    yield by(OWNER, "remove_study_site", "one", site_orgs=["acme:site-3,site-1", "none:site-1"])
    yield by(OWNER, "remove_study_site", "one", sites=["site-1"])
    yield by(OWNER, "remove_study_site", "one", site_orgs=["nvidia"])
    yield by(OWNER, "show_study", "one")
    for who in (LEAD, OTHER_MEMBER):
        for name in CHANGES_OF_SITES:
            yield by(who, name, "one", sites=["site-1"])


def _users():
    yield by(OWNER, "add_study_user", "one", LEAD)
    yield by(OWNER, "add_study_user", "one", LEAD)
    yield by(OWNER, "add_study_user", "one", "somebody with blanks")
    yield by(OWNER, "add_study_user", "one", LEAD.upper())
    yield by(ORG_ADMIN, "add_study_user", "one", MEMBER)
    yield by(ORG_ADMIN, "add_study_user", "two", MEMBER)
    yield by(OTHER_ORG_ADMIN, "add_study_user", "one", OTHER_MEMBER)
    yield by(OTHER_ORG_ADMIN, "add_study_user", "three", OTHER_MEMBER)
    yield by(OTHER_ORG_ADMIN, "remove_study_user", "three", ORG_ADMIN)
    for who in (LEAD, MEMBER, OTHER_LEAD):
        yield by(who, "add_study_user", "one", who)
        yield by(who, "remove_study_user", "one", LEAD)
    yield by(OWNER, "remove_study_user", "one", LEAD.upper())
    yield by(OWNER, "remove_study_user", "one", LEAD.upper())
    yield by(OWNER, "remove_study_user", "one", "somebody with blanks")
    for who in EVERYBODY:
        yield by(who, "list_studies")
    yield by(OWNER, "show_study", "one")


def _sessions():
    """Who gets into a study, and which sites there are in it. `one` has site-1 and site-3."""
    for who in EVERYBODY:
        yield by(who, "get_system_info", study="one")
    yield by(OWNER, "get_system_info", study="nost")
    yield by(OWNER, "get_system_info", study="two")
    yield by(OTHER_ORG_ADMIN, "get_system_info", study="two")
    for who in (OWNER, LEAD, MEMBER):
        yield by(who, "list_studies", study="one")
        for target in ("server", "client", "all"):
            yield by(who, "check_status", target, study="one")
            yield by(who, "report_resources", target, study="one")
            yield by(who, "report_version", target, study="one")
        for targets in (["site-1"], ["site-2"], ["site-1", "site-2"], ["site-2", "nosite"], ["nosite"], ["site-1", "nosite"]):
            yield by(who, "check_status", "client", targets, study="one")
            yield by(who, "get_client_job_status", targets, study="one")
        yield by(who, "get_client_env", study="one")
        yield by(who, "get_client_env", ["site-2"], study="one")
        yield by(who, "get_working_directory", "site-2", study="one")
        yield by(who, "configure_site_log", "reload", "client", study="one")
        yield by(who, "restart", "client", ["site-2"], wait=False, study="one")
        yield by(who, "shutdown", "client", ["site-2"], wait=False, study="one")
        yield raw(who, "show_scopes client", study="one")
    yield by(OWNER, "check_status", "client", study="two")
    yield by(OTHER_ORG_ADMIN, "check_status", "client", study="two")


def _jobs():
    submit = _submitter
    yield submit("never", LEAD, "one")
    yield submit("never", MEMBER, "one", key="by-member")
    yield submit("never", LEAD, "default", key="outside")
    yield submit("named", LEAD, "one", make=_naming_all_sites)
    yield submit("named", OWNER, "all", key="named-in-all")
    for who in (OWNER, LEAD, MEMBER):
        for study in ("one", "default"):
            yield action(*_listing(who, study), META_TEXT)
    yield by(OTHER_ORG_ADMIN, "list_jobs", study="two")
    for who, study in ((OWNER, "default"), (LEAD, "default"), (OWNER, "one"), (OTHER_ORG_ADMIN, "two"), (MEMBER, "one")):
        yield by(who, "get_job_status", "{job:never}", study=study, value_only=True)
        for name in ("list_job_components", "clone_job", "get_job_logs", "delete_job"):
            if (name, study) in (("clone_job", "one"), ("delete_job", "one")) and who == OWNER:
                # He may; the job is needed further on.
                continue
            yield by(who, name, "{job:never}", study=study)
    yield by(OWNER, "abort_job", "{job:outside}", study="one")
    # A job that is taken in waits on for sites that are the study's no more.
    yield by(OWNER, "remove_study_site", "all", site_orgs=["acme:site-3"])
    yield _attempted("named-in-all", "all")
    yield by(OWNER, "delete_job", "{job:named-in-all}", study="all")
    yield by(LEAD, "clone_job", "{job:never}", study="one", makes="clone")
    yield by(ORG_ADMIN, "remove_study", "one")
    yield by(OWNER, "remove_study", "one")
    for name in ("never", "clone"):
        yield by(LEAD, "abort_job", f"{{job:{name}}}", study="one")
    yield by(ORG_ADMIN, "remove_study_site", "one", sites=["site-1"])
    yield by(OWNER, "check_status", "client", study="one")
    yield by(OWNER, "remove_study_user", "one", LEAD)
    # An open session goes on.
    yield by(LEAD, "get_job_status", "{job:never}", study="one", value_only=True)
    yield action("a new session of the removed user", lambda player: player.open_and_close(LEAD, "one"))
    yield by(LEAD, "list_studies")
    for name in ("never", "clone"):
        yield by(OWNER, "delete_job", f"{{job:{name}}}", study="one")
    yield by(LEAD, "abort_job", "{job:outside}")
    yield by(LEAD, "delete_job", "{job:outside}")


def _removing():
    for who in THE_OTHERS:
        yield by(who, "remove_study", "two")
    for study in ("one", "two", "three", "all", "x" * 63, "two"):
        yield by(OWNER, "remove_study", study)
    # The sessions in what is no more.
    yield by(OWNER, "list_jobs", study="one")
    yield by(OWNER, "check_status", "client", study="one")
    yield action("a new session in what is no more", lambda player: player.open_and_close(OWNER, "one"))
    for who in EVERYBODY:
        yield by(who, "list_studies")


def _submitter(name: str, who: str, study: str, key: str | None = None, make=job_folders.never) -> Step:
    def act(player):
        folder = player.scratch / name
        if not folder.exists():
            make(player.scratch, name)
        job_id = player.session_of(who, study).session.submit_job(str(folder))
        player.jobs.setdefault(key or name, job_id)
        return job_id

    return action(f"Session.submit_job({name}) as {who} in study {study}", act)


def _naming_all_sites(parent, name: str):
    # It asks for what there is not, so that it waits until a site is taken from its study.
    none = {site: {"num_of_gpus": 64} for site in SITES}
    return job_folders.job(parent, name, min_clients=1, deploy_map={"app": ["server", *SITES]}, resource_spec=none)


def _listing(who: str, study: str):
    def act(player):
        jobs = player.session_of(who, study).session.list_jobs(detailed=True, name_prefix="ne")
        # How often a job was tried so far is chance.
        player.session.exchanges.clear()
        return [[job["job_name"], job["study"], job["submitter_name"]] for job in jobs if job["job_name"] == "never"]

    return f"Session.list_jobs(detailed=True, name_prefix='ne') as {who} in study {study}", act


def _attempted(name: str, study: str) -> Step:
    """Waits until the scheduler has given its verdict on a job that asks for sites outside its study."""

    def act(player):
        def look():
            meta = player.session_of(OWNER, study).session.get_job_meta(player.jobs[name])
            player.session.exchanges.clear()
            return [meta["status"], [line.split(": ", 1)[1] for line in meta.get("schedule_history", [])[-1:]]]

        return player.until(look, lambda seen: seen[0].startswith("FINISHED"))

    return action(f"Session.get_job_meta({name}), once a site of it is out", act)


