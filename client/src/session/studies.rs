//! Studies.

use super::Session;
use crate::command::{
    AddStudySite, AddStudyUser, ListStudies, RegisterStudy, RemoveStudy, RemoveStudySite, RemoveStudyUser, ShowStudy,
};
use crate::model::{RemovedStudy, Study, StudyListing, StudyName, StudySiteChange, StudySites, StudyUser};
use crate::{Error, Result};

/// Studies.
impl Session {
    /// The studies that the caller may see, and what the caller may do in each.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let listing = session.list_studies().await?;
    /// println!("{:?} may see {:?}", listing.identity.name, listing.studies);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_studies(&self) -> Result<StudyListing> {
        self.run(&ListStudies).await
    }

    /// Creates a study with these sites, or adds them to one that is there. The caller becomes one of its users.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::StudySites;
    ///
    /// let sites = StudySites::of_org("nvidia", ["site-1", "site-2"])?.and_org("acme", ["site-3"])?;
    /// let study = session.register_study(&"trial".parse()?, &sites).await?;
    /// assert_eq!(study.sites.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget) for a site that is not connected or belongs to somebody else,
    /// [`InvalidCommand`](crate::ErrorKind::InvalidCommand) for the wrong form of sites,
    /// [`Refused`](crate::ErrorKind::Refused) when others have a study of this name,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn register_study(&self, study: &StudyName, sites: &StudySites) -> Result<Study> {
        self.run(&RegisterStudy { study, sites }).await
    }

    /// Adds sites to a study.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::StudySites;
    ///
    /// let changed = session.add_study_site(&"trial".parse()?, &StudySites::sites(["site-2"])?).await?;
    /// println!("{:?} added, {:?} were there", changed.added, changed.already_enrolled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see,
    /// [`InvalidTarget`](crate::ErrorKind::InvalidTarget) for a site that is not connected or belongs to somebody else,
    /// [`InvalidCommand`](crate::ErrorKind::InvalidCommand) for the wrong form of sites,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn add_study_site(&self, study: &StudyName, sites: &StudySites) -> Result<StudySiteChange> {
        self.run(&AddStudySite { study, sites }).await
    }

    /// Takes sites out of a study, whether they are connected or not. Jobs that wait for them can then not run.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::StudySites;
    ///
    /// let changed = session.remove_study_site(&"trial".parse()?, &StudySites::sites(["site-2"])?).await?;
    /// println!("{:?} removed, {:?} were not there", changed.removed, changed.not_enrolled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see,
    /// [`InvalidCommand`](crate::ErrorKind::InvalidCommand) for the wrong form of sites,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn remove_study_site(&self, study: &StudyName, sites: &StudySites) -> Result<StudySiteChange> {
        self.run(&RemoveStudySite { study, sites }).await
    }

    /// Removes a study to which no job belongs any more. Only project admins may.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.remove_study(&"trial".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see, [`Refused`](crate::ErrorKind::Refused)
    /// when it has jobs,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn remove_study(&self, study: &StudyName) -> Result<RemovedStudy> {
        self.run(&RemoveStudy(study)).await
    }

    /// One study: its sites and users.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// println!("{:?}", session.show_study(&"trial".parse()?).await?.site_orgs);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn show_study(&self, study: &StudyName) -> Result<Study> {
        self.run(&ShowStudy(study)).await
    }

    /// Lets a user open sessions in a study. The server does not check whether there is such a user.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.add_study_user(&"trial".parse()?, "lead@nvidia.com").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see,
    /// [`Refused`](crate::ErrorKind::Refused) when the user is there already,
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn add_study_user(&self, study: &StudyName, user: &str) -> Result<StudyUser> {
        checked_user(user)?;
        self.run(&AddStudyUser { study, user }).await
    }

    /// Takes that back. Sessions that are open go on.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.remove_study_user(&"trial".parse()?, "lead@nvidia.com").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown) when there is no such study that the caller may see,
    /// [`Refused`](crate::ErrorKind::Refused) when the user is not there,
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name,
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) for others than project and organisation admins, and those of
    /// [`Session::do_command`]. [`Error::code`], [`Error::server_hint`] and [`Error::exit_code`] tell more.
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn remove_study_user(&self, study: &StudyName, user: &str) -> Result<StudyUser> {
        checked_user(user)?;
        self.run(&RemoveStudyUser { study, user }).await
    }
}

fn checked_user(user: &str) -> Result<()> {
    // A name that looks like an option would be read as one.
    if user.is_empty() || user.starts_with('-') {
        return Err(Error::argument(format!("user name {user:?} must not be empty or begin with a hyphen")));
    }
    Ok(())
}
