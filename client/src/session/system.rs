//! The system as a whole.

use std::io;

use super::Session;
use crate::command::{CheckStatus, GetSystemInfo};
use crate::model::{SiteInfo, SystemInfo, SystemStatus, Targets};
use crate::{Error, ErrorKind, Result};

/// The system as a whole.
impl Session {
    /// The server, the sites registered with it, and the jobs it runs.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let system = session.get_system_info().await?;
    /// println!("{:?}, {} sites", system.server.status, system.sites.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotAuthorized`](ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_system_info(&self) -> Result<SystemInfo> {
        self.run(&GetSystemInfo).await
    }

    /// The sites registered with the server, in the order of their registration.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// for site in session.get_connected_client_list().await? {
    ///     println!("{}", site.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::get_system_info`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_connected_client_list(&self) -> Result<Vec<SiteInfo>> {
        Ok(self.get_system_info().await?.sites)
    }

    /// The status of the server, of sites, or of everything.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// let status = session.check_status(&Targets::sites(["site-1"])?).await?;
    /// println!("{:?}", status.site_jobs);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](ErrorKind::InvalidTarget) for a site that is not registered, [`NoSites`](ErrorKind::NoSites)
    /// when sites are asked and none is there ([`Refused`](ErrorKind::Refused) with [`Targets::All`]),
    /// [`NotAuthorized`](ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn check_status(&self, targets: &Targets) -> Result<SystemStatus> {
        self.run(&CheckStatus(targets)).await
    }

    /// The folders in the kit's upload folder, in alphabetical order. Asks no server. Downloads may be among them: by
    /// default both go to the same folder.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// println!("{:?}", session.get_available_apps_to_upload().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidStartupKit`](ErrorKind::InvalidStartupKit) when the upload folder cannot be read. One that does not
    /// exist yet holds nothing.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_available_apps_to_upload(&self) -> Result<Vec<String>> {
        let folder = self.kit().upload_dir();
        let unreadable = |error: io::Error| {
            let message = format!("the upload folder {} cannot be read", folder.display());
            Error::new(ErrorKind::InvalidStartupKit, message).with_source(error)
        };
        let mut entries = match tokio::fs::read_dir(&folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            // Links to folders count as folders. An entry that vanished meanwhile is none.
            if tokio::fs::metadata(entry.path()).await.is_ok_and(|metadata| metadata.is_dir()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}
