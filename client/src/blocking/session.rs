//! The methods of [`crate::Session`] with a wait around them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::prepared::{JobWatch, Prepared};
use super::runtime::Runtime;
use crate::{
    Download, FileName, FolderPath, JobId, JobLogsQuery, JobMeta, JobQuery, JobStatus, JobSummary, JsonObject,
    LogConfig, MonitorOptions, MonitorReturnCode, Reply, ResourceReport, Result, SessionBuilder, ShellOptions,
    SiteAdmission, SiteInfo, SiteJob, SiteName, SiteResponse, SiteVersion, StartupKit, Study, StudyListing, StudyName,
    StudySiteChange, StudySites, StudyUser, SubmitJob, SystemInfo, SystemRestart, SystemShutdown, SystemStatus, Target,
    Targets,
};

/// A session with a FLARE server: [`crate::Session`] for programs without a runtime. All of its methods are here by their
/// names. Cheap to clone; all clones are the same session.
#[derive(Debug, Clone)]
pub struct Session {
    inner: crate::Session,
    runtime: Runtime,
}

impl SessionBuilder {
    /// [`connect`](Self::connect) for programs without a runtime.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn connect_blocking(self) -> Result<Session> {
        let runtime = Runtime::start()?;
        let inner = runtime.wait(self.connect())??;
        Ok(Session { inner, runtime })
    }
}

macro_rules! forward {
    ($(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $output:ty;)+) => {
        impl Session {
            $(
                #[doc = concat!("Waits for [`Session::", stringify!($name), "`](crate::Session::", stringify!($name), ").")]
                ///
                /// # Errors
                /// Those of the asynchronous method; [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
                pub fn $name(&self $(, $argument: $type)*) -> Result<$output> {
                    self.runtime.wait(self.inner.$name($($argument),*))?
                }
            )+
        }
    };
}

macro_rules! prepare {
    ($(fn $name:ident(&self, $argument:ident: $type:ty) -> $output:ty;)+) => {
        impl Session {
            $(
                #[doc = concat!("Prepares [`Session::", stringify!($name), "`](crate::Session::", stringify!($name), ").")]
                pub fn $name(&self, $argument: $type) -> Prepared<$output> {
                    Prepared::new(&self.runtime, self.inner.$name($argument))
                }
            )+
        }
    };
}

forward! {
    fn do_command(&self, line: &str) -> Reply;
    fn list_jobs(&self, query: &JobQuery) -> Vec<JobSummary>;
    fn list_jobs_detailed(&self, query: &JobQuery) -> Vec<JobMeta>;
    fn get_job_meta(&self, job_id: &JobId) -> JobMeta;
    fn get_job_status(&self, job_id: &JobId) -> Option<JobStatus>;
    fn clone_job(&self, job_id: &JobId) -> JobId;
    fn abort_job(&self, job_id: &JobId) -> String;
    fn delete_job(&self, job_id: &JobId) -> crate::DeletedJob;
    fn list_job_components(&self, job_id: &JobId) -> Vec<String>;
    fn show_stats(&self, job_id: &JobId, targets: &Targets) -> JsonObject;
    fn show_errors(&self, job_id: &JobId, targets: &Targets) -> JsonObject;
    fn reset_errors(&self, job_id: &JobId) -> ();
    fn do_app_command(&self, job_id: &JobId, topic: &str, data: &Value) -> JsonObject;
    fn configure_job_log(&self, job_id: &JobId, config: &LogConfig, targets: &Targets) -> ();
    fn monitor_job(&self, job_id: &JobId, options: &MonitorOptions, callback: impl FnMut(&JobMeta) -> bool) -> MonitorReturnCode;
    fn monitor_job_and_return_job_meta(&self, job_id: &JobId, options: &MonitorOptions, callback: impl FnMut(&JobMeta) -> bool) -> (MonitorReturnCode, Option<JobMeta>);
    fn wait_for_job(&self, job_id: &JobId, options: &MonitorOptions) -> JobMeta;
    fn disable_client(&self, site: &SiteName) -> SiteAdmission;
    fn enable_client(&self, site: &SiteName) -> SiteAdmission;
    fn remove_client(&self, site: &SiteName) -> ();
    fn configure_site_log(&self, config: &LogConfig, targets: &Targets) -> Vec<SiteResponse>;
    fn shutdown_system(&self) -> ();
    fn get_client_job_status(&self, sites: &[SiteName]) -> Vec<SiteJob>;
    fn report_resources(&self, targets: &Targets) -> Vec<ResourceReport>;
    fn report_version(&self, targets: &Targets) -> Vec<SiteVersion>;
    fn get_client_env(&self, sites: &[SiteName]) -> Vec<crate::SiteEnvironment>;
    fn get_working_directory(&self, target: &Target) -> String;
    fn ls_target(&self, target: &Target, options: &ShellOptions, path: Option<&FolderPath>) -> String;
    fn cat_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> String;
    fn head_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> String;
    fn tail_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> String;
    fn grep_target(&self, target: &Target, options: &ShellOptions, pattern: &str, file: &FileName) -> String;
    fn head_target_log(&self, target: &Target, options: &ShellOptions) -> String;
    fn tail_target_log(&self, target: &Target, options: &ShellOptions) -> String;
    fn list_studies(&self) -> StudyListing;
    fn register_study(&self, study: &StudyName, sites: &StudySites) -> Study;
    fn add_study_site(&self, study: &StudyName, sites: &StudySites) -> StudySiteChange;
    fn remove_study_site(&self, study: &StudyName, sites: &StudySites) -> StudySiteChange;
    fn remove_study(&self, study: &StudyName) -> crate::RemovedStudy;
    fn show_study(&self, study: &StudyName) -> Study;
    fn add_study_user(&self, study: &StudyName, user: &str) -> StudyUser;
    fn remove_study_user(&self, study: &StudyName, user: &str) -> StudyUser;
    fn get_system_info(&self) -> SystemInfo;
    fn get_connected_client_list(&self) -> Vec<SiteInfo>;
    fn check_status(&self, targets: &Targets) -> SystemStatus;
    fn get_available_apps_to_upload(&self) -> Vec<String>;
}

