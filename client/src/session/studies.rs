//! Studies.

use super::Session;
use crate::Result;
use crate::command::ListStudies;
use crate::model::StudyListing;

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
}
