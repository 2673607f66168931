//! A simulated server whose jobs take a moment, and how to wait for them.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::time::Duration;

use flare_client::{MonitorOptions, Session, StartupKit};
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::project::Role;
use flare_simserver::{SimServer, SimServerBuilder};

/// How often a job is asked for.
pub(crate) const SOON: Duration = Duration::from_millis(20);

/// More than anything takes, however busy the machine is.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// Jobs run for 30 ms; one named `endless` until it is aborted.
pub(crate) fn quick() -> SimServerBuilder {
    SimServer::builder().configure(|config| {
        config.job_settings.timings.tick = Duration::from_millis(10);
        config.job_settings.timings.start = Duration::from_millis(5);
        config.job_settings.timings.check_in = Duration::ZERO;
        config.job_settings.timings.warm_up = Duration::ZERO;
        config.job_settings.timings.abort = Duration::from_millis(10);
        config.job_settings.timings.abort_reply = Duration::from_millis(5);
        config.rules =
            vec![Rule::named("*").running_for(Duration::from_millis(30)), Rule::named("endless").until_aborted()];
    })
}

pub(crate) async fn log_in(server: &SimServer) -> Session {
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(AMPLE).connect().await.unwrap()
}

pub(crate) fn soon() -> MonitorOptions {
    MonitorOptions::new().timeout(AMPLE).poll_interval(SOON).unwrap()
}
