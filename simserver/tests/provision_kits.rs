//! Startup kits: the layout of real provisioning, kept over several runs.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use flare_simserver::kits::{KitError, SiteKeys, Workspace};
use flare_simserver::pki::{KeyPool, KeySource};
use flare_simserver::project::{Project, Role};
use flare_wire::{Moment, Randomness};
use serde_json::{Value, json};

const NOW: Moment = Moment::from_unix(Duration::from_secs(1_900_000_000));

/// Provisions like the command does, with keys that do not take their time.
fn provision(workspace: &Path, project: &Project) -> Result<std::path::PathBuf, KitError> {
    run(workspace, project, Workspace::provision)
}

fn run<T>(
    workspace: &Path,
    project: &Project,
    step: impl Fn(&Workspace, &Project, &mut flare_simserver::kits::Credentials, Moment, &mut Randomness) -> T,
) -> T {
    let workspace = Workspace::new(workspace, project);
    let mut random = Randomness::from_number(7);
    let mut credentials =
        workspace.credentials(project, KeySource::Process, SiteKeys::Shared, NOW, &mut random).unwrap();
    step(&workspace, project, &mut credentials, NOW, &mut random)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// `mode path` of everything below `directory`, sorted by path.
fn listing(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, prefix: &str, lines: &mut Vec<(String, u32)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                walk(&entry.path(), &format!("{path}/"), lines);
            }
            lines.push((path, metadata.permissions().mode() & 0o7777));
        }
    }
    let mut lines = Vec::new();
    walk(directory, "", &mut lines);
    lines.sort();
    lines.into_iter().map(|(path, mode)| format!("{mode:o} {path}")).collect()
}

#[test]
fn kits_have_the_files_and_modes_of_real_provisioning() {
    let workspace = tempfile::tempdir().unwrap();
    let kits = provision(workspace.path(), &Project::default_demo()).unwrap();
    assert_eq!(kits, workspace.path().join("example_project/prod_00"));

    let policies =
        ["644 local/authorization.json.default", "644 local/log_config.json.default", "644 local/privacy.json.sample"];
    let scripts = ["755 startup/start.sh", "755 startup/stop_fl.sh", "755 startup/sub_start.sh"];
    let expect = |own: &[&str], shared: &[&str]| {
        let directories =
            ["755 local", "755 startup", "755 transfer", "644 local/resources.json.default", "644 startup/rootCA.pem"];
        let mut lines: Vec<String> =
            [own, shared, &directories].concat().iter().map(|line| (*line).to_owned()).collect();
        lines.sort_by(|a, b| a[4..].cmp(&b[4..]));
        lines
    };
    assert_eq!(
        listing(&kits.join("server")),
        expect(
            &["644 readme.txt", "644 startup/fed_server.json", "644 startup/server.crt", "600 startup/server.key",],
            &[policies, scripts].concat(),
        ),
    );
    assert_eq!(
        listing(&kits.join("site-1")),
        expect(
            &["644 readme.txt", "644 startup/fed_client.json", "644 startup/client.crt", "600 startup/client.key"],
            &[policies, scripts].concat(),
        ),
    );
    assert_eq!(
        listing(&kits.join("admin@nvidia.com")),
        expect(
            &[
                "644 startup/fed_admin.json",
                "644 startup/client.crt",
                "600 startup/client.key",
                "755 startup/fl_admin.sh",
                "644 startup/readme.txt",
                "644 startup/system_info.ipynb",
            ],
            &[],
        ),
    );
}

