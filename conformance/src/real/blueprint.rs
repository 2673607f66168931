//! The project file as it is provisioned here: on a free port, for this machine only.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;

use flare_simserver::project::Project;
use serde_json::Value;

use super::RealError;

/// What `up` uses when no project file is given: two organisations, an admin of every role in each.
const DEFAULT_PROJECT: &str = include_str!("../../projects/two-orgs.yml");

/// A project that can be provisioned and started on this machine.
#[derive(Debug)]
pub(super) struct Blueprint {
    /// What the file says, read as the simulator reads it.
    pub(super) project: Project,
    /// Where the server will listen.
    pub(super) port: u16,
    text: String,
}

impl Blueprint {
    /// Reads a project file, or takes the built-in one, and puts it on a free port.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, RealError> {
        match file {
            Some(path) => Self::from_yaml(&fs::read_to_string(path).map_err(RealError::file(path))?),
            None => Self::from_yaml(DEFAULT_PROJECT),
        }
    }

    fn from_yaml(text: &str) -> Result<Self, RealError> {
        let project = Project::from_yaml(text)?;
        if project.admins().is_empty() {
            return Err(RealError::Unsuitable("it has no admin, so nobody could see whether the sites are registered"));
        }
        let port = free_port().map_err(RealError::System)?;
        let mut document: Value = serde_saphyr::from_str(text)
            .map_err(|_| RealError::Unsuitable("it holds something that no project file should"))?;
        let participants = document.get_mut("participants").and_then(Value::as_array_mut);
        for server in participants.into_iter().flatten().filter(|participant| participant["type"] == "server") {
            server["fed_learn_port"] = port.into();
            server["admin_port"] = port.into();
            if !is_local(project.server().default_host()) {
                server["default_host"] = "localhost".into();
            }
        }
        // JSON is YAML: the provisioning tool reads this with its YAML parser.
        let text = serde_json::to_string_pretty(&document).expect("a document that was read can be written");
        Ok(Self { project, port, text })
    }

    /// Writes the file that is provisioned.
    pub(super) fn write(&self, path: &Path) -> Result<(), RealError> {
        fs::write(path, &self.text).map_err(RealError::file(path))
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A port that nobody listens on. Another program could take it before the server does; then the server ends, and
/// `up` says so with the server's own words.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(blueprint: &Blueprint) -> Value {
        let document: Value = serde_json::from_str(&blueprint.text).unwrap();
        document["participants"][0].clone()
    }

    #[test]
    fn the_default_project_has_every_role_in_one_of_two_organisations() {
        let blueprint = Blueprint::read(None).unwrap();
        assert_eq!(blueprint.project.sites().len(), 3);
        assert_eq!(blueprint.project.admins().len(), 7);
    }

    #[test]
    fn the_port_is_replaced_and_the_rest_kept() {
        let blueprint = Blueprint::read(None).unwrap();
        let server = server_of(&blueprint);
        assert_eq!(server["fed_learn_port"], blueprint.port);
        assert_eq!(server["admin_port"], blueprint.port);
        assert_eq!(server["name"], "server");
        assert_eq!(server["default_host"], "localhost");
        let again = Project::from_yaml(&blueprint.text).unwrap();
        assert_eq!(again, blueprint.project.clone().with_port(blueprint.port));
    }

    #[test]
    fn a_host_elsewhere_is_replaced_but_not_a_loopback_address() {
        let at = |host: &str| {
            let text = DEFAULT_PROJECT.replace("default_host: localhost", &format!("default_host: {host}"));
            server_of(&Blueprint::from_yaml(&text).unwrap())["default_host"].clone()
        };
        assert_eq!(at("flare.example.org"), "localhost");
        assert_eq!(at("127.0.0.1"), "127.0.0.1");
    }

    #[test]
    fn a_project_without_admins_is_refused() {
        let text: String = DEFAULT_PROJECT.lines().filter(|line| !line.contains("admin")).map(|l| format!("{l}\n")).collect();
        let text: String = text.lines().filter(|line| !line.contains("role:")).map(|l| format!("{l}\n")).collect();
        assert!(matches!(Blueprint::from_yaml(&text), Err(RealError::Unsuitable(_))));
    }
}
