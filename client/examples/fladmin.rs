//! The older API as a worker: calls come in as JSON lines, responses go out as JSON lines.
//!
//! ```text
//! cargo run --example fladmin -- prod_00/admin@nvidia.com [as-original]
//! {"call": "check_status", "arguments": {"target_type": "server"}}
//! ```
//!
//! Names of calls and arguments are upstream's; `conformance/official/fladmin_compare.py` gives the same lines to the
//! official class. The first line out says whether the login worked.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Duration;

use flare_client::fladmin::{
    FlAdminApi, StatusReading, TargetType, WaitOptions, clients_have_no_jobs, server_has_stopped, server_runner_is_done,
};
use flare_client::{Session, StartupKit};
use serde_json::{Value, json};

/// The arguments of a call by upstream's names.
struct Arguments(Value);

impl Arguments {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    fn kind(&self) -> TargetType {
        match self.text("target_type") {
            "server" => TargetType::Server,
            "client" => TargetType::Client,
            _ => TargetType::All,
        }
    }

    fn targets(&self) -> Vec<&str> {
        self.0["targets"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn wait(&self, mut options: WaitOptions) -> WaitOptions {
        let seconds = |name: &str| self.0[name].as_f64().map(Duration::from_secs_f64);
        options.interval = seconds("interval").unwrap_or(options.interval);
        options.timeout = seconds("timeout").or(options.timeout);
        options
    }
}

async fn call(api: &FlAdminApi, name: &str, arguments: &Arguments) -> Value {
    let of = |name| arguments.text(name);
    let option = |name| arguments.option(name);
    let (kind, targets) = (arguments.kind(), arguments.targets());
    let targets = targets.as_slice();
    let response = match name {
        "check_status" => api.check_status(kind, targets).await,
        "submit_job" => api.submit_job(of("job_folder")).await,
        "clone_job" => api.clone_job(of("job_id")).await,
        "list_jobs" => api.list_jobs(option("options")).await,
        "download_job" => api.download_job(of("job_id")).await,
        "abort_job" => api.abort_job(of("job_id")).await,
        "delete_job" => api.delete_job(of("job_id")).await,
        "abort" => api.abort(of("job_id"), kind, targets).await,
        "restart" => api.restart(kind, targets).await,
        "shutdown" => api.shutdown(kind, targets).await,
        "shutdown_system" => api.shutdown_system().await,
        "remove_client" => api.remove_client(targets).await,
        "set_timeout" => api.set_timeout(arguments.0["timeout"].as_f64().unwrap_or(f64::NAN)).await,
        "list_sp" => api.list_sp().await,
        "get_active_sp" => api.get_active_sp().await,
        "promote_sp" => api.promote_sp(of("sp_end_point")).await,
        "get_available_apps_to_upload" => api.get_available_apps_to_upload().await,
        "ls_target" => api.ls_target(of("target"), option("options"), option("path")).await,
        "cat_target" => api.cat_target(of("target"), option("options"), of("file")).await,
        "tail_target_log" => api.tail_target_log(of("target"), option("options")).await,
        "get_working_directory" => api.get_working_directory(of("target")).await,
        "grep_target" => api.grep_target(of("target"), option("options"), of("pattern"), of("file")).await,
        "show_stats" => api.show_stats(of("job_id"), kind, targets).await,
        "show_errors" => api.show_errors(of("job_id"), kind, targets).await,
        "reset_errors" => api.reset_errors(of("job_id")).await,
        "get_connected_client_list" => api.get_connected_client_list().await,
        "wait_until_server_status" => {
            api.wait_until_server_status(arguments.wait(WaitOptions::of_server()), server_has_stopped).await
        }
        "wait_until_client_status" => {
            api.wait_until_client_status(arguments.wait(WaitOptions::of_clients()), clients_have_no_jobs).await
        }
        "wait_until_server_stats" => {
            let options = arguments.wait(WaitOptions::of_clients());
            api.wait_until_server_stats(of("job_id"), options, server_runner_is_done).await
        }
        "do_command" => return api.do_command(of("command")).await.to_json(),
        "login" => return api.login().await.to_json(),
        "logout" => return api.logout().await.map_or(Value::Null, |result| result.to_json()),
        other => return json!({"absent": other}),
    };
    response.to_json()
}

// The connection lives on the worker while this thread waits for a line.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: fladmin KIT [as-original]")?;
    let reading = match arguments.next().as_deref() {
        Some("as-original") => StatusReading::AsOriginal,
        _ => StatusReading::Strict,
    };
    let api = FlAdminApi::from(Session::builder(StartupKit::open(folder)?)).reading(reading);
    println!("{}", json!({"ready": api.login().await.is_success()}));
    for line in std::io::stdin().lines() {
        let mut request: Value = serde_json::from_str(&line?)?;
        let arguments = Arguments(request["arguments"].take());
        println!("{}", call(&api, request["call"].as_str().unwrap_or_default(), &arguments).await);
    }
    api.logout().await;
    Ok(())
}
