//! Calls about jobs.

use serde_json::{Value, json};

use super::arguments::{self, anybody, server_or_sites};
use super::reading::understood;
use super::{FlAdminApi, FlAdminApiResponse, Outcome, StatusReading, TargetType, settled};
use crate::command::{AbortJob, CloneJob, DeleteJob, Line, ResetErrors, ShowErrors, ShowStats};
use crate::{Item, MetaStatus};

/// Words of a server's refusal that the original looks for.
const NOT_RUNNING: &str = "App is not running";

impl FlAdminApi {
    /// Submits the job in a folder, which is below the upload folder of the kit or an absolute path. Details: `message`,
    /// `job_id`.
    ///
    /// Not repeated when its reply was lost: the server may have the job. [`Session::submit_job`](crate::Session::submit_job)
    /// has tokens for that.
    pub async fn submit_job(&self, job_folder: &str) -> FlAdminApiResponse {
        settled(self.submit(job_folder).await)
    }

    async fn submit(&self, job_folder: &str) -> Outcome<FlAdminApiResponse> {
        if job_folder.is_empty() {
            return Err(Box::new(FlAdminApiResponse::syntax("job_folder is required but not specified.")));
        }
        let session = self.session_with("submit_job").await?;
        let raw = self.push(&session, job_folder).await;
        let folder_is_missing = raw.reply.is_none() && raw.details.as_ref().is_some_and(|text| text.starts_with('\''));
        let answer = match understood(raw, self.reading) {
            // The original's words for what is wrong on this side.
            Err(response) if folder_is_missing && self.reading == StatusReading::Strict => {
                let text = format!("Exception: RuntimeError: {}", response.message().unwrap_or_default());
                return Err(Box::new(FlAdminApiResponse::message_of(response.status, text)));
            }
            answer => answer?,
        };
        Ok(made(answer, "Submitted job"))
    }

    /// Submits a job again. Details: `message`, and `job_id` of the new one.
    pub async fn clone_job(&self, job_id: &str) -> FlAdminApiResponse {
        settled(self.clone_of(job_id).await)
    }

