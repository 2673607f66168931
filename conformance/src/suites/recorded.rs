//! Commands whose reply is always the same, compared item by item with what a real 2.9.0 server was recorded to say.
//!
//! The expectation is the recording itself (package `flare-fixtures`), with the names of the recorded users and sites
//! replaced by those of the target. Two things may differ, and are brought into one order before comparing: the rows
//! of tables about sites and the keys of objects keyed by site, since both follow the order of registration.

use flare_fixtures::RecordedReply;
use serde_json::{Map, Value};

use crate::finding::ensure_eq;
use crate::{Case, CaseResult, Context, Finding, Home, Need, Role, Who};

/// Organisation of the recorded server.
const RECORDED_SERVER_ORG: &str = "nvidia";
/// Release of the recorded server and sites. Those of the target are of one release, too.
const RECORDED_RELEASE: &str = "2.9.0";
/// The recorded sites, and whose organisation's they were.
const RECORDED_SITES: [(&str, Home, usize); 3] =
    [("site-1", Home::Server, 0), ("site-2", Home::Server, 1), ("site-3", Home::Elsewhere, 0)];

/// Recorded replies about one topic.
struct Group {
    slug: &'static str,
    requirements: &'static [&'static str],
    replies: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        slug: "protocol",
        requirements: &["READ-PROTOCOL-001"],
        replies: &["proto.case", "proto.empty_command", "proto.unknown_command", "proto.long_command"],
    },
    Group {
        slug: "commands",
        requirements: &["READ-COMMANDS-001", "READ-COMMANDS-002"],
        replies: &["_commands.all", "_commands.member", "_commands.with_arg"],
    },
    Group {
        slug: "target",
        requirements: &["READ-TARGET-001"],
        replies: &[
            "check_status.noarg",
            "check_status.badtype",
            "check_status.client.bad",
            "report_resources.noarg",
            "report_resources.foo",
            "report_version.noarg",
            "report_version.foo",
            "report_env.bad",
        ],
    },
    Group {
        slug: "status",
        requirements: &["READ-STATUS-001", "READ-TARGET-002"],
        replies: &[
            "check_status.client.project_admin",
            "check_status.client.org_admin",
            "check_status.client.lead",
            "check_status.client.member",
            "check_status.client.member_acme",
            "check_status.client.one",
            "check_status.client.two",
            "proto.cmd_timeout_str",
        ],
    },
    Group {
        slug: "resources",
        requirements: &["READ-RESOURCES-001", "READ-AUTHORIZATION-001", "READ-AUTHORIZATION-002"],
        replies: &[
            "report_resources.server",
            "report_resources.server.org_admin",
            "report_resources.server.lead",
            "report_resources.server.member",
            "report_resources.server.orgadmin_acme",
            "report_resources.server.lead_acme",
            "report_resources.client",
            "report_resources.client.org_admin",
            "report_resources.client.lead",
            "report_resources.client.member",
            "report_resources.client.orgadmin_acme",
            "report_resources.client.lead_acme",
            "report_resources.client_site-1",
            "report_resources.all",
            "report_resources.all.org_admin",
            "report_resources.all.lead",
            "report_resources.all.member",
            "report_resources.all.orgadmin_acme",
            "report_resources.all.lead_acme",
        ],
    },
    Group {
        slug: "version",
        requirements: &["READ-VERSION-001", "READ-AUTHORIZATION-003", "SPEC-REPORT-VERSION-002"],
        replies: &[
            "report_version.server",
            "report_version.server.org_admin",
            "report_version.server.lead",
            "report_version.server.member",
            "report_version.server.orgadmin_acme",
            "report_version.server.lead_acme",
            "report_version.client",
            "report_version.client.org_admin",
            "report_version.client.lead",
            "report_version.client.member",
            "report_version.client.orgadmin_acme",
            "report_version.client.lead_acme",
            "report_version.client_site-1",
            "report_version.all",
            "report_version.all.org_admin",
            "report_version.all.lead",
            "report_version.all.member",
            "report_version.all.orgadmin_acme",
            "report_version.all.lead_acme",
        ],
    },
    Group {
        slug: "environment",
        requirements: &["READ-ENV-001", "READ-AUTHORIZATION-004"],
        replies: &["report_env.lead_other_org", "report_env.lead_acme", "report_env.member"],
    },
    Group {
        slug: "jobs",
        requirements: &["READ-JOBS-001", "READ-JOBS-002", "READ-JOBS-003"],
        replies: &[
            "list_jobs.bad_m",
            "list_jobs.bad_option",
            "list_jobs.help",
            "list_jobs.two_args",
            "list_jobs.bad_token",
            "list_jobs.submit_token.unknown",
        ],
    },
    Group {
        slug: "job-meta",
        requirements: &["READ-JOB-META-001", "READ-JOB-META-002"],
        replies: &[
            "get_job_meta.noarg",
            "get_job_meta.bad_id",
            "get_job_meta.own_id",
            "get_job_meta.uuid1_id",
            "get_job_meta.upper_id",
            "get_job_meta.nodash_id",
            "get_job_meta.unknown_id",
            "get_job_meta.unknown_id.member",
        ],
    },
    Group { slug: "studies", requirements: &["READ-STUDIES-001"], replies: &["list_studies.extra_arg"] },
    Group {
        slug: "shell.target",
        requirements: &["READ-SHELL-TARGET-001"],
        replies: &["pwd.noarg", "pwd.all", "pwd.unknown", "ls.noarg", "ls.unknown"],
    },
    Group {
        slug: "shell.option",
        requirements: &["READ-SHELL-OPTION-001"],
        replies: &[
            "pwd.extra",
            "ls.bad_opt",
            "ls.two_files",
            "cat.bad_opt",
            "cat.no_file",
            "cat.two",
            "head.bad_n",
            "head.no_file",
            "head.two",
            "tail.no_file",
            "grep.noarg",
            "grep.no_pattern",
            "grep.pattern_dash",
        ],
    },
    Group {
        slug: "shell.path",
        requirements: &["READ-SHELL-PATH-001"],
        replies: &[
            "ls.abs",
            "ls.dotdot",
            "ls.glob",
            "cat.abs",
            "cat.dotdot",
            "cat.badchars",
            "cat.bad_ext",
            "cat.bad_ext_default",
            "cat.dir",
            "cat.no_ext",
            "cat.pem",
        ],
    },
    Group {
        slug: "shell.output",
        requirements: &["READ-SHELL-OUTPUT-001"],
        replies: &["cat.missing", "cat.rotated", "ls.missing"],
    },
    Group {
        slug: "shell.site",
        requirements: &["READ-SHELL-SITE-001", "READ-AUTHORIZATION-001"],
        replies: &[
            "pwd.server.member",
            "pwd.server.lead_acme",
            "pwd.server.orgadmin_acme",
            "pwd.site-1.member",
            "pwd.site-1.lead_acme",
            "pwd.site-1.orgadmin_acme",
            "pwd.site-3.member",
            "pwd.site-3.lead",
            "pwd.site-3.org_admin",
        ],
    },
];

