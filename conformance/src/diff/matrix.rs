//! The authorization matrix: every command, said by every administrator, about what is his own, his organisation's and
//! another's; two federations have to answer the same.
//!
//! A command that changes something has an object of its own in each cell. What would take a site or the server away from
//! a federation that others use is only said by those who are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::allowance::Allowances;
use super::grammar;
use super::pair::Pair;
use super::references::References;
use super::script::Token;
use super::side::Outcome;
use super::{Tally, report, write};
use crate::kits::AdminKit;
use crate::{CaseResult, Finding, Role};

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct MatrixArguments {
    /// Folder with the startup kits of one federation, usually the real one.
    #[arg(long, value_name = "KITS_DIR")]
    left: PathBuf,
    /// Folder with the startup kits of the other, made from the same project file.
    #[arg(long, value_name = "KITS_DIR")]
    right: PathBuf,
    /// Write who may do what, as the left federation says, to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print every cell with what it came to.
    #[arg(long)]
    verbose: bool,
}

/// Commands that have no cell, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("list_sessions", "anybody may; it shows who else is logged in at the moment"),
    ("cells", "anybody may; it shows the processes of each federation"),
    ("stress", "anybody may; it makes traffic among the processes of each federation"),
];

/// Whose thing a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    /// Nobody's.
    None,
    /// The server.
    Server,
    /// The server and all sites.
    All,
    /// A site of the user's organisation.
    OwnSite,
    /// A site of another organisation.
    OtherSite,
    /// A name that no site has.
    NoSite,
    /// A job that the user submitted.
    OwnJob,
    /// A job that somebody else of his organisation submitted.
    OrgJob,
    /// A job that somebody of another organisation submitted.
    OtherJob,
    /// A study with a site of his organisation.
    OrgStudy,
    /// A study without.
    OtherStudy,
    /// A study that there is not.
    NoStudy,
}

impl Object {
    const fn title(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Server => "server",
            Self::All => "all",
            Self::OwnSite => "own organisation's site",
            Self::OtherSite => "other organisation's site",
            Self::NoSite => "unknown site",
            Self::OwnJob => "own job",
            Self::OrgJob => "own organisation's job",
            Self::OtherJob => "other organisation's job",
            Self::OrgStudy => "own organisation's study",
            Self::OtherStudy => "other organisation's study",
            Self::NoStudy => "unknown study",
        }
    }
}

/// What a command does when it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing that stays.
    Nothing,
    /// Its object is used up.
    Uses,
    /// It takes its target away: only those say it who are refused.
    Ends,
}

/// One command with one kind of object.
struct Row {
    command: &'static str,
    object: Object,
    /// With `{site}`, `{job}`, `{study}`, `{sites}` for the object.
    line: String,
    effect: Effect,
}

