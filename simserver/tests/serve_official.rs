//! The unmodified official client on a simulated server.
//!
//! Needs a Python that has nvflare; `FLARE_PYTHON` says which. `.ci/run` sets it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::io::Write as _;
use std::path::Path;

use flare_simserver::SimServer;
use flare_simserver::project::{Role, Scheme};
use serde_json::{Value, json};
use tokio::process::Command;

/// Logs in with the kit in `argv[2]` as `argv[1]` and prints what some commands return, as JSON.
const SCRIPT: &str = r#"
import json, sys
from nvflare.fuel.flare_api.flare_api import new_secure_session

session = new_secure_session(sys.argv[1], sys.argv[2])
try:
    info = session.get_system_info()
    print("RESULT " + json.dumps({
        "sites": sorted(client.name for client in info.client_info),
        "server": info.server_info.status,
        "jobs": session.list_jobs(),
        "connected": sorted(client.name for client in session.get_connected_client_list()),
    }))
finally:
    session.close()
"#;

/// None, after saying why, when there is no Python to ask.
async fn official(user: &str, kit: &Path) -> Option<Value> {
    let Some(python) = std::env::var_os("FLARE_PYTHON") else {
        say_skipped();
        return None;
    };
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .args(["-c", SCRIPT, user])
        .arg(kit)
        .env("HOME", home.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let result = result.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    Some(serde_json::from_str(result).unwrap())
}

#[expect(clippy::explicit_write, reason = "past the capture of the harness: that nothing was tested has to be seen")]
fn say_skipped() {
    writeln!(std::io::stderr(), "skipped: FLARE_PYTHON does not name a Python with nvflare").unwrap();
}

async fn assert_served(scheme: Scheme, role: Role) {
    let server = SimServer::builder().scheme(scheme).start().await.unwrap();
    let admin = server.project().admin_of_role(&role).unwrap().name().to_owned();
    let kit = server.admin_kit(role).unwrap();
    let Some(result) = official(&admin, &kit).await else { return };
    assert_eq!(
        result,
        json!({"sites": ["site-1", "site-2"], "server": "stopped", "jobs": [], "connected": ["site-1", "site-2"]}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_logs_in_as_project_admin_over_http() {
    assert_served(Scheme::Http, Role::ProjectAdmin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_logs_in_as_member_over_tcp() {
    assert_served(Scheme::Tcp, Role::Member).await;
}
