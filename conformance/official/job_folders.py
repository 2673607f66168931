"""Job folders that run on a real server with nothing but nvflare installed; what they do is configured, or is ours.

Each function writes one folder below the given one and returns it. What is said about a job in a comparison is said
of both sides, so the folders hold nothing random.
"""

import contextlib
import io
import json
import random
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

COMMON = "nvflare.app_common"
# More than three pieces of an upload (1 MiB) and of a download (5 MiB) would need: several of one, one of the other.
BIG_BYTES = 7 * 1024 * 1024 + 1
SITES = ("site-1", "site-2")

# An executor of our own. nvflare takes it in as custom code of the job.
EXECUTOR = """\
from nvflare.app_common.np.np_trainer import NPTrainer


class OurTrainer(NPTrainer):
    pass
"""


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """A folder for job folders."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def job(parent: Path, name: str, /, rounds: int = 2, sleep: float = 0.2, **meta) -> Path:
    """Scatter and gather over a few numbers, for the server and two sites; `meta` replaces members of its meta."""
    folder = parent / name
    members = {"name": name, "resource_spec": {}, "min_clients": 2, "deploy_map": {"app": ["server", *SITES]}, **meta}
    config = folder / "app" / "config"
    _write(folder / "meta.json", {key: value for key, value in members.items() if value is not None})
    _write(config / "config_fed_server.json", _server(rounds))
    _write(config / "config_fed_client.json", _client(sleep))
    return folder


def endless(parent: Path, name: str, **meta) -> Path:
    """It runs until it is aborted."""
    return job(parent, name, rounds=100_000, sleep=1.0, **meta)


def without_workflow(parent: Path, name: str) -> Path:
    """The server's configuration names a class that does not exist."""
    folder = job(parent, name)
    workflows = [{"id": "workflow", "path": "conformance.no.such.Workflow", "args": {}}]
    _write(folder / "app/config/config_fed_server.json", {"format_version": 2, "workflows": workflows, "components": []})
    return folder


def never(parent: Path, name: str) -> Path:
    """It waits for more sites than there are."""
    return job(parent, name, min_clients=1000, deploy_map={"app": ["@ALL"]})


def without_resources(parent: Path, name: str) -> Path:
    """It asks its sites for what they do not have."""
    return job(parent, name, resource_spec={site: {"num_of_gpus": 64} for site in SITES})


def without_executor(parent: Path, name: str) -> Path:
    """The sites' configuration names a class that does not exist."""
    return _with_executor(job(parent, name), "conformance.no.such.Executor")


def custom_code(parent: Path, name: str) -> Path:
    """It brings its own executor."""
    folder = _with_executor(job(parent, name), "our_trainer.OurTrainer")
    custom = folder / "app" / "custom"
    custom.mkdir()
    (custom / "our_trainer.py").write_text(EXECUTOR)
    return folder


def big(parent: Path, name: str) -> Path:
    """It waits for ever, and holds a file that does not compress."""
    folder = never(parent, name)
    (folder / "app" / "config" / "payload.bin").write_bytes(random.Random(name).randbytes(BIG_BYTES))
    return folder


