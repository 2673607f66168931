//! What is in the startup kits of the server, a site and an admin.
//!
//! The files come in the order in which real provisioning writes them, which `ls -t` shows.

use serde_json::{Map, Value, json};

use super::{Kit, KitFile};
use crate::pki::{Identity, Subject};
use crate::project::{Admin, Project, Server, Site};

/// The authorization policy of a new federation: `authorization.json.default`.
pub const DEFAULT_AUTHORIZATION: &str = include_str!("templates/authorization.json");

const FED_SERVER: &str = include_str!("templates/fed_server.json");
const LOG_CONFIG: &str = include_str!("templates/log_config.json");
const PRIVACY: &str = include_str!("templates/privacy.json");
const START: &str = include_str!("templates/start.sh");
const SUB_START: &str = include_str!("templates/sub_start.sh");
const STOP: &str = include_str!("templates/stop_fl.sh");

/// Somebody who gets a startup kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Participant<'a> {
    /// The server.
    Server(&'a Server),
    /// A site.
    Site(&'a Site),
    /// An admin user.
    Admin(&'a Admin),
}

impl<'a> Participant<'a> {
    /// Everybody in `project` who gets a kit.
    pub fn all(project: &'a Project) -> impl Iterator<Item = Self> {
        [Self::Server(project.server())]
            .into_iter()
            .chain(project.sites().iter().map(Self::Site))
            .chain(project.admins().iter().map(Self::Admin))
    }

    /// The name, which is also that of the kit's directory.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Server(server) => server.name(),
            Self::Site(site) => site.name(),
            Self::Admin(admin) => admin.name(),
        }
    }

    /// Whom the participant's certificate is for.
    pub(super) fn subject(self) -> Subject {
        match self {
            Self::Server(server) => {
                let subject = Subject::new(server.name()).organization(server.org()).host(server.default_host());
                server.host_names().iter().fold(subject, |subject, host| subject.host(host))
            }
            Self::Site(site) => Subject::new(site.name()).organization(site.org()),
            Self::Admin(admin) => Subject::new(admin.name()).organization(admin.org()).role(admin.role().as_str()),
        }
    }

    /// The kit, unsigned.
    pub(super) fn kit(self, project: &Project, identity: &Identity, root_pem: &str) -> Kit {
        Kit::new(self.files(project, identity.pem(), &identity.key().to_pem(), root_pem))
    }

    /// The files of the kit, with these texts as certificate and key.
    pub(crate) fn files(self, project: &Project, certificate: &str, key: &str, root: &str) -> Vec<KitFile> {
        let mut files = match self {
            Self::Server(server) => server_files(project, server),
            Self::Site(site) => site_files(project, site),
            Self::Admin(admin) => admin_files(project, admin),
        };
        let base = if matches!(self, Self::Server(_)) { "server" } else { "client" };
        files.push(KitFile::text(format!("startup/{base}.crt"), certificate));
        files.push(KitFile::secret(&format!("startup/{base}.key"), key));
        files.push(KitFile::text("startup/rootCA.pem", root));
        files
    }
}

fn server_files(project: &Project, server: &Server) -> Vec<KitFile> {
    // Written as text because users can read it with `cat`, and real provisioning indents it oddly.
    let config = [
        ("{name}", json!(project.name())),
        ("{target}", json!(format!("{}:{}", server.name(), server.port()))),
        ("{scheme}", json!(project.scheme().as_str())),
        ("{admin_server}", json!(server.name())),
        ("{admin_port}", json!(server.admin_port())),
        ("{security}", json!(server.security().as_str())),
    ];
    let config = config
        .into_iter()
        .fold(FED_SERVER.to_owned(), |text, (place, value)| text.replacen(place, &value.to_string(), 1));
    let config = if project.signs_kits() {
        // In place of the last brace, as the kits of 2.7 have it.
        let end = config.trim_end();
        let end = end.strip_suffix('}').unwrap_or(end).trim_end();
        format!("{end},\n{}\n}}\n", overseer(server.name(), server.port(), server.admin_port()))
    } else {
        config
    };
    let mut files = vec![KitFile::text("startup/fed_server.json", config)];
    files.extend(scripts("nvflare.private.fed.app.server.server_train", "fed_server.json", "", server.org(), project));
    files.extend(local(include_str!("templates/server_resources.json")));
    if !project.studies().is_empty() {
        let studies: Map<String, Value> =
            project.studies().iter().map(|study| (study.name().to_owned(), study.to_json())).collect();
        files.push(KitFile::json("local/study_registry.json", &json!({"format_version": "1.0", "studies": studies})));
    }
    files.push(KitFile::text("readme.txt", fill(include_str!("templates/server_readme.txt"), project, server.name())));
    files
}

