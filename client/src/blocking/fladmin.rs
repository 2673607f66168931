//! The methods of [`crate::fladmin`] with a wait around them.

use std::path::Path;

use super::Session;
use super::runtime::Runtime;
use crate::fladmin::{CommandResult, FlAdminApiResponse, RunStep, StatusReading, TargetType, WaitOptions};
use crate::{Result, SessionBuilder, StartupKit, fladmin};

/// The older API: [`crate::fladmin::FlAdminApi`] for programs without a runtime. All of its methods are here by their names,
/// and none fails: inside a runtime, where it may not wait, a call gives `ERROR_RUNTIME`, which says so.
#[derive(Debug, Clone)]
pub struct FlAdminApi {
    inner: fladmin::FlAdminApi,
    runtime: Runtime,
}

macro_rules! forward {
    ($(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $output:ident;)+) => {
        impl FlAdminApi {
            $(
                #[doc = concat!(
                    "Waits for [`FlAdminApi::", stringify!($name), "`](crate::fladmin::FlAdminApi::", stringify!($name), ")."
                )]
                pub fn $name(&self $(, $argument: $type)*) -> $output {
                    self.runtime.wait(self.inner.$name($($argument),*)).unwrap_or_else(|error| $output::refused(&error))
                }
            )+
        }
    };
}

forward! {
    fn login(&self) -> CommandResult;
    fn do_command(&self, line: &str) -> CommandResult;
    fn check_status(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn submit_job(&self, job_folder: &str) -> FlAdminApiResponse;
    fn clone_job(&self, job_id: &str) -> FlAdminApiResponse;
    fn list_jobs(&self, options: Option<&str>) -> FlAdminApiResponse;
    fn download_job(&self, job_id: &str) -> FlAdminApiResponse;
    fn abort_job(&self, job_id: &str) -> FlAdminApiResponse;
    fn delete_job(&self, job_id: &str) -> FlAdminApiResponse;
    fn abort(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn show_stats(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn show_errors(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn reset_errors(&self, job_id: &str) -> FlAdminApiResponse;
    fn get_connected_client_list(&self) -> FlAdminApiResponse;
    fn restart(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn shutdown(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse;
    fn shutdown_system(&self) -> FlAdminApiResponse;
    fn remove_client(&self, targets: &[&str]) -> FlAdminApiResponse;
    fn set_timeout(&self, seconds: f64) -> FlAdminApiResponse;
    fn get_available_apps_to_upload(&self) -> FlAdminApiResponse;
    fn list_sp(&self) -> FlAdminApiResponse;
    fn get_active_sp(&self) -> FlAdminApiResponse;
    fn promote_sp(&self, sp_end_point: &str) -> FlAdminApiResponse;
    fn ls_target(&self, target: &str, options: Option<&str>, path: Option<&str>) -> FlAdminApiResponse;
    fn cat_target(&self, target: &str, options: Option<&str>, file: &str) -> FlAdminApiResponse;
    fn tail_target_log(&self, target: &str, options: Option<&str>) -> FlAdminApiResponse;
    fn get_working_directory(&self, target: &str) -> FlAdminApiResponse;
    fn grep_target(&self, target: &str, options: Option<&str>, pattern: &str, file: &str) -> FlAdminApiResponse;
    fn wait_until_server_status(&self, options: WaitOptions, callback: impl FnMut(&FlAdminApiResponse) -> bool) -> FlAdminApiResponse;
    fn wait_until_client_status(&self, options: WaitOptions, callback: impl FnMut(&FlAdminApiResponse) -> bool) -> FlAdminApiResponse;
    fn wait_until_server_stats(&self, job_id: &str, options: WaitOptions, callback: impl FnMut(&FlAdminApiResponse) -> bool) -> FlAdminApiResponse;
}

/// The older API on a session that is open already; [`FlAdminApi::logout`] ends that.
impl From<Session> for FlAdminApi {
    fn from(session: Session) -> Self {
        let (session, runtime) = session.parts();
        Self { inner: session.into(), runtime }
    }
}

impl FlAdminApi {
    /// With this kit; nothing is sent before the first call.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn new(kit: StartupKit) -> Result<Self> {
        Self::with(crate::Session::builder(kit))
    }

    /// With these settings; nothing is sent before the first call.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn with(builder: SessionBuilder) -> Result<Self> {
        Ok(Self { inner: builder.into(), runtime: Runtime::start()? })
    }

    /// [`FlAdminApi::reading`](fladmin::FlAdminApi::reading).
    #[must_use]
    pub fn reading(self, reading: StatusReading) -> Self {
        Self { inner: self.inner.reading(reading), runtime: self.runtime }
    }

    /// The session below, logged in: [`FlAdminApi::session`](fladmin::FlAdminApi::session).
    ///
    /// # Errors
    /// Those of the asynchronous method; [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn session(&self) -> Result<Session> {
        let session = self.runtime.wait(self.inner.session())??;
        Ok(Session::of(session, self.runtime.clone()))
    }

    /// Logs out: [`FlAdminApi::logout`](fladmin::FlAdminApi::logout).
    pub fn logout(&self) -> Option<CommandResult> {
        self.runtime.wait(self.inner.logout()).unwrap_or_else(|error| Some(CommandResult::refused(&error)))
    }
}

/// From an admin's folder to a job that has run: [`crate::fladmin::FlAdminApiRunner`] for programs without a runtime.
#[derive(Debug, Clone)]
pub struct FlAdminApiRunner {
    inner: fladmin::FlAdminApiRunner,
    api: FlAdminApi,
}

impl FlAdminApiRunner {
    /// Reads the kit and logs in.
    ///
    /// # Errors
    /// Those of [`FlAdminApiRunner::start`](fladmin::FlAdminApiRunner::start); [`Unsupported`](crate::ErrorKind::Unsupported)
    /// inside a runtime.
    pub fn start(username: &str, admin_dir: impl AsRef<Path>) -> Result<Self> {
        let runtime = Runtime::start()?;
        let inner = runtime.wait(fladmin::FlAdminApiRunner::start(username, admin_dir))??;
        let api = FlAdminApi { inner: inner.api().clone(), runtime };
        Ok(Self { inner, api })
    }

    /// The API.
    #[must_use]
    pub fn api(&self) -> &FlAdminApi {
        &self.api
    }

    /// [`FlAdminApiRunner::run`](fladmin::FlAdminApiRunner::run).
    pub fn run(&self, job_folder: &str, wait: WaitOptions, observe: impl FnMut(&RunStep)) -> FlAdminApiResponse {
        let run = self.inner.run(job_folder, wait, observe);
        self.api.runtime.wait(run).unwrap_or_else(|error| FlAdminApiResponse::refused(&error))
    }

    /// Logs out.
    pub fn close(&self) {
        self.api.logout();
    }
}