prepare! {
    fn submit_job(&self, folder: impl AsRef<Path>) -> SubmitJob;
    fn download_job_result(&self, job_id: &JobId) -> Download;
    fn download_job_components(&self, job_id: &JobId) -> Download;
    fn get_job_logs(&self, job_id: &JobId) -> JobLogsQuery;
    fn restart(&self, targets: &Targets) -> SystemRestart;
    fn shutdown(&self, targets: &Targets) -> SystemShutdown;
}

impl Session {
    /// Begins to open a session with this kit; [`connect_blocking`](SessionBuilder::connect_blocking) opens it.
    pub fn builder(kit: StartupKit) -> SessionBuilder {
        crate::Session::builder(kit)
    }

    pub(super) fn of(inner: crate::Session, runtime: Runtime) -> Self {
        Self { inner, runtime }
    }

    pub(super) fn parts(self) -> (crate::Session, Runtime) {
        (self.inner, self.runtime)
    }

    /// The changes of a job's status: [`Session::watch_job`](crate::Session::watch_job).
    pub fn watch_job(&self, job_id: &JobId) -> JobWatch {
        JobWatch::new(&self.runtime, self.inner.watch_job(job_id))
    }

    /// Logs out and closes the connection: [`Session::close`](crate::Session::close).
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn close(&self) -> Result<()> {
        self.runtime.wait(self.inner.close())
    }

    /// The kit that the session was opened with.
    #[must_use]
    pub fn kit(&self) -> &StartupKit {
        self.inner.kit()
    }

    /// The study that the session sees.
    #[must_use]
    pub fn study(&self) -> &StudyName {
        self.inner.study()
    }

    /// The server that the session is logged in at.
    #[must_use]
    pub fn server(&self) -> crate::ServerEndpoint {
        self.inner.server()
    }

    /// What the server offers, as it said after the latest login.
    #[must_use]
    pub fn commands(&self) -> Arc<[crate::CommandDescription]> {
        self.inner.commands()
    }

    /// [`Session::set_timeout`](crate::Session::set_timeout).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a timeout of zero.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        self.inner.set_timeout(timeout)
    }

    /// [`Session::unset_timeout`](crate::Session::unset_timeout).
    pub fn unset_timeout(&self) {
        self.inner.unset_timeout();
    }

    /// [`Session::is_closed`](crate::Session::is_closed).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}