const SITE_OBJECTS: [Object; 2] = [Object::OwnSite, Object::OtherSite];
const JOB_OBJECTS: [Object; 3] = [Object::OwnJob, Object::OrgJob, Object::OtherJob];
const STUDY_OBJECTS: [Object; 3] = [Object::OrgStudy, Object::OtherStudy, Object::NoStudy];

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |command: &'static str, object: Object, rest: &str, effect: Effect| {
        let line = if rest.is_empty() { command.to_owned() } else { format!("{command} {rest}") };
        rows.push(Row { command, object, line, effect });
    };
    // Targets: the server, a site, everything.
    for (command, words) in [
        ("check_status", ""),
        ("admin_check_status", ""),
        ("show_scopes", ""),
        ("sys_info", ""),
        ("report_resources", ""),
        ("report_version", ""),
        ("configure_site_log", " INFO"),
    ] {
        add(command, Object::Server, &format!("server{words}"), Effect::Nothing);
        for object in SITE_OBJECTS {
            add(command, object, &format!("client {{site}}{words}"), Effect::Nothing);
        }
        add(command, Object::All, &format!("all{words}"), Effect::Nothing);
    }
    for command in ["restart", "shutdown"] {
        add(command, Object::Server, "server", Effect::Ends);
        for object in SITE_OBJECTS {
            add(command, object, "client {site}", Effect::Ends);
        }
        add(command, Object::All, "all", Effect::Ends);
    }
    for object in SITE_OBJECTS {
        add("report_env", object, "{site}", Effect::Nothing);
        add("disable_client", object, "{site}", Effect::Ends);
        add("enable_client", object, "{site}", Effect::Nothing);
        add("remove_client", object, "{site}", Effect::Ends);
        add("dead", object, "{site} 11111111-1111-4111-8111-111111111111", Effect::Nothing);
    }
    for command in ["disable_client", "enable_client", "remove_client"] {
        add(command, Object::NoSite, "nosite", Effect::Nothing);
    }
    for (command, words) in [
        ("pwd", ""),
        ("ls", " nosuch"),
        ("cat", " nosuch.txt"),
        ("head", " nosuch.txt"),
        ("tail", " nosuch.txt"),
        ("grep", " pattern nosuch.txt"),
    ] {
        add(command, Object::Server, &format!("server{words}"), Effect::Nothing);
        for object in SITE_OBJECTS {
            add(command, object, &format!("{{site}}{words}"), Effect::Nothing);
        }
    }
    // Jobs.
    for (command, words, effect) in [
        ("get_job_meta", "", Effect::Nothing),
        ("list_job", "", Effect::Nothing),
        ("get_job_log", "", Effect::Nothing),
        ("configure_job_log", " server INFO", Effect::Nothing),
        ("show_stats", " server", Effect::Nothing),
        ("show_errors", " server", Effect::Nothing),
        ("reset_errors", " server", Effect::Nothing),
        ("app_command", " topic", Effect::Nothing),
        ("download_job", "", Effect::Nothing),
        ("download_job_components", "", Effect::Nothing),
        ("clone_job", "", Effect::Uses),
        ("abort_job", "", Effect::Uses),
        ("delete_job", "", Effect::Uses),
    ] {
        for object in JOB_OBJECTS {
            add(command, object, &format!("{{job}}{words}"), effect);
        }
    }
    // Not as an upload, which comes after the question whether the user may.
    add("submit_job", Object::None, "folder", Effect::Nothing);
    add("list_jobs", Object::None, "", Effect::Nothing);
    // Studies.
    for (command, words) in [
        ("show_study", "{study}"),
        ("register_study", "{study} {sites}"),
        ("add_study_site", "{study} {sites}"),
        ("remove_study_site", "{study} {sites}"),
        ("add_study_user", "{study} somebody"),
        ("remove_study_user", "{study} guest"),
        ("remove_study", "{study}"),
    ] {
        for object in STUDY_OBJECTS {
            add(command, object, words, Effect::Uses);
        }
    }
    add("list_studies", Object::None, "", Effect::Nothing);
    // Cells: without arguments, which no command of them asks for before it tells its usage.
    for command in [
        "conns",
        "list_pools",
        "msg_stats",
        "peers",
        "process_info",
        "route",
        "show_comm_config",
        "show_config_vars",
        "show_pool",
        "speed",
        "url_use",
    ] {
        add(command, Object::None, "", Effect::Nothing);
    }
    rows
}

/// A row said by one administrator about one thing.
struct Cell {
    row: usize,
    actor: usize,
    /// Whose job it is about: an index into the administrators.
    submitter: Option<usize>,
    /// The organisation whose site the study is made of.
    study_org: Option<String>,
    site: String,
}

/// Who may do what.
type Verdicts = BTreeMap<(usize, usize), &'static str>;

/// Compares, and prints what differs and a closing line `matrix: N passed, N failed`.
///
/// # Errors
/// When a federation cannot be used, the two are not made of the same participants, or there is a command without a cell.
pub(crate) async fn run(arguments: &MatrixArguments, out: &mut impl Write) -> CaseResult<Tally> {
    let mut pair = Pair::open(&arguments.left, &arguments.right).await?;
    let rows = rows();
    every_command_has_a_cell(&pair.commands().await?, &rows)?;
    let mut table = Matrix { admins: pair.admins().to_vec(), sites: pair.sites(), rows, jobs: BTreeMap::new() };
    pair.clear().await?;
    let mut references = References::default();
    let (mut verdicts, mut tally) = (Verdicts::new(), Tally { same: 0, different: 0 });
    let (mut skipped, mut unsteady) = (0, BTreeSet::new());
    for cell in table.cells() {
        if table.would_end_something(&cell) {
            verdicts.insert((cell.row, cell.actor), "not tried");
            skipped += 1;
            continue;
        }
        let (line, (problems, outcomes)) = table.say(&mut pair, &cell, &mut references).await?;
        let user = &table.admins[cell.actor].user;
        if arguments.verbose {
            write(out, format_args!("{user}: {line}\n    {}\n", super::shown(&outcomes[0])))?;
        }
        if problems.is_empty() {
            tally.same += 1;
        } else {
            tally.different += 1;
            report(out, &format!("{user}: {line}"), &Allowances::none(), &problems, [&outcomes[0], &outcomes[1]])?;
        }
        let verdict = verdict(&outcomes[0]);
        if verdicts.insert((cell.row, cell.actor), verdict).is_some_and(|before| before != verdict) {
            unsteady.insert(line);
        }
    }
    pair.clear().await?;
    if !unsteady.is_empty() {
        return Err(Finding::harness(format!("cells of one kind have different verdicts: {unsteady:?}")));
    }
    if let Some(path) = &arguments.markdown {
        let text = table.markdown(&verdicts);
        fs::write(path, text).map_err(|error| Finding::harness(format!("{}: {error}", path.display())))?;
    }
    write(
        out,
        format_args!(
            "matrix: {} passed, {} failed ({skipped} cells that would end a site or the server were not tried)\n",
            tally.same, tally.different
        ),
    )?;
    Ok(tally)
}