pub(super) fn cases() -> Vec<Case> {
    GROUPS.iter().flat_map(|group| group.replies.iter().map(|name| case(group, name))).collect()
}

fn case(group: &Group, name: &'static str) -> Case {
    let slug: Vec<String> =
        name.split('.').map(|part| part.trim_start_matches('_').replace('_', "-").to_lowercase()).collect();
    Case::new(
        format!("recorded.{}.{}", group.slug, slug.join("-")),
        format!("the reply is that of the recording {name}"),
        move |context| replay(context, name),
    )
    .checks(group.requirements)
}

/// Who sent the recorded command.
fn who(recorded: &RecordedReply) -> CaseResult<Who> {
    let role = Role::ALL.into_iter().find(|role| role.as_str() == recorded.role);
    let role = role.ok_or_else(|| Finding::harness(format!("unknown role {}", recorded.role)))?;
    let home = if recorded.org == RECORDED_SERVER_ORG { Home::Server } else { Home::Elsewhere };
    Ok(Who { role, home })
}

async fn replay(context: Context, name: &'static str) -> CaseResult {
    let recorded = flare_fixtures::reply(name);
    let who = who(recorded)?;
    let kit = context.kit(who)?;
    let names = Names::new(&context, recorded, &kit.user)?;
    let line = recorded.command.as_deref().ok_or_else(|| Finding::harness("the recording has no command"))?;

    let mut admin = context.spare_admin(who).await?;
    let meta = match &recorded.request_meta {
        Some(Value::Object(meta)) => meta.clone(),
        _ => Map::new(),
    };
    let reply = admin.command_with(&names.of_target(line), meta).await?;
    context.target().spares().put(who, admin);

    let mut observed: Value =
        serde_json::from_str(&reply.to_json()).map_err(|error| Finding::harness(error.to_string()))?;
    if context.target().require(Need::ControlledTime).is_err() {
        forget_reservations(&mut observed);
    }
    let expected: Value = serde_json::from_str(&names.of_target(&recorded.reply.to_string()))
        .map_err(|error| Finding::harness(error.to_string()))?;
    let keys = |reply: &Value| reply["meta"].as_object().map(|meta| meta.keys().cloned().collect::<Vec<_>>());
    ensure_eq!(canonical(&observed["data"]), canonical(&expected["data"]), "items of the reply to `{line}`");
    ensure_eq!(canonical(&observed["meta"]), canonical(&expected["meta"]), "meta of the reply to `{line}`");
    ensure_eq!(keys(&observed), keys(&expected), "order of the meta keys of the reply to `{line}`");
    Ok(())
}

/// The names in a recording, and what they are called on the target.
struct Names(Vec<(String, String)>);