/// What kits of 2.7 say in place of a target: the agent of an overseer that there is not.
fn overseer(host: &str, port: u16, admin_port: u16) -> String {
    format!(
        "  \"overseer_agent\": {{\n    \"path\": \"nvflare.ha.dummy_overseer_agent.DummyOverseerAgent\",\n    \"args\": {{\n      \
         \"sp_end_point\": \"{host}:{port}:{admin_port}\"\n    }}\n  }}"
    )
}

fn site_files(project: &Project, site: &Site) -> Vec<KitFile> {
    let (host, port) = site.target(project.server());
    let mut config = json!({
        "format_version": 2,
        "servers": [{
            "name": project.name(),
            "service": {"target": format!("{host}:{port}"), "scheme": project.scheme().as_str()},
            "identity": project.server().name(),
        }],
        "client": {
            "ssl_private_key": "client.key",
            "ssl_cert": "client.crt",
            "ssl_root_cert": "rootCA.pem",
            "fqsn": site.name(),
            "is_leaf": true,
            "connection_security": site.security().as_str(),
        },
    });
    if project.signs_kits() {
        if let Some(service) = config.pointer_mut("/servers/0/service").and_then(Value::as_object_mut) {
            service.shift_remove("target");
        }
        let place = format!("{host}:{port}:{}", project.server().admin_port());
        config["overseer_agent"] = json!({
            "path": "nvflare.ha.dummy_overseer_agent.DummyOverseerAgent",
            "args": {"sp_end_point": place},
        });
    }
    let mut files = vec![KitFile::json("startup/fed_client.json", &config)];
    let uid = format!(" uid={}", site.name());
    files.extend(scripts("nvflare.private.fed.app.client.client_train", "fed_client.json", &uid, site.org(), project));
    files.extend(local(include_str!("templates/site_resources.json")));
    files.push(KitFile::text("readme.txt", fill(include_str!("templates/site_readme.txt"), project, site.name())));
    files
}

fn admin_files(project: &Project, admin: &Admin) -> Vec<KitFile> {
    let (host, port) = admin.target(project.server());
    let config = json!({
        "format_version": 1,
        "admin": {
            "project_name": project.name(),
            "username": admin.name(),
            "server_identity": project.server().name(),
            "scheme": project.scheme().as_str(),
            "host": host,
            "port": port,
            "connection_security": admin.security().as_str(),
            "uid_source": "user_input",
            "with_file_transfer": true,
            "upload_dir": "transfer",
            "download_dir": "transfer",
            "client_key": "client.key",
            "client_cert": "client.crt",
            "ca_cert": "rootCA.pem",
        },
    });
    vec![
        KitFile::json("startup/fed_admin.json", &config),
        KitFile::script("startup/fl_admin.sh", include_str!("templates/fl_admin.sh")),
        KitFile::text(
            "startup/system_info.ipynb",
            fill(include_str!("templates/system_info.ipynb"), project, admin.name()),
        ),
        KitFile::text("startup/readme.txt", fill(include_str!("templates/admin_readme.txt"), project, admin.name())),
        KitFile::text("local/resources.json.default", include_str!("templates/admin_resources.json")),
    ]
}

fn scripts(module: &str, config: &str, uid: &str, org: &str, project: &Project) -> [KitFile; 3] {
    // Organisation and site name are made of letters, digits and a few marks that mean nothing to a shell; the
    // folder comes from the project file as it is.
    let folder = format!("'{}'", project.config_folder().replace('\'', r"'\''"));
    let sub_start = SUB_START
        .replace("{module}", module)
        .replace("{config}", config)
        .replace("{uid}", uid)
        .replace("{org}", org)
        .replace("{config_folder}", &folder);
    [
        KitFile::script("startup/start.sh", START),
        KitFile::script("startup/sub_start.sh", sub_start),
        KitFile::script("startup/stop_fl.sh", STOP),
    ]
}

fn local(resources: &str) -> [KitFile; 4] {
    [
        KitFile::text("local/log_config.json.default", LOG_CONFIG),
        KitFile::text("local/resources.json.default", resources),
        KitFile::text("local/privacy.json.sample", PRIVACY),
        KitFile::text("local/authorization.json.default", DEFAULT_AUTHORIZATION),
    ]
}

fn fill(template: &str, project: &Project, name: &str) -> String {
    template.replace("{name}", name).replace("{project}", project.name())
}