fn every_command_has_a_cell(commands: &[String], rows: &[Row]) -> CaseResult {
    let known =
        |name: &str| rows.iter().any(|row| row.command == name) || LEFT_OUT.iter().any(|(command, _)| *command == name);
    let without: Vec<&String> = commands.iter().filter(|name| !known(name)).collect();
    if without.is_empty() { Ok(()) } else { Err(Finding::harness(format!("commands without a cell: {without:?}"))) }
}

struct Matrix {
    admins: Vec<AdminKit>,
    sites: Vec<(String, String)>,
    rows: Vec<Row>,
    /// The job of each submitter that commands without effect are about: its number on both sides.
    jobs: BTreeMap<usize, usize>,
}

impl Matrix {
    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for row in 0..self.rows.len() {
            for actor in 0..self.admins.len() {
                self.cells_of(row, actor, &mut cells);
            }
        }
        cells
    }

    fn cells_of(&self, row: usize, actor: usize, cells: &mut Vec<Cell>) {
        let org = &self.admins[actor].org;
        let object = self.rows[row].object;
        let site = |own: bool| self.sites.iter().find(|(_, of)| (of == org) == own).cloned();
        let mut push = |submitter: Option<usize>, study_org: Option<String>, site: String| {
            cells.push(Cell { row, actor, submitter, study_org, site });
        };
        match object {
            Object::OwnSite | Object::OtherSite => {
                if let Some((name, _)) = site(object == Object::OwnSite) {
                    push(None, None, name);
                }
            }
            Object::OwnJob | Object::OrgJob | Object::OtherJob => {
                for (index, submitter) in self.admins.iter().enumerate() {
                    let relation = match (index == actor, submitter.org == *org) {
                        (true, _) => Object::OwnJob,
                        (false, true) => Object::OrgJob,
                        (false, false) => Object::OtherJob,
                    };
                    if may_submit(submitter) && relation == object {
                        push(Some(index), None, String::new());
                    }
                }
            }
            Object::OrgStudy | Object::OtherStudy | Object::NoStudy => {
                if let (Some((own, _)), Some((_, of))) = (site(true), site(object == Object::OrgStudy)) {
                    push(None, Some(of), own);
                }
            }
            Object::None | Object::Server | Object::All | Object::NoSite => push(None, None, String::new()),
        }
    }

    /// True for a cell that takes something away because it is allowed, by the default policy.
    fn would_end_something(&self, cell: &Cell) -> bool {
        let row = &self.rows[cell.row];
        let actor = &self.admins[cell.actor];
        let server_org =
            self.admins.iter().find(|kit| kit.role == Some(Role::ProjectAdmin)).map(|kit| kit.org.as_str());
        let site_org = self.sites.iter().find(|(name, _)| *name == cell.site).map(|(_, org)| org.as_str());
        // Who keeps sites out is decided by the server, who restarts them by the sites.
        let decides = match row.command {
            "restart" | "shutdown" if site_org.is_some() => site_org,
            _ => server_org,
        };
        let operates = match actor.role {
            Some(Role::ProjectAdmin) => true,
            Some(Role::OrgAdmin | Role::Lead) => decides == Some(actor.org.as_str()),
            _ => false,
        };
        row.effect == Effect::Ends && operates
    }

    fn project_admin(&self) -> CaseResult<usize> {
        let found = self.admins.iter().position(|kit| kit.role == Some(Role::ProjectAdmin));
        found.ok_or_else(|| Finding::untestable("the federations lack: kit of a project_admin"))
    }

    /// Makes the object of a cell, says its line, and takes the object away again.
    async fn say(
        &mut self,
        pair: &mut Pair,
        cell: &Cell,
        references: &mut References,
    ) -> CaseResult<(String, (Vec<String>, [Outcome; 2]))> {
        let admin = self.project_admin()?;
        let uses = self.rows[cell.row].effect == Effect::Uses;
        let mut line = self.rows[cell.row].line.replace("{site}", &cell.site);
        if let Some(submitter) = cell.submitter {
            let known = self.jobs.get(&submitter).copied().filter(|_| !uses);
            let number = match known {
                Some(number) => number,
                None => {
                    pair.submit(submitter).await?;
                    let number = pair.jobs() - 1;
                    self.jobs.entry(submitter).or_insert(number);
                    number
                }
            };
            line = line.replace("{job}", &format!("{{job:{number}}}"));
        }
        if let Some(org) = &cell.study_org {
            let actor = &self.admins[cell.actor];
            let study = format!("matrix-{}-{}", cell.row, cell.actor);
            let form = match actor.role {
                Some(Role::ProjectAdmin) => format!("--site-org {}:{}", actor.org, cell.site),
                _ => format!("--sites {}", cell.site),
            };
            line = line.replace("{study}", &study).replace("{sites}", &form);
            if self.rows[cell.row].object != Object::NoStudy {
                let site = self.sites.iter().find(|(_, of)| of == org).map_or("", |(name, _)| name.as_str());
                for line in
                    [format!("register_study {study} --site-org {org}:{site}"), format!("add_study_user {study} guest")]
                {
                    prepare(pair, admin, &line, references).await?;
                }
            }
        }
        let allowances = grammar::allowances_of(self.rows[cell.row].command);
        let said = pair.say(cell.actor, &line, Token::Own, &allowances, references).await;
        if cell.study_org.is_some() {
            let line = format!("remove_study matrix-{}-{}", cell.row, cell.actor);
            prepare(pair, admin, &line, references).await?;
        }
        if self.rows[cell.row].command == "disable_client" {
            prepare(pair, admin, "enable_client nosite", references).await?;
        }
        Ok((line, said))
    }

    fn markdown(&self, verdicts: &Verdicts) -> String {
        let mut text = String::from(HEADING);
        let server_org = self.project_admin().map(|index| self.admins[index].org.clone()).unwrap_or_default();
        let mut order: Vec<usize> = (0..self.admins.len()).collect();
        order.sort_by_key(|index| (self.admins[*index].org != server_org, self.admins[*index].role));
        text.push_str("| command | about |");
        for index in &order {
            let kit = &self.admins[*index];
            let role = kit.role.map_or("?", Role::as_str);
            let home = if kit.org == server_org { "" } else { ", other organisation" };
            text.push_str(&format!(" {role}{home} |"));
        }
        text.push_str("\n|---|---|");
        text.push_str(&"---|".repeat(order.len()));
        text.push('\n');
        for (number, row) in self.rows.iter().enumerate() {
            text.push_str(&format!("| `{}` | {} |", row.command, row.object.title()));
            for index in &order {
                text.push_str(&format!(" {} |", verdicts.get(&(number, *index)).unwrap_or(&"")));
            }
            text.push('\n');
        }
        text.push_str("\nWithout a row:\n\n");
        for (command, reason) in LEFT_OUT {
            text.push_str(&format!("- `{command}`: {reason}\n"));
        }
        text
    }
}

