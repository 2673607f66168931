//! One of the two federations: a session per administrator, and what the placeholders of a script stand for there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::LazyLock;

use flare_client::{Session, StartupKit};
use flare_wire::hci::{Item, JsonObject, Reply};
use regex::{Captures, Regex};
use serde_json::Value;

use super::script::Token;
use crate::job_folder::JobFolder;
use crate::kits::{AdminKit, Kits};
use crate::raw::{Admin, DOOR};
use crate::{CaseResult, Finding, Role};

/// Column of the table of clients that holds the token of a site.
const TOKEN_COLUMN: usize = 4;

/// Column of the table of commands that holds the name.
const COMMAND_COLUMN: usize = 1;

/// Takes back every `disable_client` of the grammar: servers keep the names.
const DISABLED_NAMES: &str = "enable_client nosite other server 'no site' Site-1";

/// How the names of all jobs of scripts begin.
const JOB_PREFIX: &str = "diff";

/// A token that has the form of one and that nobody signed.
const FORGED_TOKEN: &str = "eyJuIjogIngifQ==:eHg=";

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{(job|recent|token):([^}]*)\}").expect("the expression is a constant that every line is matched with")
});

/// A federation that takes part in a comparison.
pub(super) struct Side {
    kits: Kits,
    port: Regex,
    sessions: Vec<Admin>,
    site_tokens: BTreeMap<String, String>,
    jobs: Vec<String>,
    /// Sessions of our client, which uploads jobs.
    uploaders: BTreeMap<usize, Session>,
}

/// What a line came to: the reply, or why there was none.
pub(super) type Outcome = Result<Value, String>;

impl Side {
    /// Logs in as every administrator below `folder`.
    pub(super) async fn open(folder: &Path) -> CaseResult<Self> {
        let kits = Kits::read(folder).map_err(|error| Finding::harness(error.to_string()))?;
        let mut sessions = Vec::new();
        for kit in kits.admins() {
            let _turn = DOOR.acquire().await.map_err(|error| Finding::harness(error.to_string()))?;
            sessions.push(Admin::login(kit).await?);
        }
        let port = kits.admins().first().map_or(0, |kit| kit.server.port);
        let port = Regex::new(&format!(r"\b{port}\b")).map_err(|error| Finding::harness(error.to_string()))?;
        let mut side =
            Self { kits, port, sessions, site_tokens: BTreeMap::new(), jobs: Vec::new(), uploaders: BTreeMap::new() };
        side.learn_site_tokens().await?;
        Ok(side)
    }

    /// The administrators.
    pub(super) fn admins(&self) -> &[AdminKit] {
        self.kits.admins()
    }

    /// Names and organisations of everybody, which have to be the same on both sides.
    pub(super) fn participants(&self) -> Vec<(String, String)> {
        let admins = self.kits.admins().iter().map(|kit| (kit.user.clone(), kit.org.clone()));
        admins.chain(self.kits.sites().iter().map(|site| (site.name.clone(), site.org.clone()))).collect()
    }

    /// Says a line, and waits for what the server says to it.
    pub(super) async fn say(&mut self, who: usize, line: &str, token: Token) -> Outcome {
        let line = self.resolve(line);
        let reply = match (self.sessions.get_mut(who), token) {
            (None, _) => return Err("there is no such administrator".to_owned()),
            (Some(admin), Token::Own) => admin.command(&line).await,
            (Some(admin), Token::Missing) => admin.command_as(&line, None).await,
            (Some(admin), Token::Forged) => admin.command_as(&line, Some(FORGED_TOKEN)).await,
        };
        let reply = reply.map_err(|finding| self.without_own_names(finding.message()))?;
        self.jobs.extend(clone_in(&reply));
        serde_json::from_str(&self.without_own_names(&reply.to_json())).map_err(|error| error.to_string())
    }

    /// Removes all studies, the jobs of scripts, and the names that scripts disable.
    pub(super) async fn clear(&mut self) -> CaseResult {
        self.jobs.clear();
        let admin = self.project_admin()?;
        for study in names(&admin.command("list_studies").await?, "studies") {
            admin.command(&format!("remove_study {study}")).await?;
        }
        admin.command(DISABLED_NAMES).await?;
        let jobs = admin.command(&format!("list_jobs -n {JOB_PREFIX}")).await?;
        let jobs = jobs.meta.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
        for job_id in jobs.iter().filter_map(|job| job["job_id"].as_str()) {
            admin.command(&format!("delete_job {job_id}")).await?;
        }
        Ok(())
    }

