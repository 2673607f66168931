//! The unmodified official client on a simulated server.
//!
//! Needs a Python that has nvflare; `FLARE_PYTHON` says which. `.ci/run` sets it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flare_simserver::SimServer;
use flare_simserver::project::{Role, Scheme};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

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

/// Logs in, says so, and waits until the server has ended the session.
const WAITING_SCRIPT: &str = r#"
import sys, time
from nvflare.fuel.flare_api.flare_api import new_secure_session

session = new_secure_session(sys.argv[1], sys.argv[2])
print("LOGGED IN", flush=True)
deadline = time.time() + 30
while not session.api.closed and time.time() < deadline:
    time.sleep(0.05)
print("REASON", session.api.session_expired_reason, flush=True)
"#;

/// None, after saying why, when there is no Python to ask.
async fn official(user: &str, kit: &Path) -> Option<Value> {
    let python = python()?;
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

fn python() -> Option<OsString> {
    let python = std::env::var_os("FLARE_PYTHON");
    if python.is_none() {
        say_skipped();
    }
    python
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

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_hears_that_its_session_has_expired() {
    let server = SimServer::start().await.unwrap();
    let kit = server.admin_kit(Role::Lead).unwrap();
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut client = Command::new(python)
        .args(["-c", WAITING_SCRIPT, "lead@nvidia.com"])
        .arg(kit)
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut skipped = false;
    let reason = timeout(Duration::from_secs(60), async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the client says how its session ended");
            if line == "LOGGED IN" {
                server.skip_time(Duration::from_secs(1806));
                skipped = true;
            } else if let Some(reason) = line.strip_prefix("REASON ") {
                break reason.to_owned();
            }
        }
    })
    .await
    .unwrap();
    assert!(skipped);
    assert_eq!(reason, "Your session is closed due to inactivity or cert expiry.");
    client.wait().await.unwrap();
}