const HEADING: &str = "# Who may do what

Written by `flare-conformance matrix`, which says every command to two federations with the default policy, compares the
answers, and notes here what the first of them said. The server belongs to one organisation; users and sites belong to it or to
another one.

| word | meaning |
|---|---|
| yes | carried out, or refused for another reason than who asked |
| no | the server refuses: not authorized |
| site: no | the site refuses: not authorized |
| partly | some of the targets refuse |
| hidden | the study does not exist as far as the user is told |
| not tried | allowed by the policy, and would take a site or the server away |
| (empty) | there is no such thing, such as a job of somebody who may not submit |

";

/// Says a line of no cell, which need not be answered in the same way but has to be answered.
async fn prepare(pair: &mut Pair, who: usize, line: &str, references: &mut References) -> CaseResult {
    let (_, outcomes) = pair.say(who, line, Token::Own, &Allowances::none(), references).await;
    match outcomes.into_iter().find_map(Outcome::err) {
        Some(problem) => Err(Finding::harness(format!("{line}: {problem}"))),
        None => Ok(()),
    }
}

fn may_submit(kit: &AdminKit) -> bool {
    matches!(kit.role, Some(Role::ProjectAdmin | Role::Lead))
}

/// What an answer says about the user's right.
fn verdict(outcome: &Outcome) -> &'static str {
    let Ok(reply) = outcome else { return "no answer" };
    let text = reply["data"].to_string();
    let refused = text.to_lowercase().replace('_', " ").contains("not authorized for");
    let code = reply.pointer("/data/0/data/error_code").and_then(Value::as_str);
    match (reply["meta"]["status"].as_str(), refused, code) {
        (Some("not_authorized"), ..) => "no",
        (_, _, Some("STUDY_NOT_FOUND" | "STUDY_ALREADY_EXISTS")) => "hidden",
        // A study's list says of each study whether the user may submit to it.
        (_, true, _) if text.contains("capabilities") => "yes",
        (_, true, _) if has_several_answers(reply) => "partly",
        (_, true, _) => "site: no",
        _ => "yes",
    }
}

