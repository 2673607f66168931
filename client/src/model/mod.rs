//! What goes into commands and what replies become.
//!
//! The arguments ([`Target`], [`StudyName`], ...) are parsed once, at the edge, and cannot be wrong afterwards. The
//! results hold in their fields what this release knows, and in `extra` whatever else the server said, including
//! a known field of an unexpected shape: nothing is lost when a server is newer than this library.

mod client;
pub(crate) mod fields;
mod job;
mod job_log;
mod name;
mod query;
mod shell;
mod site;
mod study;
mod system;
mod target;

pub use client::{SiteAdmission, SiteResponse, SystemChange};
pub use flare_wire::job::JobStatus;
pub use job::{DeletedJob, DeletedSubmission, JobMeta, JobSummary};
pub use job_log::{JobLogs, LogConfig, LogFile, LogTarget};
pub use name::{JobId, SiteName, StudyName, SubmitToken};
pub use query::JobQuery;
pub use shell::{FileName, FolderPath, ShellOptions};
pub use site::{ResourceReport, SiteEnvironment, SiteInfo, SiteJob, SiteJobStatus, SiteVersion};
pub use study::{Identity, RemovedStudy, Study, StudyDetail, StudyListing, StudySiteChange, StudySites, StudyUser};
pub use system::{CommandDescription, JobInfo, ServerInfo, ServerStatus, SystemInfo, SystemStatus};
pub use target::{Target, Targets};
