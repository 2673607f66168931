//! Logs of the server and of sites.

use super::Session;
use crate::Result;
use crate::model::{FileName, ShellOptions, Target};

/// Logs of the server and of sites.
impl Session {
    /// The beginning of the target's `log.txt`; options as for [`Session::head_target`].
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// print!("{}", session.head_target_log(&"site-1".parse()?, &"-n 5".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::head_target`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn head_target_log(&self, target: &Target, options: &ShellOptions) -> Result<String> {
        self.head_target(target, options, &FileName::log()).await
    }

    /// The end of the target's `log.txt`; options as for [`Session::tail_target`].
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Target;
    ///
    /// print!("{}", session.tail_target_log(&Target::Server, &"-n 50".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::tail_target`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn tail_target_log(&self, target: &Target, options: &ShellOptions) -> Result<String> {
        self.tail_target(target, options, &FileName::log()).await
    }
}
