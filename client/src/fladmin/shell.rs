//! Calls that run a program on the server or a site.

use serde_json::json;

use super::arguments::{self, Unfit};
use super::reading::Understood;
use super::{FlAdminApi, FlAdminApiResponse, Outcome, StatusReading, settled};
use crate::command::{Grep, List, PrintDirectory, Read, ReadCommand};
use crate::model::FileName;

impl FlAdminApi {
    /// Lists a folder of the server or a site. Details: `message`, what `ls` printed.
    pub async fn ls_target(&self, target: &str, options: Option<&str>, path: Option<&str>) -> FlAdminApiResponse {
        settled(self.ls(target, options, path).await)
    }

    async fn ls(&self, target: &str, options: Option<&str>, path: Option<&str>) -> Outcome<FlAdminApiResponse> {
        let target = arguments::target(target)?;
        let (options, path) = (arguments::options(options)?, arguments::path(path)?);
        let answer = self.call(&List { target: &target, options: &options, path: path.as_ref() }).await?;
        Ok(self.printed(answer))
    }

    /// Shows a file of the server or a site. Details: `message`, what `cat` printed.
    pub async fn cat_target(&self, target: &str, options: Option<&str>, file: &str) -> FlAdminApiResponse {
        let file = arguments::file(file);
        settled(self.show(ReadCommand::Cat, target, options, file).await)
    }

    /// Shows the end of the log of the server or a site. Details: `message`, what `tail` printed.
    pub async fn tail_target_log(&self, target: &str, options: Option<&str>) -> FlAdminApiResponse {
        settled(self.show(ReadCommand::Tail, target, options, Ok(FileName::log())).await)
    }

    async fn show(
        &self,
        command: ReadCommand,
        target: &str,
        options: Option<&str>,
        file: Result<FileName, Unfit>,
    ) -> Outcome<FlAdminApiResponse> {
        let file = file?;
        let (target, options) = (arguments::target(target)?, arguments::options(options)?);
        let answer = self.call(&Read { command, target: &target, options: &options, file: &file }).await?;
        Ok(self.printed(answer))
    }

    /// The folder in which the server or a site runs. Details: `message`.
    pub async fn get_working_directory(&self, target: &str) -> FlAdminApiResponse {
        settled(self.working_directory(target).await)
    }

    async fn working_directory(&self, target: &str) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&PrintDirectory(&arguments::target(target)?)).await?;
        Ok(self.printed(answer))
    }

    /// Searches a file of the server or a site. Details: `message`, the lines that match; empty when there is none, which
    /// the original takes for an error.
    pub async fn grep_target(
        &self,
        target: &str,
        options: Option<&str>,
        pattern: &str,
        file: &str,
    ) -> FlAdminApiResponse {
        settled(self.grep(target, options, pattern, file).await)
    }

    async fn grep(
        &self,
        target: &str,
        options: Option<&str>,
        pattern: &str,
        file: &str,
    ) -> Outcome<FlAdminApiResponse> {
        let file = arguments::file(file)?;
        if pattern.is_empty() {
            return Err(Unfit("pattern is required but not specified.".to_owned()).into());
        }
        let (target, options) = (arguments::target(target)?, arguments::options(options)?);
        let command = Grep::new(&target, &options, pattern, &file).map_err(Unfit::from)?;
        let answer = self.call(&command).await?;
        Ok(self.printed(answer))
    }

    /// What a program printed, which may be nothing.
    fn printed(&self, answer: Understood) -> FlAdminApiResponse {
        if answer.text.is_empty() && self.reading == StatusReading::AsOriginal {
            return answer.unusable();
        }
        FlAdminApiResponse::success(json!({"message": answer.text}))
    }
}
