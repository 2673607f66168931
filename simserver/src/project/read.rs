//! nvflare's `project.yml` into a [`Project`].
//!
//! Two steps: the text becomes the raw types below, which say only what shapes are possible (the YAML reader
//! names line and column of what does not fit); then each raw participant is checked by the same constructors
//! that code uses. Keys that are not named here are accepted and passed over, because builders of nvflare and
//! of others may use them; of `builders` only the arguments of `StaticFileBuilder` matter.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::names::NameKind;
use super::participant::ConnectTo;
use super::{Admin, ConnectionSecurity, Project, ProjectError, ProjectErrorKind, Role, Scheme, Server, Site, studies};

/// The longest project file that is read: a federation of 10,000 sites is below 2 MiB.
const MAX_FILE: u64 = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct RawProject {
    api_version: Option<i64>,
    name: Option<String>,
    participants: Option<Vec<RawParticipant>>,
    #[serde(default)]
    builders: Option<Vec<RawBuilder>>,
    connection_security: Option<String>,
    studies: Option<Map<String, Value>>,
    include: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawParticipant {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    org: Option<String>,
    role: Option<String>,
    default_host: Option<String>,
    host_names: Option<OneOrMany>,
    fed_learn_port: Option<u16>,
    admin_port: Option<u16>,
    connect_to: Option<RawConnectTo>,
    connection_security: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawConnectTo {
    Host(String),
    Full { host: Option<String>, port: Option<u16> },
}

#[derive(Deserialize)]
struct RawBuilder {
    path: Option<String>,
    args: Option<RawBuilderArguments>,
}

#[derive(Deserialize)]
struct RawBuilderArguments {
    scheme: Option<String>,
    config_folder: Option<String>,
}

impl Project {
    /// Reads a project file.
    ///
    /// # Errors
    /// When the file cannot be read or does not describe a valid project.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let unreadable = |source| ProjectErrorKind::Unreadable { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE {
            return Err(unreadable(std::io::Error::other("the file is too large for a project")).into());
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::from_yaml(&text)
    }

    /// Reads the text of a project file.
    ///
    /// # Errors
    /// When it does not describe a valid project.
    pub fn from_yaml(text: &str) -> Result<Self, ProjectError> {
        let raw: RawProject =
            serde_saphyr::from_str(text).map_err(|error| ProjectErrorKind::Malformed(Box::new(error)))?;
        raw.check()
    }
}

impl RawProject {
    fn check(self) -> Result<Project, ProjectError> {
        if self.include.is_some() {
            return Err(ProjectErrorKind::Unsupported("`include` in a project file").into());
        }
        let api_version = match self.api_version {
            Some(version @ (3 | 4)) => version,
            other => return Err(ProjectErrorKind::ApiVersion(other).into()),
        };
        let name = required(self.name, "name", || "the project".to_owned())?;
        let security = security(self.connection_security.as_deref())?;
        let participants = required_list(self.participants, "participants")?;

        let mut server = None;
        let mut others = Vec::new();
        for (index, raw) in participants.into_iter().enumerate() {
            let participant = raw.check(index, security)?;
            match participant {
                Participant::Server(second) if server.is_some() => {
                    return Err(ProjectErrorKind::SecondServer(second.name).into());
                }
                Participant::Server(first) => server = Some(first),
                other => others.push(other),
            }
        }
        let server = server.ok_or(ProjectErrorKind::NoServer)?;

        let mut project = Project::with_server(&name, server)?;
        for participant in others {
            match participant {
                Participant::Site(site) => project.add_site(site)?,
                Participant::Admin(admin) => project.add_admin(admin)?,
                Participant::NotSimulated(warning) => project.warnings.push(warning),
                Participant::Server(_) => {}
            }
        }
        for builder in self.builders.unwrap_or_default() {
            builder.apply(&mut project)?;
        }
        if let Some(declared) = self.studies {
            if api_version != 4 {
                return Err(ProjectErrorKind::Unsupported("`studies` with an api_version other than 4").into());
            }
            project.studies = studies::read(&declared, &project)?;
        }
        Ok(project)
    }
}

enum Participant {
    Server(Server),
    Site(Site),
    Admin(Admin),
    /// Accepted, but the simulator has nothing for it; the text says so.
    NotSimulated(String),
}

impl RawParticipant {
    fn check(self, index: usize, project_security: ConnectionSecurity) -> Result<Participant, ProjectError> {
        let name = required(self.name, "name", || format!("participant {}", index + 1))?;
        let whose = || format!("participant '{name}'");
        let kind = required(self.kind, "type", whose)?;
        let org = required(self.org, "org", whose)?;
        let security = match self.connection_security {
            Some(own) => security(Some(&own))?,
            None => project_security,
        };
        match kind.as_str() {
            "server" => {
                let mut server = Server::new(&name, &org, not_empty(self.default_host.as_deref()))?;
                for host in self.host_names.map(OneOrMany::into_vec).unwrap_or_default() {
                    NameKind::Host.check(&host)?;
                    server.host_names.push(host);
                }
                server.port = self.fed_learn_port.unwrap_or(server.port);
                server.admin_port = self.admin_port.unwrap_or(server.port);
                server.security = security;
                Ok(Participant::Server(server))
            }
            "client" => {
                let mut site = Site::new(&name, &org)?;
                site.security = security;
                site.connect_to = connect_to(self.connect_to)?;
                Ok(Participant::Site(site))
            }
            "admin" => {
                let role = required(self.role, "role", || format!("admin '{name}'"))?;
                let mut admin = Admin::new(&name, &org, Role::from(role.as_str()))?;
                admin.security = security;
                admin.connect_to = connect_to(self.connect_to)?;
                Ok(Participant::Admin(admin))
            }
            "relay" => {
                NameKind::Relay.check(&name)?;
                Ok(Participant::NotSimulated(format!("relay '{name}' is not simulated: it gets no kit")))
            }
            "overseer" => Ok(Participant::NotSimulated(format!("overseer '{name}' is obsolete and ignored"))),
            other => Ok(Participant::NotSimulated(format!(
                "participant '{name}' has the unknown type '{other}': it gets no kit"
            ))),
        }
    }
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl RawBuilder {
    fn apply(self, project: &mut Project) -> Result<(), ProjectError> {
        let is_static = self.path.is_some_and(|path| path.ends_with(".StaticFileBuilder"));
        let Some(arguments) = self.args.filter(|_| is_static) else { return Ok(()) };
        if let Some(scheme) = arguments.scheme {
            let possible = Scheme::NAMES;
            project.scheme =
                scheme.parse().map_err(|_| ProjectErrorKind::Value { key: "scheme", value: scheme, possible })?;
        }
        if let Some(folder) = arguments.config_folder {
            project.config_folder = folder;
        }
        Ok(())
    }
}

fn connect_to(raw: Option<RawConnectTo>) -> Result<ConnectTo, ProjectError> {
    let target = match raw {
        None => ConnectTo::default(),
        Some(RawConnectTo::Host(host)) => ConnectTo { host: Some(host), port: None },
        // Provisioning takes port 0 for "the usual one".
        Some(RawConnectTo::Full { host, port }) => ConnectTo { host, port: port.filter(|port| *port != 0) },
    };
    if let Some(host) = &target.host {
        NameKind::Host.check(host)?;
    }
    Ok(target)
}

fn security(text: Option<&str>) -> Result<ConnectionSecurity, ProjectError> {
    let Some(text) = not_empty(text) else { return Ok(ConnectionSecurity::default()) };
    text.parse().map_err(|_| {
        let possible = ConnectionSecurity::NAMES;
        ProjectErrorKind::Value { key: "connection_security", value: text.to_owned(), possible }.into()
    })
}

/// Provisioning treats an empty text like an absent one.
fn not_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn required(value: Option<String>, key: &'static str, whose: impl FnOnce() -> String) -> Result<String, ProjectError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| ProjectErrorKind::Missing { key, whose: whose() }.into())
}

fn required_list<T>(value: Option<Vec<T>>, key: &'static str) -> Result<Vec<T>, ProjectError> {
    value.ok_or_else(|| ProjectErrorKind::Missing { key, whose: "the project".to_owned() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "api_version: 3\nname: p\nparticipants:\n  - {name: server1, type: server, org: nvidia}\n";

    fn with(participants: &str) -> Result<Project, ProjectError> {
        Project::from_yaml(&format!("{HEAD}{participants}"))
    }

    fn refusal(text: &str) -> String {
        let error = Project::from_yaml(text).expect_err("must be refused");
        assert!(!error.hint().is_empty());
        error.to_string()
    }

    #[test]
    fn everything_a_project_file_can_say_about_connections_is_read() {
        let project = Project::from_yaml(
            "api_version: 3
name: example_project
description: text
connection_security: TLS
participants:
  - name: server1
    type: server
    org: nvidia
    fed_learn_port: 9002
    admin_port: 9003
    host_names: [localhost, 127.0.0.1]
    default_host: flare.example.com
    connection_security: mtls
    unknown: {nested: [1, 2]}
  - {name: site-1, type: client, org: acme, connect_to: proxy.acme.org, capacity: {num_of_gpus: 1}}
  - {name: a@b.org, type: admin, org: acme, role: lead, connect_to: {name: server1, port: 443}}
  - {name: overseer, type: overseer, org: nvidia}
builders:
  - {path: nvflare.lighter.impl.workspace.WorkspaceBuilder, args: {template_file: [a.yml]}}
  - {path: nvflare.lighter.impl.static_file.StaticFileBuilder, args: {config_folder: conf, scheme: ' TCP '}}
  - {path: nvflare.lighter.impl.cert.CertBuilder}
",
        )
        .unwrap();
        let server = project.server();
        assert_eq!((server.port(), server.admin_port()), (9002, 9003));
        assert_eq!(server.host_names(), ["localhost", "127.0.0.1"]);
        assert_eq!(server.security(), ConnectionSecurity::Mtls);
        assert_eq!(project.sites()[0].target(server), ("proxy.acme.org", 9002));
        assert_eq!(project.sites()[0].security(), ConnectionSecurity::Tls);
        assert_eq!(project.admins()[0].target(server), ("flare.example.com", 443));
        assert_eq!(project.admins()[0].role(), &Role::Lead);
        assert_eq!((project.scheme(), project.config_folder()), (Scheme::Tcp, "conf"));
        assert_eq!(project.warnings().len(), 1);
    }

    #[test]
    fn defaults_are_those_of_provisioning() {
        let project = with("").unwrap();
        assert_eq!(project.server().port(), 8002);
        assert_eq!(project.server().admin_port(), 8002);
        assert_eq!(project.server().default_host(), "server1");
        assert_eq!(project.scheme(), Scheme::Http);
        assert_eq!(project.config_folder(), "config");
    }

    #[test]
    fn anchors_and_merge_keys_work_as_in_yaml() {
        let project =
            with("  - &site {name: site-1, type: client, org: nvidia}\n  - {<<: *site, name: site-2}\n").unwrap();
        assert_eq!(project.sites()[1].name(), "site-2");
        assert_eq!(project.sites()[1].org(), "nvidia");
    }

    #[test]
    fn refusals_name_the_participant_and_the_cause() {
        assert_eq!(refusal("name: p"), "api_version is missing, expected 3 or 4");
        assert_eq!(refusal("api_version: 2\nname: p"), "api_version is 2, expected 3 or 4");
        assert_eq!(refusal("api_version: 3"), "`name` of the project is missing or empty");
        assert_eq!(refusal("api_version: 3\nname: p"), "`participants` of the project is missing or empty");
        assert_eq!(refusal("api_version: 3\nname: p\nparticipants: []"), "the project has no server");
        assert_eq!(refusal("- a\n- b"), "the project file is malformed");
        assert_eq!(refusal("include: other.yml\napi_version: 3"), "`include` in a project file is not supported");

        for (participant, expected) in [
            ("{type: client, org: nvidia}", "`name` of participant 2 is missing or empty"),
            ("{name: site-1, org: nvidia}", "`type` of participant 'site-1' is missing or empty"),
            ("{name: site-1, type: client}", "`org` of participant 'site-1' is missing or empty"),
            ("{name: server1, type: client, org: nvidia}", "the name 'server1' is used twice"),
            ("{name: server2, type: server, org: nvidia}", "'server2' is a second server, a project has one"),
            ("{name: a@b.org, type: admin, org: nvidia}", "`role` of admin 'a@b.org' is missing or empty"),
            (
                "{name: s, type: client, org: a-b}",
                "'a-b' is no organisation name: it must be made of letters, digits and '_'",
            ),
            (
                "{name: s, type: client, org: a, connection_security: ssl}",
                "`connection_security` is 'ssl', possible is clear, tls, mtls",
            ),
        ] {
            assert_eq!(refusal(&format!("{HEAD}  - {participant}\n")), expected);
        }
    }

    #[test]
    fn a_malformed_file_says_where() {
        let error = with("  - {name: s, type: client, org: a, connect_to: {port: many}}\n").unwrap_err();
        let cause = std::error::Error::source(&error).expect("a malformed file has a cause").to_string();
        assert!(cause.contains("line 5"), "{cause}");
    }

    #[test]
    fn studies_need_version_4_and_known_participants() {
        let text = |version: u8, study: &str| {
            format!(
                "api_version: {version}\nname: p\nparticipants:
  - {{name: server1, type: server, org: nvidia}}
  - {{name: site-1, type: client, org: acme}}
  - {{name: a@b.org, type: admin, org: acme, role: lead}}
studies: {study}\n"
            )
        };
        let good = "{cancer: {site_orgs: {acme: [site-1]}, admins: [a@b.org, a@b.org]}, empty: }";
        let project = Project::from_yaml(&text(4, good)).unwrap();
        assert_eq!(project.studies()[0].admins(), ["a@b.org"]);
        assert_eq!(project.studies()[0].site_orgs(), [("acme".to_owned(), vec!["site-1".to_owned()])]);
        assert_eq!(project.studies()[1].name(), "empty");
        assert!(Project::from_yaml(&text(3, good)).is_err());
        for bad in [
            "{default: }",
            "{Upper: }",
            "{s: [1]}",
            "{s: {site_orgs: {nobody: []}}}",
            "{s: {site_orgs: {nvidia: [site-1]}}}",
            "{s: {site_orgs: {acme: [site-1, site-1]}}}",
            "{s: {admins: [x@y.org]}}",
        ] {
            assert!(Project::from_yaml(&text(4, bad)).is_err(), "{bad}");
        }
    }
}
