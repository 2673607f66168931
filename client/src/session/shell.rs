//! Shell commands on the server or a site.
//!
//! Each runs a program in the workspace of the target and gives what it printed, its complaints included: a file that
//! does not exist is text, not an error. The same goes for a site that refuses; the server passes its words on as
//! output.

use super::Session;
use crate::Result;
use crate::command::{Grep, List, PrintDirectory, Read, ReadCommand};
use crate::model::{FileName, FolderPath, ShellOptions, Target};

/// Shell commands on the server or a site.
///
/// What the program prints is the result, its complaints included; and when a site refuses, its words are the result
/// too: the server passes both on as output. Errors are [`InvalidTarget`](crate::ErrorKind::InvalidTarget),
/// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) (for the server), [`Refused`](crate::ErrorKind::Refused) for
/// options that the server does not know, [`ServerFault`](crate::ErrorKind::ServerFault) when a site does not answer,
/// and those of [`Session::do_command`].
impl Session {
    /// The folder that the target runs in, with a line end behind.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let folder = session.get_working_directory(&"server".parse()?).await?;
    /// println!("{}", folder.trim_end());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_working_directory(&self, target: &Target) -> Result<String> {
        self.run(&PrintDirectory(target)).await
    }

    /// Lists a folder; options `-a -l -t -S -R -u`.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Target;
    ///
    /// let target = Target::site("site-1")?;
    /// print!("{}", session.ls_target(&target, &"-l -t".parse()?, None).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn ls_target(
        &self,
        target: &Target,
        options: &ShellOptions,
        path: Option<&FolderPath>,
    ) -> Result<String> {
        self.run(&List { target, options, path }).await
    }

    /// The content of a file; options `-n -b -s -T`.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// print!("{}", session.cat_target(&"site-1".parse()?, &"-n".parse()?, &"log.txt".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn cat_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> Result<String> {
        self.run(&Read { command: ReadCommand::Cat, target, options, file }).await
    }

    /// The beginning of a file; options `-n N` lines and `-c N` bytes.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// print!("{}", session.head_target(&"site-1".parse()?, &"-n 5".parse()?, &"log.txt".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn head_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> Result<String> {
        self.run(&Read { command: ReadCommand::Head, target, options, file }).await
    }

    /// The end of a file; options `-n N` lines and `-c N` bytes.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// print!("{}", session.tail_target(&"site-1".parse()?, &"-c 400".parse()?, &"error_log.txt".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn tail_target(&self, target: &Target, options: &ShellOptions, file: &FileName) -> Result<String> {
        self.run(&Read { command: ReadCommand::Tail, target, options, file }).await
    }

    /// The lines of a file that match a pattern; options `-n -i -b`.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::ShellOptions;
    ///
    /// let (target, log) = ("server".parse()?, "log.txt".parse()?);
    /// print!("{}", session.grep_target(&target, &ShellOptions::none(), "joined. Sent token", &log).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty pattern and for one that begins with a
    /// hyphen; otherwise see the introduction of these commands.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn grep_target(
        &self,
        target: &Target,
        options: &ShellOptions,
        pattern: &str,
        file: &FileName,
    ) -> Result<String> {
        self.run(&Grep::new(target, options, pattern, file)?).await
    }
}