/// True when the answers of several targets are in it.
fn has_several_answers(reply: &Value) -> bool {
    let items = reply["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = items.iter().filter_map(|item| item["rows"].as_array()).map(|rows| rows.len().saturating_sub(1)).max();
    let entries = items.iter().filter_map(|item| item["data"].as_object()).map(serde_json::Map::len).max();
    rows.unwrap_or(0).max(entries.unwrap_or(0)) > 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matrix() -> Matrix {
        let kit = |user: &str, org: &str, role: Role| AdminKit {
            path: "kit".into(),
            user: user.to_owned(),
            org: org.to_owned(),
            role: Some(role),
            server: serde_json::from_str("{}").unwrap(),
        };
        let roles = [Role::OrgAdmin, Role::Lead, Role::Member];
        let mut admins = vec![kit("admin", "a", Role::ProjectAdmin)];
        for org in ["a", "b"] {
            admins.extend(roles.map(|role| kit(&format!("{role}-{org}"), org, role)));
        }
        let sites = vec![("site-1".to_owned(), "a".to_owned()), ("site-3".to_owned(), "b".to_owned())];
        Matrix { admins, sites, rows: rows(), jobs: BTreeMap::new() }
    }

    #[test]
    fn what_takes_something_away_is_said_by_those_only_who_are_refused() {
        let matrix = matrix();
        let ends: Vec<Cell> =
            matrix.cells().into_iter().filter(|cell| matrix.rows[cell.row].effect == Effect::Ends).collect();
        let (skipped, said): (Vec<&Cell>, Vec<&Cell>) = ends.iter().partition(|cell| matrix.would_end_something(cell));
        assert!(!skipped.is_empty() && !said.is_empty());
        for cell in said {
            let actor = &matrix.admins[cell.actor];
            let row = &matrix.rows[cell.row];
            let is_member = actor.role == Some(Role::Member);
            let is_foreign = match row.command {
                "restart" | "shutdown" if row.object == Object::OtherSite => true,
                "restart" | "shutdown" if row.object == Object::OwnSite => false,
                _ => actor.org == "b",
            };
            assert!(is_member || is_foreign, "{} says {:?}", actor.user, row.line);
        }
    }

    #[test]
    fn every_cell_has_what_its_line_asks_for() {
        let matrix = matrix();
        for cell in matrix.cells() {
            let line = &matrix.rows[cell.row].line;
            assert_eq!(line.contains("{job}"), cell.submitter.is_some(), "{line}");
            assert_eq!(line.contains("{study}"), cell.study_org.is_some(), "{line}");
            assert!(!line.contains("{site}") || !cell.site.is_empty(), "{line}");
        }
    }

    #[test]
    fn an_answer_says_who_refuses() {
        let refusal = "user 'x' is not authorized for 'pwd'";
        for (reply, expected) in [
            (json!({"data": [{"data": refusal}], "meta": {"status": "not_authorized"}}), "no"),
            (json!({"data": [{"type": "string", "data": refusal}], "meta": {}}), "site: no"),
            (json!({"data": [{"rows": [["A"], ["s", refusal]]}], "meta": {}}), "site: no"),
            (json!({"data": [{"rows": [["A"], ["s", refusal], ["t", "ok"]]}], "meta": {}}), "partly"),
            (json!({"data": [{"data": {"error_code": "STUDY_NOT_FOUND"}}], "meta": {"status": "ok"}}), "hidden"),
            (json!({"data": [{"data": "OK"}], "meta": {}}), "yes"),
        ] {
            assert_eq!(verdict(&Ok(reply.clone())), expected, "{reply}");
        }
    }
}
