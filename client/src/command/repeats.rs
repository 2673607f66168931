//! Keeps the table "What is sent again" of the crate's documentation true.

use std::fs;
use std::path::Path;

use super::*;

/// What a second time would do, as the documentation tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing: it only reads.
    Reads,
    /// No more than the first: named in the row of what is sent again.
    Again,
    /// It answers with files: named in the row of downloads.
    Download,
    /// Something: named in the row of what is not.
    Never,
    /// No method of a session sends it alone.
    Within,
}

use Class::{Again, Download, Never, Reads, Within};

macro_rules! commands {
    ($($name:ident $(<$life:lifetime>)? $method:literal $class:ident)*) => {
        vec![$((stringify!($name), $method, $class, <$name $(<$life>)? as Command>::REPEATABLE)),*]
    };
}

/// Every command, the method that sends it, its class, and whether the code sends it again.
fn commands() -> Vec<(&'static str, &'static str, Class, bool)> {
    commands! {
        AbortJob<'_> "abort_job" Again
        AddStudySite<'_> "add_study_site" Again
        AddStudyUser<'_> "add_study_user" Never
        AdmitClient<'_> "enable_client" Again
        AppCommand<'_> "do_app_command" Never
        CertLogin<'_> "" Within
        CheckStatus<'_> "check_status" Reads
        ClientJobStatus<'_> "get_client_job_status" Reads
        CloneJob<'_> "clone_job" Never
        Commands "" Within
        ConfigureJobLog<'_> "configure_job_log" Again
        ConfigureSiteLog<'_> "configure_site_log" Again
        DeleteJob<'_> "delete_job" Never
        DownloadComponents<'_> "download_job_components" Download
        DownloadJob<'_> "download_job_result" Download
        GetJobLog<'_> "get_job_logs" Reads
        GetJobMeta<'_> "get_job_meta" Reads
        GetSystemInfo "get_system_info" Reads
        Grep<'_> "grep_target" Reads
        List<'_> "ls_target" Reads
        ListJobComponents<'_> "list_job_components" Reads
        ListJobs<'_> "list_jobs" Reads
        ListJobsDetailed<'_> "list_jobs_detailed" Reads
        ListStudies "list_studies" Reads
        Logout "" Within
        PrintDirectory<'_> "get_working_directory" Reads
        Read<'_> "cat_target" Reads
        RegisterStudy<'_> "register_study" Again
        RemoveClient<'_> "remove_client" Never
        RemoveStudy<'_> "remove_study" Never
        RemoveStudySite<'_> "remove_study_site" Again
        RemoveStudyUser<'_> "remove_study_user" Never
        ReportEnvironment<'_> "get_client_env" Reads
        ReportResources<'_> "report_resources" Reads
        ReportVersion<'_> "report_version" Reads
        ResetErrors<'_> "reset_errors" Again
        Restart<'_> "restart" Never
        ShowErrors<'_> "show_errors" Reads
        ShowStats<'_> "show_stats" Reads
        ShowStudy<'_> "show_study" Reads
        Shutdown<'_> "shutdown" Never
        SiteTokens "" Within
        Touch "" Within
    }
}

/// The row of the table in the crate's documentation that holds `mark`.
fn row(mark: &str) -> &'static str {
    let table = include_str!("../lib.rs").lines().filter(|line| line.starts_with("//! |"));
    let mut rows = table.filter(|line| line.contains(mark));
    let row = rows.next().unwrap_or_else(|| panic!("no row with {mark:?}"));
    assert!(rows.next().is_none(), "more than one row with {mark:?}");
    row
}

#[test]
fn every_command_stands_in_the_table_in_the_class_that_the_code_has_it_in() {
    let rows =
        [(Again, row("whatever only reads")), (Download, row("the piece is asked for")), (Never, row("may_have_run"))];
    for (name, method, class, is_repeatable) in commands() {
        match class {
            Reads | Again | Download => assert!(is_repeatable, "{name} is not sent again"),
            Never => assert!(!is_repeatable, "{name} is sent again"),
            Within => {}
        }
        for (of, row) in rows {
            let is_named = row.contains(&format!("(Session::{method})"));
            assert_eq!(is_named, !method.is_empty() && class == of, "{name} ({class:?}) in {row}");
        }
    }
}

#[test]
fn no_command_is_missing_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("impl Command for "));
        found.extend(names.map(|name| name.split(['<', ' ']).next().unwrap().to_owned()));
    }
    found.sort();
    let listed: Vec<&str> = commands().iter().map(|(name, ..)| *name).collect();
    assert_eq!(found, listed);
}
