//! The program with `--state-dir`: killed or ended, and started again on the same port.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod raw_client;
mod serving;

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flare_wire::RequestError;
use flare_wire::cell::ReturnCode;
use flare_wire::endpoint::OutgoingRequest;
use flare_wire::hci::{Reply, Request};
use flare_wire::transfer::upload::{self, Piece, PieceReply, UploadContext};
use raw_client::{PATIENCE, Papers, RawClient, command};
use serde_json::Value;
use serving::Serving;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Users that submit at the same time, and jobs that have to be acknowledged before the server is killed.
const USERS: usize = 4;
const ENOUGH: usize = 40;

/// A server's workspace and state, which outlive its processes.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let path = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let (workspace, state, port) = (path("ws"), path("state"), port.to_string());
        // Nobody waits for these jobs, so none of them runs.
        let options = ["serve", "--workspace", &workspace, "--state-dir", &state, "--port", &port, "--clock", "manual"];
        options.map(str::to_owned).to_vec()
    }

    fn serve(&self, port: u16) -> Serving {
        let arguments = self.arguments(port);
        Serving::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same, when no file may become larger than this.
    fn serve_with_files_up_to(&self, kibibytes: u32, port: u16) -> Serving {
        let mut command = Command::new("bash");
        // Without the signal that goes with it, writing beyond the limit is an error like that of a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_flare-simserver")]).args(self.arguments(port));
        Serving::run(&mut command)
    }

    fn archives(&self) -> usize {
        std::fs::read_dir(self.0.path().join("state/archives")).unwrap().count()
    }
}

async fn connect(port: u16, kits: &Path) -> RawClient {
    let papers = Papers::of_kit(&kits.join("admin@nvidia.com"));
    let mut client = RawClient::connect(port, &papers, None).await;
    client.register("example_project").await.unwrap();
    client
}

fn request(session: &str, line: &str) -> Request {
    Request { token: Some(session.to_owned()), ..Request::new(line) }
}

