//! Logs of jobs: of what runs, of what ran, and of what a killed server left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use serde_json::{Value, json};

use super::Jobs;
use super::run::Run;
use crate::core::LocalTime;
use crate::jobs::behaviour::{RunLog, WorkspaceFile};
use crate::jobs::definition::{SERVER_SITE, is_all_sites, participants};
use crate::jobs::meta::JobMeta;
use crate::jobs::store::StoredJob;
use crate::release::Release;

/// Longest log in a reply; of a longer one the end is shown.
pub(super) const MAX_LOG_LEN: usize = 5 << 20;

/// How long a site's process tries to reach a server that is gone before it logs an error (measured: 15 s).
const UNANSWERED: Duration = Duration::from_secs(15);

const JSON_LOG: &str = "log.json";
const TEXT_LOG: &str = "log.txt";

impl<H: Clone> Jobs<H> {
    /// The payload of `get_job_log`: `{"logs": {site: text}, "unavailable": {site: reason}}`. The target is `server`,
    /// `all`, `@ALL` or a site, known or not; of the files only `log.json` is a name of its own.
    #[must_use]
    pub fn logs(&self, job: &StoredJob<H>, target: &str, file: &str, now: Moment) -> JsonObject {
        let file = if file == JSON_LOG { JSON_LOG } else { TEXT_LOG };
        let lower = target.to_lowercase();
        let all = lower == "all" || is_all_sites(target);
        let (mut logs, mut unavailable) = (JsonObject::new(), JsonObject::new());
        if all || lower == SERVER_SITE {
            match self.server_log(job, file, now) {
                Some(log) => logs.insert(SERVER_SITE.to_owned(), Value::from(log)),
                None => unavailable.insert(SERVER_SITE.to_owned(), json!("server log not available for this job")),
            };
        }
        let sites = if all {
            log_sites(job, file)
        } else if lower == SERVER_SITE {
            BTreeSet::new()
        } else {
            BTreeSet::from([target.to_owned()])
        };
        for site in sites {
            match site_log(job, &site, file, self.settings.release) {
                Some(log) => logs.insert(site, Value::from(log)),
                None => unavailable.insert(site, json!("client log stream not available for this job")),
            };
        }
        let mut payload = JsonObject::from_iter([("logs".to_owned(), Value::Object(logs))]);
        if !unavailable.is_empty() {
            payload.insert("unavailable".to_owned(), Value::Object(unavailable));
        }
        payload
    }

    pub(super) fn log_of<'a>(&'a self, run: &'a Run, now: Moment) -> RunLog<'a> {
        let started = run.started().unwrap_or(now);
        RunLog {
            job_id: &run.job_id,
            project: &self.settings.project,
            plan: &run.plan,
            started,
            elapsed: now.since(started),
            was_aborted: run.was_aborted(),
            offset: self.settings.offset,
        }
    }

    /// What a run leaves behind whose server was killed: the server's logs, and from every site what its processes had to
    /// say about it when they found a server again.
    pub(super) fn abandon(&mut self, job_id: &str, sites: &[String], logs: [String; 2], now: Moment) {
        self.abandoned_logs.insert(job_id.to_owned(), logs);
        let time = LocalTime::with_offset(self.settings.offset).log(now + UNANSWERED);
        let error = format!("{time} - _LogTailProducer - ERROR - error from target server: TIMEOUT\n");
        self.store.update(job_id, |job| {
            for site in sites {
                job.details_mut()
                    .components
                    .entry(format!("ERRORLOG_{site}"))
                    .or_insert_with(|| error.clone().into_bytes());
            }
        });
    }

    /// The same for a run of an earlier process. What it logged is known but for the moment of its end, which cannot
    /// have been its own.
    pub(super) fn abandon_restored(&mut self, job_id: &str) {
        let Some(job) = self.store.get(job_id) else { return };
        let Some(started) = job.meta.start_time() else { return };
        let sites = deployed_sites(&job.meta);
        let plan = self.behaviours.plan(&job.meta, job.content(), &sites);
        let since = self.started.since(started);
        let end = plan.duration().map_or(since, |duration| duration.saturating_sub(Duration::from_millis(1)));
        let log = RunLog {
            job_id,
            project: &self.settings.project,
            plan: &plan,
            started,
            elapsed: since.min(end),
            was_aborted: false,
            offset: self.settings.offset,
        };
        let logs = [log.text(), log.json()];
        self.abandon(job_id, &sites, logs, self.started);
    }

