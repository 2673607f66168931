//! Authorization policies, study registry and disabled clients as the kits have them when the server starts.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod raw_client;

use std::error::Error as _;
use std::fs;
use std::path::Path;

use flare_simserver::project::Role;
use flare_simserver::{ClockMode, SimServer, StartError};
use flare_wire::hci::Request;
use raw_client::{Papers, RawClient, command};

const KITS: &str = "example_project/prod_00";

/// A policy where a lead may do one thing.
fn policy(rule: &str) -> String {
    format!(r#"{{"format_version": "1.0", "permissions": {{"project_admin": "any", "lead": {rule}}}}}"#)
}

async fn start(workspace: &Path) -> Result<SimServer, StartError> {
    SimServer::builder().workspace(workspace).clock(ClockMode::Manual).start().await
}

/// Writes the kits of a federation that nobody has changed.
async fn provision(workspace: &Path) {
    let server = start(workspace).await.unwrap();
    server.all_kits().unwrap();
    server.shutdown().await;
}

async fn ask(server: &SimServer, role: Role, line: &str) -> String {
    let papers = Papers::of_kit(&server.admin_kit(role).unwrap());
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register("example_project").await.unwrap();
    let token = client.log_in().await;
    client.reply(command(&Request { token: Some(token), ..Request::new(line) })).await.to_json()
}

#[tokio::test]
async fn server_and_sites_each_go_by_the_policy_in_their_own_kit() {
    let directory = tempfile::tempdir().unwrap();
    provision(directory.path()).await;
    let kit = |name: &str| directory.path().join(KITS).join(name).join("local");
    fs::write(kit("server").join("authorization.json"), policy(r#"{"view": "any", "sys_info": "none"}"#)).unwrap();
    fs::write(kit("site-1").join("authorization.json"), policy(r#"{"sys_info": ["n:nobody", "o:site"]}"#)).unwrap();
    fs::write(kit("site-2").join("authorization.json"), policy(r#"{"operate": "not o:site"}"#)).unwrap();
    let server = start(directory.path()).await.unwrap();
    let refused = "user 'lead@nvidia.com' is not authorized for 'sys_info'";

    let of_server = ask(&server, Role::Lead, "sys_info server").await;
    assert!(of_server.contains(&format!("Authorization Error: {refused}")), "{of_server}");
    // The server asks its own policy nothing about its sites.
    let of_sites = ask(&server, Role::Lead, "sys_info client site-1").await;
    assert!(of_sites.contains("available_percent") && !of_sites.contains(refused), "{of_sites}");
    let of_sites = ask(&server, Role::Lead, "sys_info client site-2").await;
    assert!(of_sites.contains(refused), "{of_sites}");
    let shown = ask(&server, Role::ProjectAdmin, "cat site-1 local/authorization.json").await;
    let not_named = "user 'admin@nvidia.com' is not authorized";
    assert!(shown.contains("n:nobody") && !shown.contains(not_named), "{shown}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_keeps_the_server_from_starting() {
    for (file, text, why) in [
        ("site-2/local/authorization.json", policy(r#""o:a:b""#), "bad condition \"o:a:b\""),
        ("server/local/authorization.json", "{".to_owned(), "is not JSON"),
        ("server/study_registry.json", r#"{"format_version": "2.0"}"#.to_owned(), "format version"),
        ("server/local/study_registry.json", "[]".to_owned(), "study registry"),
        ("server/disabled_clients.json", r#"{"disabled_clients": [1]}"#.to_owned(), "disabled clients"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        provision(directory.path()).await;
        fs::write(directory.path().join(KITS).join(file), text).unwrap();
        let error = start(directory.path()).await.unwrap_err();
        assert!(matches!(&error, StartError::File { .. }), "{error:?}");
        assert!(error.to_string().ends_with(file), "{error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains(why), "{file}: {cause}");
    }
}

#[tokio::test]
async fn studies_and_disabled_clients_of_a_real_server_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    provision(directory.path()).await;
    let kit = directory.path().join(KITS).join("server");
    let registry = |name: &str| {
        format!(
            r#"{{"format_version": "1.0",
                "studies": {{"{name}": {{"admins": ["lead@nvidia.com"], "site_orgs": {{"nvidia": ["site-1"]}}}}}}}}"#
        )
    };
    fs::write(kit.join("local/study_registry.json"), registry("provisioned")).unwrap();
    fs::write(kit.join("disabled_clients.json"), r#"{"disabled_clients": ["site-2"]}"#).unwrap();
    let server = start(directory.path()).await.unwrap();
    let listed = ask(&server, Role::Lead, "list_studies").await;
    assert!(listed.contains("provisioned"), "{listed}");
    let status = ask(&server, Role::ProjectAdmin, "check_status server").await;
    assert!(status.contains("Registered clients: 1 "), "{status}");
    server.shutdown().await;

    // What commands have changed goes before what was provisioned.
    fs::write(kit.join("study_registry.json"), registry("changed")).unwrap();
    let server = start(directory.path()).await.unwrap();
    let listed = ask(&server, Role::Lead, "list_studies").await;
    assert!(listed.contains("changed") && !listed.contains("provisioned"), "{listed}");
    server.shutdown().await;
}