impl Names {
    fn new(context: &Context, recorded: &RecordedReply, user: &str) -> CaseResult<Self> {
        let command = recorded.command.as_deref().unwrap_or_default();
        let reply = recorded.reply.to_string();
        let mut names = vec![(recorded.user.clone(), user.to_owned())];
        if let Some(version) = &context.target().description().version {
            names.push((RECORDED_RELEASE.to_owned(), version.clone()));
        }
        // A reply about sites that the command does not name is about every site, so the target must have as many.
        let about_all = RECORDED_SITES.iter().any(|(name, ..)| reply.contains(name) && !command.contains(name));
        for (name, home, index) in RECORDED_SITES {
            let sites = context.target().sites(home);
            let recorded_sites = RECORDED_SITES.iter().filter(|(_, other, _)| *other == home).count();
            if about_all && sites.len() != recorded_sites {
                return Err(Finding::untestable("the target lacks: exactly the sites of the recording"));
            }
            if about_all || command.contains(name) {
                let site = sites.get(index).ok_or_else(|| crate::Target::lacks(Need::Site(home)))?;
                names.push((name.to_owned(), site.name.clone()));
            }
        }
        Ok(Self(names))
    }

    /// `text` with every recorded name replaced. Names of the target may be recorded names of something else, so
    /// all are replaced by marks first.
    fn of_target(&self, text: &str) -> String {
        let mark = |index: usize| format!("\u{1}{index}\u{2}");
        let marked = self
            .0
            .iter()
            .enumerate()
            .fold(text.to_owned(), |text, (index, (recorded, _))| text.replace(recorded.as_str(), &mark(index)));
        self.0.iter().enumerate().fold(marked, |text, (index, (_, actual))| text.replace(&mark(index), actual))
    }
}

/// Takes out what sites hold for jobs of others: a job that one site refused leaves the reservations of the other sites
/// to their expiry, minutes later.
fn forget_reservations(value: &mut Value) {
    const RESERVED: &str = "'reserved_resources': {";
    match value {
        Value::String(text) => {
            if let Some(start) = text.find(RESERVED) {
                text.truncate(start + RESERVED.len());
                text.push_str("}}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forget_reservations),
        Value::Object(map) => map.values_mut().for_each(forget_reservations),
        _ => {}
    }
}

/// `value` with the rows of tables (but for the header) and lists of objects in one order. Objects compare without
/// their order anyway.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("rows", Value::Array(rows)) if about_sites(rows) => (key.clone(), sorted_after(rows, 1)),
                    ("client_status" | "clients", Value::Array(rows)) => (key.clone(), sorted_after(rows, 0)),
                    _ => (key.clone(), canonical(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

/// True for a table with a row per site.
fn about_sites(rows: &[Value]) -> bool {
    rows.first().is_some_and(|header| matches!(header[0].as_str(), Some("CLIENT" | "SITE" | "SITES")))
}

/// `rows`, all but the first `kept` of them sorted by their text.
fn sorted_after(rows: &[Value], kept: usize) -> Value {
    let mut rows = rows.to_vec();
    rows[kept..].sort_by_key(Value::to_string);
    Value::Array(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_exists_and_was_sent_by_a_standard_role() {
        for name in GROUPS.iter().flat_map(|group| group.replies) {
            let recorded = flare_fixtures::reply(name);
            assert!(who(recorded).is_ok(), "{name}");
            assert_eq!(recorded.sent_as.as_deref(), Some("request"), "{name}");
            assert!(recorded.command.is_some(), "{name}");
        }
    }

    #[test]
    fn reservations_are_forgotten_and_nothing_else() {
        let mut held = serde_json::json!([["a", "{'resources': [1], 'reserved_resources': {'t': [{}, 228]}}"], "else"]);
        forget_reservations(&mut held);
        assert_eq!(held, serde_json::json!([["a", "{'resources': [1], 'reserved_resources': {}}"], "else"]));
    }

    #[test]
    fn names_are_replaced_even_when_they_change_places() {
        let names = [("site-1", "site-2"), ("site-2", "site-1")];
        let names = Names(names.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec());
        assert_eq!(names.of_target("pwd site-1, not site-2"), "pwd site-2, not site-1");
    }

    #[test]
    fn the_order_of_sites_does_not_matter_but_that_of_items_does() {
        let table = |rows: Value| serde_json::json!([{"type": "table", "rows": rows}]);
        let one = table(serde_json::json!([["SITES", "X"], ["b", "1"], ["a", "2"]]));
        let other = table(serde_json::json!([["SITES", "X"], ["a", "2"], ["b", "1"]]));
        assert_eq!(canonical(&one), canonical(&other));
        let strings = |first: &str, second: &str| serde_json::json!([{"data": first}, {"data": second}]);
        assert_ne!(canonical(&strings("a", "b")), canonical(&strings("b", "a")));
    }
}
