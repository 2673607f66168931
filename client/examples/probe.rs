//! Calls every read method once and prints what it gives: `cargo run --example probe -- KIT_FOLDER [SITE] [JOB_ID]`.
//!
//! For trying the library on a real federation; nothing it does changes the federation.

use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Instant;

use flare_client::{FileName, JobId, JobQuery, Result, Session, ShellOptions, SiteName, StartupKit, Target, Targets};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program tells its user what went wrong")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: probe KIT_FOLDER [SITE] [JOB_ID]");
        return ExitCode::from(2);
    };
    match probe(folder, arguments.get(1).map_or("site-1", String::as_str), arguments.get(2)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn probe(folder: &str, site: &str, job: Option<&String>) -> Result<()> {
    let started = Instant::now();
    let session = Session::builder(StartupKit::open(folder)?).connect().await?;
    show("connect", started, Ok(session.commands().len()));

    let sites = [SiteName::new(site)?];
    let server = Target::Server;
    let site = Target::site(site)?;
    let log: FileName = "log.txt".parse()?;
    let none = ShellOptions::none();
    let two_lines: ShellOptions = "-n 2".parse()?;
    let job = JobId::new(job.map_or("00000000-0000-4000-8000-000000000000", String::as_str))?;

    macro_rules! call {
        ($name:literal, $call:expr) => {{
            let started = Instant::now();
            show($name, started, $call.await);
        }};
    }
    call!("get_system_info", session.get_system_info());
    call!("get_connected_client_list", session.get_connected_client_list());
    call!("get_client_job_status", session.get_client_job_status(&[]));
    call!("get_client_job_status site", session.get_client_job_status(&sites));
    call!("check_status all", session.check_status(&Targets::All));
    call!("check_status nosite", session.check_status(&Targets::sites(["nosite"])?));
    call!("report_resources all", session.report_resources(&Targets::All));
    call!("report_version all", session.report_version(&Targets::All));
    call!("get_client_env", session.get_client_env(&[]));
    call!("list_jobs", session.list_jobs(&JobQuery::new()));
    call!("list_jobs odd name", session.list_jobs(&JobQuery::new().name_prefix("-it's #1 \"of\" \\ 2")?));
    call!("list_jobs own reverse", session.list_jobs(&JobQuery::new().own().reverse().limit(1)));
    call!("list_jobs_detailed", session.list_jobs_detailed(&JobQuery::new().limit(1)));
    call!("get_job_meta", session.get_job_meta(&job));
    call!("list_studies", session.list_studies());
    for target in [&server, &site] {
        call!("get_working_directory", session.get_working_directory(target));
        call!("ls_target", session.ls_target(target, &none, None));
        call!("ls_target options", session.ls_target(target, &"-l -a".parse()?, Some(&"local".parse()?)));
        call!("ls_target bad option", session.ls_target(target, &"-z".parse()?, None));
        call!("cat_target missing", session.cat_target(target, &none, &"nofile.txt".parse()?));
        call!("cat_target", session.cat_target(target, &"-n".parse()?, &"local/privacy.json".parse()?));
        call!("head_target", session.head_target(target, &two_lines, &log));
        call!("tail_target", session.tail_target(target, &two_lines, &log));
        call!("grep_target", session.grep_target(target, &"-n -i".parse()?, "it's #\"1\"", &log));
        call!("head_target_log", session.head_target_log(target, &two_lines));
        call!("tail_target_log", session.tail_target_log(target, &two_lines));
    }
    call!("get_available_apps_to_upload", session.get_available_apps_to_upload());
    call!("do_command", session.do_command("list_sessions"));
    call!("do_command unknown", session.do_command("no_such_command"));

    let started = Instant::now();
    session.close().await;
    show("close", started, Ok(()));
    call!("after close", session.get_system_info());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the output is what the program is for")]
fn show<T: Debug>(name: &str, started: Instant, result: Result<T>) {
    let elapsed = started.elapsed().as_secs_f64() * 1000.0;
    match result {
        Ok(value) => println!("{name} [{elapsed:.1} ms]: {value:?}"),
        Err(error) => println!("{name} [{elapsed:.1} ms] failed: {:?}: {}", error.kind(), chain(&error)),
    }
}

fn chain(error: &flare_client::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match error.hint() {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}