#[test]
fn configuration_files_say_what_real_ones_say_in_the_same_order() {
    let workspace = tempfile::tempdir().unwrap();
    let kits = provision(workspace.path(), &Project::default_demo().with_port(28402)).unwrap();
    let text = |path: &str| read_json(&kits.join(path)).to_string();
    assert_eq!(
        text("admin@nvidia.com/startup/fed_admin.json"),
        json!({"format_version": 1, "admin": {
            "project_name": "example_project", "username": "admin@nvidia.com", "server_identity": "server",
            "scheme": "http", "host": "localhost", "port": 28402, "connection_security": "mtls",
            "uid_source": "user_input", "with_file_transfer": true, "upload_dir": "transfer",
            "download_dir": "transfer", "client_key": "client.key", "client_cert": "client.crt",
            "ca_cert": "rootCA.pem"}})
        .to_string(),
    );
    assert_eq!(
        text("server/startup/fed_server.json"),
        json!({"format_version": 2, "servers": [{
            "name": "example_project", "service": {"target": "server:28402", "scheme": "http"},
            "admin_server": "server", "admin_port": 28402, "ssl_private_key": "server.key",
            "ssl_cert": "server.crt", "ssl_root_cert": "rootCA.pem", "connection_security": "mtls"}]})
        .to_string(),
    );
    assert_eq!(
        text("site-1/startup/fed_client.json"),
        json!({"format_version": 2, "servers": [{
            "name": "example_project", "service": {"target": "localhost:28402", "scheme": "http"},
            "identity": "server"}],
            "client": {"ssl_private_key": "client.key", "ssl_cert": "client.crt", "ssl_root_cert": "rootCA.pem",
            "fqsn": "site-1", "is_leaf": true, "connection_security": "mtls"}})
        .to_string(),
    );
    for kit in ["server", "site-1", "admin@nvidia.com"] {
        read_json(&kits.join(kit).join("local/resources.json.default"));
    }
    read_json(&kits.join("admin@nvidia.com/startup/system_info.ipynb"));
}

#[test]
fn a_second_run_makes_new_kits_with_the_same_certificates() {
    let workspace = tempfile::tempdir().unwrap();
    let project = Project::default_demo();
    let first = provision(workspace.path(), &project).unwrap();
    let grown = project.with_site("site-3", "acme").unwrap();
    let second = provision(workspace.path(), &grown).unwrap();
    assert!(second.ends_with("example_project/prod_01"));
    for file in ["server/startup/server.crt", "site-1/startup/client.key", "admin@nvidia.com/startup/client.crt"] {
        assert_eq!(fs::read(first.join(file)).unwrap(), fs::read(second.join(file)).unwrap(), "{file}");
    }
    assert!(!first.join("site-3").exists());
    assert!(second.join("site-3/startup/client.crt").exists());
    let state = workspace.path().join("example_project/state/cert.json");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!workspace.path().join("example_project/wip").exists());
}

#[test]
fn a_refresh_replaces_configuration_and_keeps_what_users_changed() {
    let workspace = tempfile::tempdir().unwrap();
    let refresh = |port| run(workspace.path(), &Project::default_demo().with_port(port), Workspace::refresh).unwrap();
    let kit = refresh(1111).join("admin@nvidia.com");
    fs::write(kit.join("local/resources.json"), "{}").unwrap();
    fs::write(kit.join("startup/readme.txt"), "my notes").unwrap();
    assert_eq!(refresh(2222).join("admin@nvidia.com"), kit);
    assert_eq!(read_json(&kit.join("startup/fed_admin.json"))["admin"]["port"], 2222);
    assert_eq!(fs::read(kit.join("local/resources.json")).unwrap(), b"{}");
    assert_eq!(fs::read(kit.join("startup/readme.txt")).unwrap(), b"my notes");
}

#[test]
fn an_admin_cannot_change_the_role_of_an_existing_certificate() {
    let workspace = tempfile::tempdir().unwrap();
    let project = |role| Project::new("p", "server", "nvidia").unwrap().with_admin("a@b.org", "nvidia", role).unwrap();
    provision(workspace.path(), &project(Role::Lead)).unwrap();
    let error = provision(workspace.path(), &project(Role::Member)).unwrap_err();
    assert_eq!(error.to_string(), "admin 'a@b.org' has a certificate for the role lead, the project says member");
    assert!(!workspace.path().join("p/prod_01").exists());
}

#[test]
fn a_damaged_state_is_reported_with_its_path() {
    let workspace = tempfile::tempdir().unwrap();
    let project = Project::default_demo();
    provision(workspace.path(), &project).unwrap();
    let state = workspace.path().join("example_project/state/cert.json");
    for damage in ["", "[]", "{}", r#"{"root_cert": "x", "root_pri_key": "y"}"#] {
        fs::write(&state, damage).unwrap();
        let error = Workspace::new(workspace.path(), &project)
            .credentials(&project, KeySource::Pool(KeyPool::new()), SiteKeys::Own, NOW, &mut Randomness::from_number(1))
            .unwrap_err();
        assert!(matches!(&error, KitError::BadState { path, .. } if *path == state), "{damage}: {error}");
        assert!(!error.hint().is_empty());
    }
}
