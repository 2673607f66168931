//! Calls about the server and the sites.

use serde_json::{Value, json};

use super::arguments::{self, Unfit, anybody, server_or_sites};
use super::response::chain;
use super::{ApiStatus, FlAdminApi, FlAdminApiResponse, Outcome, TargetType, settled};
use crate::Item;
use crate::command::{CheckStatus, Line, Restart, Shutdown};
use crate::model::Targets;

/// In front of the server's state.
const ENGINE_STATUS: &str = "Engine status:";
/// In front of the number of sites.
const REGISTERED: &str = "Registered clients:";
/// Header of the first column of the table of sites.
const CLIENT_COLUMN: &str = "CLIENT";

impl FlAdminApi {
    /// How the server or sites are. Details of the server: `server_engine_status`, `registered_clients`, `status_table`, which
    /// is the last table of the reply: that of the sites if one is connected, otherwise that of the jobs. Details of sites:
    /// `client_statuses`, a table, its header first.
    ///
    /// ```no_run
    /// # async fn example(api: flare_client::fladmin::FlAdminApi) {
    /// use flare_client::fladmin::TargetType;
    ///
    /// let all_sites = api.check_status(TargetType::Client, &[]).await;
    /// let two = api.check_status(TargetType::Client, &["site-1", "site-2"]).await;
    /// println!("{} {}", all_sites.details["client_statuses"], two.status);
    /// # }
    /// ```
    pub async fn check_status(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.status(target_type, targets).await)
    }

    async fn status(&self, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let targets = server_or_sites(kind, names)?;
        let answer = self.call(&CheckStatus(&targets)).await?;
        let items = answer.reply().map(|reply| reply.data.as_slice()).unwrap_or_default();
        if items.is_empty() {
            return Ok(answer.unusable());
        }
        let mut details = crate::JsonObject::new();
        let table = if targets == Targets::Server { "status_table" } else { "client_statuses" };
        for item in items {
            match item {
                Item::String(text) if targets == Targets::Server => {
                    if let Some(status) = after(text, ENGINE_STATUS) {
                        details.insert("server_engine_status".to_owned(), status.into());
                    }
                    if let Some(number) = after(text, REGISTERED) {
                        let number = number.trim().parse::<i64>().unwrap_or(-1);
                        details.insert("registered_clients".to_owned(), number.into());
                    }
                }
                Item::Table(rows) => {
                    details.insert(table.to_owned(), json!(rows));
                }
                _ => {}
            }
        }
        Ok(answer.success(Value::Object(details)))
    }

    /// The names of the sites that are connected. Details: `connected_clients`.
    pub async fn get_connected_client_list(&self) -> FlAdminApiResponse {
        let status = self.check_status(TargetType::Server, &[]).await;
        if !status.is_success() {
            return status;
        }
        let rows = status.details.get("status_table").and_then(Value::as_array).cloned().unwrap_or_default();
        // With nobody connected the last table is that of the jobs, whose first column are no names.
        let is_of_sites = rows.first().is_some_and(|header| header[0] == CLIENT_COLUMN);
        let names: Vec<Value> = rows.iter().skip(1).filter(|_| is_of_sites).map(|row| row[0].clone()).collect();
        FlAdminApiResponse::success(json!({"connected_clients": names}))
    }

    /// Restarts the server, sites, or everything; does not wait for it. Details: `message`.
    pub async fn restart(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.restarted(target_type, targets).await)
    }

    async fn restarted(&self, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&Restart(&anybody(kind, names)?)).await?;
        let refusals = ["no clients available", "Server is starting, please wait for started before restart"];
        Ok(if refusals.iter().any(|words| answer.text.contains(words)) { answer.refused() } else { answer.said() })
    }

    /// Shuts down the server, sites, or everything; does not wait for it. Details: `message`.
    pub async fn shutdown(&self, target_type: TargetType, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.shut_down(target_type, targets).await)
    }

    async fn shut_down(&self, kind: TargetType, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        let answer = self.call(&Shutdown(&anybody(kind, names)?)).await?;
        let refusals = [
            "There are still active clients. Shutdown all clients first.",
            "no clients to shutdown",
            "Server is starting, please wait for started before shutdown",
        ];
        Ok(if refusals.iter().any(|words| answer.text.contains(words)) { answer.refused() } else { answer.said() })
    }

    /// Shuts down everything: [`shutdown`](Self::shutdown) of [`All`](TargetType::All).
    pub async fn shutdown_system(&self) -> FlAdminApiResponse {
        self.shutdown(TargetType::All, &[]).await
    }

    /// Makes the server forget sites until they register again. Details: `message`.
    pub async fn remove_client(&self, targets: &[&str]) -> FlAdminApiResponse {
        settled(self.remove(targets).await)
    }

    async fn remove(&self, names: &[&str]) -> Outcome<FlAdminApiResponse> {
        if names.is_empty() {
            return Err(Unfit("targets needs to be provided as a list of client names.".to_owned()).into());
        }
        let sites = arguments::sites(names)?;
        let line = Line::new("remove_client").words(&sites);
        // The second time the sites may be unknown.
        Ok(self.call_line(&line, false, false).await?.said())
    }

    /// Sets the time that the server gives admin commands, for every admin. Servers since 2.4 do not have the command, and
    /// the response says so; [`Session::set_timeout`](crate::Session::set_timeout) sets that of the session.
    pub async fn set_timeout(&self, seconds: f64) -> FlAdminApiResponse {
        settled(self.timeout(seconds).await)
    }

    async fn timeout(&self, seconds: f64) -> Outcome<FlAdminApiResponse> {
        if !seconds.is_finite() {
            return Err(Unfit("timeout is not float.".to_owned()).into());
        }
        let line = Line::new("set_timeout").word(&seconds.to_string());
        Ok(self.call_line(&line, true, true).await?.said())
    }

    /// The folders below the kit's upload folder. Details: `app_list`.
    pub async fn get_available_apps_to_upload(&self) -> FlAdminApiResponse {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return *self.unsent(super::not_logged_in(&error, self.reading)),
        };
        match session.get_available_apps_to_upload().await {
            Ok(names) => FlAdminApiResponse::success(json!({"app_list": names})),
            Err(error) => FlAdminApiResponse::message_of(ApiStatus::ErrorRuntime, chain(&error)),
        }
    }

    /// The service providers of a system with several servers. Servers since 2.7 know of no others, and the response says
    /// so.
    pub async fn list_sp(&self) -> FlAdminApiResponse {
        settled(self.high_availability("list_sp", None).await)
    }

    /// The active service provider; see [`list_sp`](Self::list_sp).
    pub async fn get_active_sp(&self) -> FlAdminApiResponse {
        settled(self.high_availability("get_active_sp", None).await)
    }

    /// Makes a service provider the active one, given as `host:port:admin_port`; see [`list_sp`](Self::list_sp).
    pub async fn promote_sp(&self, sp_end_point: &str) -> FlAdminApiResponse {
        settled(self.high_availability("promote_sp", Some(sp_end_point)).await)
    }

    /// Commands of systems with several servers, if this server has them.
    async fn high_availability(&self, name: &str, argument: Option<&str>) -> Outcome<FlAdminApiResponse> {
        let line = Line::new(name).words(argument);
        Ok(self.call_line(&line, true, true).await?.said())
    }
}

/// What follows the words and one character.
fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(words)?;
    let mut characters = rest.chars();
    characters.next();
    Some(characters.as_str())
}