    async fn clone_of(&self, job_id: &str) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&CloneJob(&arguments::job_id(job_id)?)).await?;
        Ok(made(answer, "Cloned job"))
    }

    /// Lists jobs; `options` are those of the command, such as `-d -n prefix`. Details: the list of what the server knows
    /// of each.
    pub async fn list_jobs(&self, options: Option<&str>) -> FlAdminApiResponse {
        settled(self.list(options).await)
    }

    async fn list(&self, options: Option<&str>) -> Outcome<FlAdminApiResponse> {
        let line = Line::new("list_jobs").words(arguments::list_options(options)?);
        let answer = self.call_line(&line, true, true).await?;
        let jobs = answer.reply().filter(|reply| !reply.meta.is_empty());
        let jobs = jobs.map(|reply| reply.meta.get("jobs").cloned().unwrap_or_else(|| json!([])));
        Ok(match jobs {
            Some(jobs) => answer.success(jobs),
            None => answer.unusable(),
        })
    }

    /// Downloads the result of a job into the download folder of the kit. Details: `message`, which names the folder.
    pub async fn download_job(&self, job_id: &str) -> FlAdminApiResponse {
        settled(self.download(job_id).await)
    }

    async fn download(&self, job_id: &str) -> Outcome<FlAdminApiResponse> {
        let job_id = arguments::job_id(job_id)?;
        let session = self.session_with("download_job").await?;
        let answer = understood(self.pull(&session, "download_job", job_id.as_str()).await, self.reading)?;
        let message = answer.raw.details.clone();
        Ok(answer.success(json!({"message": message})))
    }

    /// Aborts a job. Details: `message`.
    pub async fn abort_job(&self, job_id: &str) -> FlAdminApiResponse {
        settled(self.abort_of(job_id).await)
    }

    async fn abort_of(&self, job_id: &str) -> Outcome<FlAdminApiResponse> {
        let refused = |status: &MetaStatus, info: &str| format!("{status}: {info}");
        let answer = match self.call(&AbortJob(&arguments::job_id(job_id)?)).await {
            Ok(answer) => answer,
            // The one call for which the original looks at the status word; so the words are these here too.
            Err(mut response) => {
                let reply = response.raw.as_ref().and_then(|raw| raw.reply.as_ref());
                if response.status == super::ApiStatus::ErrorRuntime
                    && let Some((status, info)) = reply.and_then(|reply| Some((reply.status()?, reply.info())))
                {
                    response.details = json!({"message": refused(&status, info)});
                }
                return Err(response);
            }
        };
        let Some(reply) = answer.reply() else { return Ok(answer.unusable()) };
        Ok(match reply.status() {
            Some(MetaStatus::Ok) => {
                let info = reply.info().to_owned();
                answer.success(json!({"message": info}))
            }
            status => {
                let status = status.map_or_else(|| "None".to_owned(), |status| status.to_string());
                let text = format!("{status}: {}", reply.info());
                answer.refused_as(text)
            }
        })
    }

    /// Deletes a job that has ended. Details: `message`.
    pub async fn delete_job(&self, job_id: &str) -> FlAdminApiResponse {
        settled(self.delete(job_id).await)
    }

    async fn delete(&self, job_id: &str) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&DeleteJob(&arguments::job_id(job_id)?)).await?;
        let is_kept = ["can not be deleted", "could not be deleted"].iter().any(|words| answer.text.contains(words));
        Ok(if is_kept { answer.refused() } else { answer.said() })
    }

    /// Aborts a job on some of those who run it. Servers since 2.6 do not have the command, and the response says so.
    /// Details: `message`, `responses`.
    pub async fn abort(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.abort_at(job_id, target_type, targets).await)
    }

    async fn abort_at(&self, job_id: &str, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let job_id = arguments::job_id(job_id)?;
        let line = Line::new("abort").word(job_id.as_str()).words(anybody(kind, names)?.words());
        let answer = self.call_line(&line, true, true).await?;
        let refusals = ["Server app has not started", "No clients to abort", "please wait for started before abort"];
        if refusals.iter().any(|words| answer.text.contains(words)) {
            return Ok(answer.refused());
        }
        let mut details = crate::JsonObject::new();
        if !answer.text.is_empty() {
            details.insert("message".to_owned(), answer.text.clone().into());
        }
        if let Some(rows) = answer.tables().last() {
            details.insert("responses".to_owned(), rows);
        }
        Ok(answer.success(Value::Object(details)))
    }

    /// Statistics of a job that runs, of the server or of sites. Details: `message` is an object with an entry for each.
    pub async fn show_stats(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.stats(job_id, target_type, targets).await)
    }

    async fn stats(&self, job_id: &str, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let (job_id, targets) = (arguments::job_id(job_id)?, server_or_sites(kind, names)?);
        let answer = self.call(&ShowStats(&job_id, &targets)).await?;
        let Some(stats) = first_dict(&answer) else {
            return Ok(if answer.text.contains(NOT_RUNNING) { answer.refused() } else { answer.unusable() });
        };
        Ok(answer.success(json!({"message": stats})))
    }

    /// Errors of a job that runs, of the server or of sites. Details: `message` is an object with an entry for each.
    pub async fn show_errors(&self, job_id: &str, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.errors(job_id, target_type, targets).await)
    }

    async fn errors(&self, job_id: &str, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let (job_id, targets) = (arguments::job_id(job_id)?, server_or_sites(kind, names)?);
        let answer = self.call(&ShowErrors(&job_id, &targets)).await?;
        if let Some(errors) = first_dict(&answer) {
            return Ok(answer.success(json!({"message": errors})));
        }
        if answer.text.contains(NOT_RUNNING) {
            return Ok(answer.refused());
        }
        Ok(answer.success(json!({"message": "No errors."})))
    }

    /// Forgets the errors of a job, of the server and all sites. Details: `message`.
    ///
    /// The original leaves the target out, which current servers refuse.
    pub async fn reset_errors(&self, job_id: &str) -> FlAdminApiResponse {
        settled(self.reset(job_id).await)
    }

    async fn reset(&self, job_id: &str) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&ResetErrors(&arguments::job_id(job_id)?)).await?;
        if let Some(answers) = first_dict(&answer) {
            return Ok(answer.success(json!({"message": answers})));
        }
        Ok(match answer.text.as_str() {
            "" => answer.unusable(),
            text if text.contains(NOT_RUNNING) => answer.refused(),
            _ => answer.said(),
        })
    }
}

fn first_dict(answer: &super::Understood) -> Option<Value> {
    answer.reply()?.data.iter().find_map(|item| match item {
        Item::Dict(object) => Some(Value::Object(object.clone())),
        _ => None,
    })
}

/// The id of a job that was made, which the original takes from the end of the text.
fn made(answer: super::Understood, words: &str) -> FlAdminApiResponse {
    if !answer.text.contains(words) {
        return answer.unusable();
    }
    let id = answer.text.rsplit(':').next().unwrap_or_default().trim().to_owned();
    let message = answer.text.clone();
    answer.success(json!({"message": message, "job_id": id}))
}