fn archive(name: &str) -> Vec<u8> {
    let meta = format!(r#"{{"name": "{name}", "min_clients": 1, "deploy_map": {{"app": ["@ALL"]}}}}"#);
    let server = r#"{"format_version": 2, "workflows": []}"#;
    let client = r#"{"format_version": 2, "executors": []}"#;
    let files = [
        ("meta.json", meta.as_str()),
        ("app/config/config_fed_server.json", server),
        ("app/config/config_fed_client.json", client),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for directory in ["", "app/", "app/config/"] {
        zip.add_directory(format!("{name}/{directory}"), SimpleFileOptions::default()).unwrap();
    }
    for (path, content) in files {
        zip.start_file(format!("{name}/{path}"), SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Submits the job `name` with a token of the same name; returns the id that the server tells.
async fn submit(client: &mut RawClient, session: &str, name: &str) -> Result<String, RequestError> {
    let data = archive(name);
    let context = UploadContext {
        request: request(session, &format!("submit_job {name} --submit-token {name}")).to_json(),
        file_size: data.len() as u64,
        file_name: "job.zip".to_owned(),
    };
    let piece = Piece {
        transaction: name.to_owned(),
        sequence: 0,
        context: Some(context),
        size: data.len() as u64,
        data: data.into(),
        eof: true,
        has_peer_props: true,
    };
    let payload = piece.into_payload("admin@nvidia.com");
    let sent = OutgoingRequest::streamed(upload::CHANNEL, upload::REQUEST, payload);
    let response = client.ask(sent, PATIENCE).await?;
    let reply = PieceReply::from_value(&response.payload.value().unwrap()).unwrap();
    let reply = Reply::parse(&reply.end_result.unwrap()).unwrap();
    let job_id = reply.meta.get("job_id").and_then(Value::as_str);
    Ok(job_id.unwrap_or_else(|| panic!("{name}: {}", reply.to_json())).to_owned())
}

async fn job_names(client: &mut RawClient, session: &str) -> BTreeMap<String, String> {
    let reply = client.reply(command(&request(session, "list_jobs"))).await;
    let meta = &reply.meta;
    let text = |job: &Value, key: &str| job[key].as_str().unwrap().to_owned();
    meta["jobs"].as_array().unwrap().iter().map(|job| (text(job, "job_id"), text(job, "job_name"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_that_was_acknowledged_outlives_sigkill_and_every_token_is_one_job() {
    let home = Home::new();
    let serving = home.serve(0);
    let (port, kits) = (serving.port(), serving.kits().to_owned());
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..USERS)
        .map(|user| {
            let (kits, acknowledged) = (kits.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut client = connect(port, &kits).await;
                let session = client.log_in().await;
                let (mut jobs, mut number) = (BTreeMap::new(), 0);
                // Until the connection breaks in the middle of one.
                loop {
                    let name = format!("job-{user}-{number}");
                    number += 1;
                    match submit(&mut client, &session, &name).await {
                        Ok(job_id) => drop(jobs.insert(name, job_id)),
                        Err(_) => return (jobs, name),
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while acknowledged.load(Ordering::Relaxed) < ENOUGH {
        assert!(users.iter().all(|user| !user.is_finished()), "a connection broke before the server was killed");
        tokio::task::yield_now().await;
    }
    assert_eq!(serving.end("-KILL"), None);
    let (mut jobs, mut cut_short) = (BTreeMap::new(), Vec::new());
    for user in users {
        let (of_user, last) = user.await.unwrap();
        jobs.extend(of_user);
        cut_short.push(last);
    }
    assert!(jobs.len() >= ENOUGH);

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    let session = client.log_in().await;
    let found = job_names(&mut client, &session).await;
    for (name, job_id) in &jobs {
        assert_eq!(found.get(job_id), Some(name), "it was acknowledged");
        assert_eq!(submit(&mut client, &session, name).await.as_ref(), Ok(job_id), "its token is known");
    }
    for name in &cut_short {
        let job_id = submit(&mut client, &session, name).await.unwrap();
        assert!(found.get(&job_id).is_none_or(|found| found == name));
    }
    let all = job_names(&mut client, &session).await;
    assert_eq!(all.len(), jobs.len() + cut_short.len(), "one job for every token");
    assert_eq!(home.archives(), all.len(), "and one archive for every job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_after_the_program_was_ended_and_started_again() {
    let home = Home::new();
    let serving = home.serve(0);
    let port = serving.port();
    let mut client = connect(port, serving.kits()).await;
    let session = client.log_in().await;
    let kept = submit(&mut client, &session, "kept").await.unwrap();
    let deleted = submit(&mut client, &session, "deleted").await.unwrap();
    client.reply(command(&request(&session, &format!("delete_job {deleted}")))).await;
    assert_eq!(serving.end("-TERM"), Some(0));

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    let found = job_names(&mut client, &session).await;
    assert_eq!(found, BTreeMap::from([(kept.clone(), "kept".to_owned())]));
    assert_eq!(home.archives(), 1);
    let reply = client.reply(command(&request(&session, &format!("clone_job {kept}")))).await;
    let clone = reply.meta["job_id"].as_str().unwrap().to_owned();
    client.reply(command(&request(&session, &format!("delete_job {kept}")))).await;
    assert_eq!(serving.end("-KILL"), None);

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    assert_eq!(job_names(&mut client, &session).await.into_keys().collect::<Vec<_>>(), [clone]);
    assert_eq!(home.archives(), 1, "the clone needs the archive of its original");
    drop(serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_and_disabled_clients_outlive_sigkill() {
    let home = Home::new();
    let serving = home.serve(0);
    let port = serving.port();
    let mut client = connect(port, serving.kits()).await;
    let session = client.log_in().await;
    for line in ["register_study trial --site-org nvidia:site-1", "disable_client site-2 ghost"] {
        client.reply(command(&request(&session, line))).await;
    }
    assert_eq!(serving.end("-KILL"), None);

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    let mut ask = async |line: &str| client.reply(command(&request(&session, line))).await.to_json();
    let shown = ask("show_study trial").await;
    assert!(shown.contains(r#""site_orgs": {"nvidia": ["site-1"]}"#), "{shown}");
    let status = ask("check_status server").await;
    assert!(status.contains("Registered clients: 1 "), "{status}");
    let files = ask("cat server study_registry.json").await;
    assert!(files.contains("trial"), "{files}");
    let files = ask("cat server disabled_clients.json").await;
    assert!(files.contains("ghost") && files.contains("site-2"), "{files}");
    let enabled = ask("enable_client ghost").await;
    assert!(enabled.contains(r#""was_disabled": true"#), "{enabled}");
    drop(serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_logged_outlives_sigkill() {
    let home = Home::new();
    let serving = home.serve(0);
    let port = serving.port();
    let mut client = connect(port, serving.kits()).await;
    let session = client.log_in().await;
    let mut shown = Vec::new();
    for file in ["audit.log", "log.txt", "log.json"] {
        let log = client.reply(command(&request(&session, &format!("cat server {file}")))).await;
        shown.push((file, text(&log)));
    }
    client.reply(command(&request(&session, "list_jobs --said-last"))).await;
    assert_eq!(serving.end("-KILL"), None);

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    for (file, before) in shown {
        let log = client.reply(command(&request(&session, &format!("cat server {file}")))).await;
        let after = text(&log);
        assert!(after.starts_with(&before), "{file}: {before} became {after}");
        // The line of the last command before the end, or those of the second start.
        let what = if file == "audit.log" { "[A:list_jobs --said-last]" } else { "Admin Server is started" };
        let seen = after.matches(what).count();
        assert_eq!(seen, if file == "audit.log" { 1 } else { 2 }, "{file}: {after}");
    }
    drop(serving);
}

/// What a reply says, without what comes after the last line.
fn text(reply: &Reply) -> String {
    let reply: Value = serde_json::from_str(&reply.to_json()).unwrap();
    let items = reply["data"].as_array().unwrap();
    items.iter().filter(|item| item["type"] == "string").filter_map(|item| item["data"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_is_not_acknowledged() {
    let home = Home::new();
    // The store takes some more than 4 MiB in the beginning.
    let serving = home.serve_with_files_up_to(6 * 1024, 0);
    let port = serving.port();
    let mut client = connect(port, serving.kits()).await;
    let session = client.log_in().await;
    let filler = "x".repeat(100_000);
    let mut acknowledged = Vec::new();
    let (code, text) = loop {
        let name = format!("trial-{}", acknowledged.len());
        let registered = request(&session, &format!("register_study {name} --site-org nvidia:site-1"));
        client.reply(command(&registered)).await;
        acknowledged.push(name.clone());
        let user = request(&session, &format!("add_study_user {name} {filler}"));
        match client.ask(command(&user), PATIENCE).await {
            Ok(_) => assert!(acknowledged.len() < 1000, "the limit does not hold"),
            Err(RequestError::Failed { code, text }) => break (code, text),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(code, ReturnCode::ProcessException);
    assert!(text.starts_with("cannot use the store in ") && text.contains("File too large"), "{text}");
    let listed = client.ask(command(&request(&session, "list_jobs")), PATIENCE).await;
    assert!(matches!(listed, Err(RequestError::Failed { .. })), "until it can be written nothing is acknowledged");
    assert_eq!(serving.end("-KILL"), None);

    let serving = home.serve(port);
    let mut client = connect(port, serving.kits()).await;
    for name in acknowledged {
        let shown = client.reply(command(&request(&session, &format!("show_study {name}")))).await.to_json();
        assert!(shown.contains("site_orgs"), "{name} was acknowledged: {shown}");
    }
    drop(serving);
}
