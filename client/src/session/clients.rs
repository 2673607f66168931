//! Managing sites.

use super::Session;
use crate::Result;
use crate::command::{AdmitClient, ConfigureSiteLog, RemoveClient};
use crate::model::{LogConfig, SiteAdmission, SiteName, SiteResponse, Targets};

/// Managing sites.
impl Session {
    /// Keeps a site out: its registration ends, and it is not let in until it is enabled again, also after a restart of
    /// the server. A job that runs on it goes on. The name is not checked.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let disabled = session.disable_client(&"site-1".parse()?).await?;
    /// assert_eq!(disabled.state, "disabled");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn disable_client(&self, site: &SiteName) -> Result<SiteAdmission> {
        self.run(&AdmitClient { site, admit: false }).await
    }

    /// Lets a site in again, which then comes back by itself within seconds. The name is not checked.
    ///
    /// A 2.9.0 server does not know the organisation of such a site until the site is restarted, and refuses it in
    /// studies.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let enabled = session.enable_client(&"site-1".parse()?).await?;
    /// println!("was disabled: {:?}", enabled.was_disabled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::disable_client`].
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn enable_client(&self, site: &SiteName) -> Result<SiteAdmission> {
        self.run(&AdmitClient { site, admit: true }).await
    }

    /// Drops the registration of a site. One that still runs comes back at its next heartbeat, as after
    /// [`enable_client`](Session::enable_client).
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.remove_client(&"site-1".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget) for a site that is not registered, and as
    /// [`Session::disable_client`].
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn remove_client(&self, site: &SiteName) -> Result<()> {
        self.run(&RemoveClient(site)).await
    }

    /// Configures what the targets log; gives what the sites said, a refusal included.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::{LogConfig, Targets};
    ///
    /// for said in session.configure_site_log(&LogConfig::new("DEBUG")?, &Targets::All).await? {
    ///     println!("{}: {}", said.site, said.response);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget) for a site that is not registered,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn configure_site_log(&self, config: &LogConfig, targets: &Targets) -> Result<Vec<SiteResponse>> {
        self.run(&ConfigureSiteLog { config, targets }).await
    }
}