def malformed(parent: Path) -> list[tuple[str, Path]]:
    """Every job that the server has to refuse (server-behaviour.md section 15), by what is wrong with it.

    Some are accepted all the same, because the server does not look there; whoever submits them deletes them.
    """
    found = []

    def add(what: str, change=None, **meta) -> None:
        # They ask for more than there is: what is accepted must not run, nor be deleted while it is deployed, after which
        # a real server starts no job any more.
        none = {site: {"num_of_gpus": 64} for site in (*SITES, "site-3")}
        base = {"deploy_map": {"app": ["@ALL"]}, "min_clients": 1000, "resource_spec": none}
        folder = job(parent, f"flawed-{len(found):02}", **(base | meta))
        if change:
            change(folder)
        found.append((what, folder))

    def content(path: str, text: str):
        return lambda folder: (folder / path).write_text(text)

    def without(path: str):
        return lambda folder: (folder / path).unlink()

    add("no meta", without("meta.json"))
    for what, text in (("no JSON", "{x"), ("empty", ""), ("a list", "[]"), ("a text", '"x"'), ("an empty object", "{}")):
        add(f"meta is {what}", content("meta.json", text))
    add("meta as YAML", lambda folder: (folder / "meta.json").rename(folder / "meta.yml"))
    add("no deploy map", deploy_map=None)
    for value in (
        ["app"],
        {},
        "app",
        {"app": []},
        {"app": ""},
        {"app": ["@ALL", "site-1"]},
        {"app": ["@all"]},
        {"app": ["site-1"]},
        {"app": "server"},
        {"app": ["server"]},
        {"other": ["@ALL"]},
        {"a/b": ["@ALL"]},
        {"../app": ["@ALL"]},
        {"app": {"sites": ["@ALL"]}},
        {"app": {"targets": ["@ALL"]}},
        {"app": {"zzz": ["@ALL"]}},
        {"app": [{"sites": ["server", "site-1"]}]},
        {"app": ["server", "site-1", "site-1"]},
        {"app": ["server", "nosite"]},
        {"app": 5},
        {"app": None},
    ):
        add(f"deploy_map {json.dumps(value)}", deploy_map=value)
    add("no server configuration", without("app/config/config_fed_server.json"))
    add("no client configuration", without("app/config/config_fed_client.json"))
    for value in (0, -1, 1_000_001, 1_000_000, "abc", "3", 1.5, True, [], {}):
        add(f"min_clients {json.dumps(value)}", min_clients=value)
    add("min_clients above the sites named", min_clients=3, deploy_map={"app": ["server", *SITES]})
    for value in (
        [],
        "x",
        5,
        {"site-1": 5},
        {"site-1": []},
        {"@default": {"num_of_cpus": 0}},
        {"@default": {"memory": "5"}},
        {"@default": {"zzz": 1}},
        {"site-1": {"num_of_gpus": -1}},
    ):
        add(f"resource_spec {json.dumps(value)}", resource_spec=value)
    for value in ([], "x", {"site-1": 5}, {"site-1": {"zzz": {}}}, {"site-1": {"docker": 5}}, {"site-1": {"docker": {}}}):
        add(f"launcher_spec {json.dumps(value)}", launcher_spec=value)
    for value in ("x", 5, ["nosite"], {"site-1": 1}):
        add(
            f"mandatory_clients {json.dumps(value)}",
            mandatory_clients=value,
            deploy_map={"app": ["server", *SITES]},
            min_clients=2,
            resource_spec={site: {"num_of_gpus": 64} for site in SITES},
        )
    for value in ("a b", "../x", 5, "", "x" * 300):
        add(f"job_id {json.dumps(value)[:20]}", job_id=value, min_clients=0)
    for value in (5, [], "", None):
        add(f"name {json.dumps(value)}", name=value)
    return found


def hostile_archives() -> list[tuple[str, bytes]]:
    """Archives that no client makes, by what is wrong with them."""
    meta = json.dumps({"name": "x", "min_clients": 1000, "deploy_map": {"app": ["@ALL"]}, "resource_spec": {}})
    files = {"J/meta.json": meta, "J/app/config/": "", "J/app/config/config_fed_server.json": "{}"}
    files["J/app/config/config_fed_client.json"] = "{}"
    return [
        ("nothing", b""),
        ("no archive", b"this is no archive"),
        ("an archive of nothing", _archive({})),
        ("cut in the middle", _archive(files)[:-100]),
        ("another folder than it says", _archive({name.replace("J/", "other/"): text for name, text in files.items()})),
        ("no entry for the folder", _archive({name: text for name, text in files.items() if not name.endswith("/")})),
        ("an entry above its folder", _archive({"../meta.json": meta})),
        ("an absolute entry", _archive({"/J/meta.json": meta})),
        ("bytes before the archive", b"x" * 100 + _archive({"J/other": ""})),
    ]


def _archive(files: dict[str, str]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return memory.getvalue()


def _write(file: Path, content) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2))


def _with_executor(folder: Path, path: str) -> Path:
    executors = [{"tasks": ["train"], "executor": {"path": path, "args": {}}}]
    _write(folder / "app/config/config_fed_client.json", {"format_version": 2, "executors": executors, "components": []})
    return folder


def _server(rounds: int) -> dict:
    arguments = {"min_clients": 2, "num_rounds": rounds, "start_round": 0, "wait_time_after_min_received": 0}
    arguments |= {"aggregator_id": "aggregator", "persistor_id": "persistor", "train_timeout": 600}
    arguments |= {"shareable_generator_id": "shareable_generator", "train_task_name": "train"}
    workflow = f"{COMMON}.workflows.scatter_and_gather.ScatterAndGather"
    generator = f"{COMMON}.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator"
    aggregator = f"{COMMON}.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator"
    return {
        "format_version": 2,
        "workflows": [{"id": "scatter_and_gather", "path": workflow, "args": arguments}],
        "components": [
            {"id": "persistor", "path": f"{COMMON}.np.np_model_persistor.NPModelPersistor"},
            {"id": "shareable_generator", "path": generator, "args": {}},
            {"id": "aggregator", "path": aggregator, "args": {"expected_data_kind": "WEIGHTS"}},
        ],
    }


def _client(sleep: float) -> dict:
    trainer = {"path": f"{COMMON}.np.np_trainer.NPTrainer", "args": {"sleep_time": sleep}}
    executors = [{"tasks": ["train"], "executor": trainer}]
    return {"format_version": 2, "executors": executors, "components": []}
