//! What the server says about sites, and what sites say about themselves.

use std::time::SystemTime;

use flare_wire::hci::JsonObject;

use super::fields::Fields;

/// A site that is registered with the server (upstream's `ClientInfo`).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteInfo {
    /// The site's name.
    pub name: String,
    /// When the server last heard of it.
    pub last_connect_time: Option<SystemTime>,
    /// Its address in the cell network; the name, unless it sits behind a relay.
    pub fqcn: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SiteInfo {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            name: fields.text("client_name").unwrap_or_default(),
            last_connect_time: fields.time("client_last_conn_time"),
            fqcn: fields.text("fqcn"),
            extra: fields.extra(),
        }
    }
}

/// One job on one site, or the reason why there is none to tell about.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct SiteJob {
    /// The site's name.
    pub site: String,
    /// The app that runs there.
    pub app_name: Option<String>,
    /// The job that runs there.
    pub job_id: Option<String>,
    /// How it is.
    pub status: SiteJobStatus,
    /// What this library does not know.
    pub extra: JsonObject,
}

/// The state of a job on a site.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SiteJobStatus {
    /// The job runs.
    Started,
    /// No job runs on this site.
    NoJobs,
    /// The site did not answer.
    NoReply,
    /// The site refused or failed.
    Error,
    /// A word that this library does not know.
    Other(String),
}

impl From<String> for SiteJobStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "started" => Self::Started,
            "no_jobs" => Self::NoJobs,
            "no_reply" => Self::NoReply,
            "error" => Self::Error,
            _ => Self::Other(text),
        }
    }
}

impl SiteJob {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            site: fields.text("client_name").unwrap_or_default(),
            app_name: fields.text("app_name"),
            job_id: fields.text("job_id"),
            status: fields.text("status").unwrap_or_default().into(),
            extra: fields.extra(),
        }
    }
}

/// The environment of a site.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteEnvironment {
    /// The site's name.
    pub site: String,
    /// The folder it runs in.
    pub workspace: Option<String>,
    /// Whether it talks to the server with certificates.
    pub secure_mode: Option<bool>,
    /// The address it connects to.
    pub root_url: Option<String>,
    /// What the site or the server said instead, when it refused or did not answer.
    pub problem: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SiteEnvironment {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            site: fields.text("site_name").unwrap_or_default(),
            workspace: fields.text("workspace"),
            secure_mode: fields.flag("secure_mode"),
            root_url: fields.text("root_url"),
            problem: None,
            extra: fields.extra(),
        }
    }

    pub(crate) fn problem(site: String, problem: String) -> Self {
        Self { site, problem: Some(problem), ..Self::default() }
    }
}

/// The release that the server or a site runs.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteVersion {
    /// `server`, or the site's name.
    pub site: String,
    /// The release.
    pub version: Option<String>,
    /// Why it is not known: the site refused or did not answer.
    pub problem: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SiteVersion {
    pub(crate) fn read(site: String, object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self { site, version: fields.text("version"), problem: fields.text("error"), extra: fields.extra() }
    }
}

/// What the server or a site says about its resources.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceReport {
    /// `server`, or the site's name.
    pub site: String,
    /// Free text: `unlimited` for the server, a Python dictionary as Python prints it for a site, or the reason why
    /// there is none.
    pub resources: String,
}