    fn server_log(&self, job: &StoredJob<H>, file: &str, now: Moment) -> Option<String> {
        let (job_id, release) = (job.meta.job_id(), self.settings.release);
        if let Some(run) = self.runs.get(job_id).filter(|run| run.started().is_some()) {
            let log = self.log_of(run, now);
            return Some(shown(if file == JSON_LOG { log.json() } else { log.text() }.as_bytes(), release));
        }
        if let Some([text, json]) = self.abandoned_logs.get(job_id) {
            return Some(shown(if file == JSON_LOG { json } else { text }.as_bytes(), release));
        }
        workspace_file(job, file, release)
    }
}

/// The sites that a job was deployed to: `SITE: OK` among the details of its deployment.
fn deployed_sites(meta: &JobMeta) -> Vec<String> {
    let lines = meta.fields().get("job_deploy_detail").and_then(Value::as_array);
    let sites = lines.into_iter().flatten().filter_map(|line| line.as_str()?.strip_suffix(": OK"));
    sites.filter(|site| *site != SERVER_SITE).map(str::to_owned).collect()
}

/// The sites that a job names, and those whose logs are there.
fn log_sites<H>(job: &StoredJob<H>, file: &str) -> BTreeSet<String> {
    let map = job.meta.fields().get("deploy_map").and_then(Value::as_object);
    let named = map.into_iter().flat_map(|map| map.values()).filter_map(|entry| participants(entry).ok()).flatten();
    let named = named.filter(|site| *site != SERVER_SITE && !site.is_empty() && !is_all_sites(site));
    let prefix = format!("LOG_{file}_");
    let streamed = job.components().keys().filter_map(|name| name.strip_prefix(&prefix));
    let written = job.workspace().into_iter().flatten().filter_map(|entry| {
        entry.path.strip_suffix(file)?.strip_suffix('/')?.rsplit('/').next().filter(|site| *site != SERVER_SITE)
    });
    named.chain(streamed).chain(written).filter(|site| !site.is_empty()).map(str::to_owned).collect()
}

fn site_log<H>(job: &StoredJob<H>, site: &str, file: &str, release: Release) -> Option<String> {
    workspace_file(job, &format!("{site}/{file}"), release)
        .or_else(|| job.components().get(&format!("LOG_{file}_{site}")).map(|log| shown(log, release)))
}

fn workspace_file<H>(job: &StoredJob<H>, path: &str, release: Release) -> Option<String> {
    job.workspace()?.iter().find(|entry| entry.path == path).and_then(|entry| match &entry.file {
        WorkspaceFile::Bytes(bytes) => Some(shown(bytes, release)),
        WorkspaceFile::Member(_) => None,
    })
}

/// The end of a log that is too long, with a note in front; before 2.9 its beginning, with a note behind.
fn shown(log: &[u8], release: Release) -> String {
    match log.len().checked_sub(MAX_LOG_LEN).filter(|over| *over > 0) {
        None => String::from_utf8_lossy(log).into_owned(),
        Some(_) if release < Release::V2_9 => {
            let beginning = String::from_utf8_lossy(&log[..MAX_LOG_LEN]);
            format!("{beginning}\n... output truncated after {MAX_LOG_LEN} bytes ...\n")
        }
        Some(over) => {
            let end = String::from_utf8_lossy(&log[over..]);
            format!("... output truncated to last {MAX_LOG_LEN} bytes ...\n{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_shows_its_end_and_before_2_9_its_beginning() {
        assert_eq!(shown(&vec![b'a'; MAX_LOG_LEN], Release::V2_9).len(), MAX_LOG_LEN);
        let long = [vec![b'a'], vec![b'b'; MAX_LOG_LEN]].concat();
        let end = shown(&long, Release::V2_9);
        assert!(end.starts_with("... output truncated to last 5242880 bytes ...\nbbb") && !end.contains("ab"));
        let beginning = shown(&long, Release::V2_8);
        assert!(
            beginning.starts_with("abb") && beginning.ends_with("b\n... output truncated after 5242880 bytes ...\n")
        );
    }
}
