//! Sites.

use super::Session;
use crate::Result;
use crate::command::{ClientJobStatus, ReportEnvironment, ReportResources, ReportVersion};
use crate::model::{ResourceReport, SiteEnvironment, SiteJob, SiteName, SiteVersion, Targets};

/// Sites.
impl Session {
    /// What runs on these sites, or on all when none is named: one entry per job, or one that says why there is none.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// for entry in session.get_client_job_status(&[]).await? {
    ///     println!("{}: {:?} {:?}", entry.site, entry.job_id, entry.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget), [`NoSites`](crate::ErrorKind::NoSites), and those of
    /// [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_client_job_status(&self, sites: &[SiteName]) -> Result<Vec<SiteJob>> {
        self.run(&ClientJobStatus(sites)).await
    }

    /// The resources of the server, of sites, or of everything. A site that refuses says so in its entry.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// for report in session.report_resources(&Targets::All).await? {
    ///     println!("{}: {}", report.site, report.resources);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget), [`NoSites`](crate::ErrorKind::NoSites),
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn report_resources(&self, targets: &Targets) -> Result<Vec<ResourceReport>> {
        self.run(&ReportResources(targets)).await
    }

    /// The releases that the server and sites run (servers from 2.8 on). A site that refuses says so in its entry.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// for report in session.report_version(&Targets::All).await? {
    ///     println!("{}: {:?} {:?}", report.site, report.version, report.problem);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::report_resources`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn report_version(&self, targets: &Targets) -> Result<Vec<SiteVersion>> {
        self.run(&ReportVersion(targets)).await
    }

    /// The environment of these sites, or of all when none is named. A site that refuses says so in its entry.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// for environment in session.get_client_env(&["site-1".parse()?]).await? {
    ///     println!("{} runs in {:?}", environment.site, environment.workspace);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::report_resources`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_client_env(&self, sites: &[SiteName]) -> Result<Vec<SiteEnvironment>> {
        self.run(&ReportEnvironment(sites)).await
    }
}