    /// Submits a job as this administrator. It stays as it is until somebody says something to it: a scheduler that meets
    /// a text where a number of sites should be (2.9.0) never comes to try it, nor any job after it.
    pub(super) async fn submit(&mut self, who: usize) -> CaseResult {
        let letter = char::from(b'a' + u8::try_from(self.jobs.len() % 26).unwrap_or_default());
        let job = JobFolder::waiting(&format!("{JOB_PREFIX}-{letter}"))?.with_meta("min_clients", "2".into())?;
        let session = match self.uploaders.entry(who) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kit = self.kits.admins().get(who).ok_or_else(|| Finding::harness("no such administrator"))?;
                entry.insert(Session::builder(StartupKit::open(&kit.path)?).connect().await?)
            }
        };
        self.jobs.push(session.submit_job(job.path()).await?.to_string());
        Ok(())
    }

    /// The administrators who may submit, by number.
    pub(super) fn submitters(&self) -> Vec<usize> {
        let may = |kit: &AdminKit| matches!(kit.role, Some(Role::ProjectAdmin | Role::Lead));
        (0..self.kits.admins().len()).filter(|index| may(&self.kits.admins()[*index])).collect()
    }

    /// How many jobs scripts can name.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Names and organisations of the sites.
    pub(super) fn sites(&self) -> Vec<(String, String)> {
        self.kits.sites().iter().map(|site| (site.name.clone(), site.org.clone())).collect()
    }

    /// The names of the commands that the server offers.
    pub(super) async fn commands(&mut self) -> CaseResult<Vec<String>> {
        let reply = self.project_admin()?.command("_commands").await?;
        let rows = reply.data.iter().filter_map(|item| match item {
            Item::Table(rows) => Some(rows.iter().skip(1)),
            _ => None,
        });
        Ok(rows.flatten().filter_map(|row| row.get(COMMAND_COLUMN)?.clone()).collect())
    }

    fn project_admin(&mut self) -> CaseResult<&mut Admin> {
        let index = self.kits.admins().iter().position(|kit| kit.role == Some(Role::ProjectAdmin));
        index
            .and_then(|index| self.sessions.get_mut(index))
            .ok_or_else(|| Finding::untestable("the federation lacks: kit of a project_admin"))
    }

    async fn learn_site_tokens(&mut self) -> CaseResult {
        let reply = self.project_admin()?.command_with("check_status server", JsonObject::new()).await?;
        let tables = reply.data.iter().filter_map(|item| match item {
            Item::Table(rows) => Some(rows),
            _ => None,
        });
        let rows = tables.flat_map(|rows| rows.iter().skip(1));
        self.site_tokens =
            rows.filter_map(|row| Some((row.first()?.clone()?, row.get(TOKEN_COLUMN)?.clone()?))).collect();
        Ok(())
    }

    /// `line` with what the placeholders stand for on this side.
    fn resolve(&self, line: &str) -> String {
        let resolved = PLACEHOLDER.replace_all(line, |found: &Captures<'_>| {
            let known = match &found[1] {
                "job" => found[2].parse::<usize>().ok().and_then(|index| self.jobs.get(index % self.jobs.len().max(1))),
                "recent" => found[2].parse::<usize>().ok().and_then(|index| self.jobs.iter().rev().nth(index)),
                _ => self.site_tokens.get(&found[2]),
            };
            known.cloned().unwrap_or_else(|| format!("00000000-0000-4000-8000-{:0>12}", found[2].len()))
        });
        resolved.into_owned()
    }

    /// `text` with marks for this side's own folder and port.
    fn without_own_names(&self, text: &str) -> String {
        let folder = self.kits.folder().display().to_string();
        self.port.replace_all(&text.replace(&folder, "<kits>"), "<port>").into_owned()
    }
}

/// The id of a job that this reply says was made by cloning another.
fn clone_in(reply: &Reply) -> Option<String> {
    let is_clone = matches!(reply.data.first(), Some(Item::String(text)) if text.starts_with("Cloned job "));
    reply.meta.get("job_id").filter(|_| is_clone)?.as_str().map(str::to_owned)
}

/// A list of texts in the first `dict` of a reply.
fn names(reply: &Reply, member: &str) -> Vec<String> {
    let dict = reply.data.iter().find_map(|item| match item {
        Item::Dict(object) => object.get(member)?.as_array(),
        _ => None,
    });
    dict.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
