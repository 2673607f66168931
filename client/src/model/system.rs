//! The state of the whole system.

use std::time::SystemTime;

use flare_wire::hci::JsonObject;

use super::fields::Fields;
use super::{SiteInfo, SiteJob};

/// The server, the sites registered with it and the jobs it runs.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SystemInfo {
    /// The server.
    pub server: ServerInfo,
    /// The registered sites, in the order of their registration.
    pub sites: Vec<SiteInfo>,
    /// The jobs that run.
    pub jobs: Vec<JobInfo>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SystemInfo {
    pub(crate) fn read(meta: JsonObject) -> Self {
        let SystemStatus { server, sites, jobs, site_jobs: _, extra } = SystemStatus::read(meta);
        Self { server, sites, jobs, extra }
    }
}

/// The state of the server.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerInfo {
    /// Whether it runs jobs; `None` when the server was not asked.
    pub status: Option<ServerStatus>,
    /// When it was started.
    pub start_time: Option<SystemTime>,
}

/// Whether the server runs jobs.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerStatus {
    /// No job runs.
    Stopped,
    /// At least one job runs.
    Started,
    /// A word that this library does not know.
    Other(String),
}

impl From<String> for ServerStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "stopped" => Self::Stopped,
            "started" => Self::Started,
            _ => Self::Other(text),
        }
    }
}

/// A job that runs on the server.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobInfo {
    /// The app.
    pub app_name: Option<String>,
    /// The job.
    pub job_id: String,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl JobInfo {
    fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            app_name: fields.text("app_name"),
            job_id: fields.text("job_id").unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

/// What `check_status` reports: parts that were not asked for are empty.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SystemStatus {
    /// The server.
    pub server: ServerInfo,
    /// The registered sites, when the server was asked.
    pub sites: Vec<SiteInfo>,
    /// The jobs that run, when the server was asked.
    pub jobs: Vec<JobInfo>,
    /// What runs on the sites, when they were asked.
    pub site_jobs: Vec<SiteJob>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SystemStatus {
    pub(crate) fn read(mut meta: JsonObject) -> Self {
        // These two are the verdict on the command, not a part of its result.
        meta.shift_remove("status");
        meta.shift_remove("info");
        let mut fields = Fields::of(meta);
        Self {
            server: ServerInfo {
                status: fields.text("server_status").map(ServerStatus::from),
                start_time: fields.time("server_start_time"),
            },
            sites: fields.objects("clients", SiteInfo::read).unwrap_or_default(),
            jobs: fields.objects("jobs", JobInfo::read).unwrap_or_default(),
            site_jobs: fields.objects("client_status", SiteJob::read).unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

/// A command that the server offers.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandDescription {
    /// The group it belongs to.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How it is written.
    pub usage: String,
    /// How a console asks back: `none`, `yesno` or `auth`.
    pub confirm: String,
    /// The function of the client that carries it out, for commands that move files.
    pub client_command: Option<String>,
    /// Whether a console shows it.
    pub visible: bool,
}
