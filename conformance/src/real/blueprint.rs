//! The project file as it is provisioned here: on a free port, for this machine only.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;

use flare_simserver::project::Project;
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde_json::Value;

use super::RealError;

/// What `up` uses when no project file is given: two organisations, an admin of every role in each.
const DEFAULT_PROJECT: &str = include_str!("../../projects/two-orgs.yml");

/// A project that can be provisioned and started on this machine.
#[derive(Debug)]
pub(super) struct Blueprint {
    /// What the file says, read as the simulator reads it.
    pub(super) project: Project,
    document: Value,
}

impl Blueprint {
    /// Reads a project file, or takes the built-in one.
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
        let document = serde_saphyr::from_str(text)
            .map_err(|_| RealError::Unsuitable("it holds something that no project file should"))?;
        Ok(Self { project, document })
    }

    /// True when admins have a port of their own.
    pub(super) fn has_admin_port(&self) -> bool {
        self.project.server().admin_port() != self.project.server().port()
    }

    /// Writes the file that is provisioned, for a server that listens on these ports of this machine.
    pub(super) fn write(&self, path: &Path, port: u16, admin_port: u16) -> Result<(), RealError> {
        fs::write(path, self.on_ports(port, admin_port)).map_err(RealError::file(path))
    }

    fn on_ports(&self, port: u16, admin_port: u16) -> String {
        let mut document = self.document.clone();
        let participants = document.get_mut("participants").and_then(Value::as_array_mut);
        for server in participants.into_iter().flatten().filter(|participant| participant["type"] == "server") {
            server["fed_learn_port"] = port.into();
            server["admin_port"] = admin_port.into();
            if !is_local(self.project.server().default_host()) {
                server["default_host"] = "localhost".into();
            }
        }
        // JSON is YAML: the provisioning tool reads this with its YAML parser.
        format!("{document:#}")
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where ports are looked for. The system gives those from 32768 on to whoever connects or asks for any port, and a server
/// takes seconds to start: beside other work one of these could be gone by then.
const PORTS: Range<u16> = 20_000..32_768;

/// Two ports that nobody listens on now. Another program could take one before the server does; then the server ends,
/// and `up` says so with the server's own words.
pub(super) fn free_ports() -> Result<[u16; 2], RealError> {
    let mut random = [0; 2];
    SysRng.try_fill_bytes(&mut random).map_err(|error| RealError::System(io::Error::other(error)))?;
    // From a random one on, so that several federations that start at once find others.
    let middle = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let mut free = (middle..PORTS.end).chain(PORTS.start..middle).filter(is_free);
    match (free.next(), free.next()) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => Err(RealError::System(io::ErrorKind::AddrInUse.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 4711;

    fn server_of(blueprint: &Blueprint) -> Value {
        let document: Value = serde_json::from_str(&blueprint.on_ports(PORT, PORT)).unwrap();
        document["participants"][0].clone()
    }

    #[test]
    fn the_default_project_has_every_role_in_one_of_two_organisations() {
        let blueprint = Blueprint::read(None).unwrap();
        assert_eq!(blueprint.project.sites().len(), 3);
        assert_eq!(blueprint.project.admins().len(), 7);
    }

    #[test]
    fn free_ports_are_two_that_the_system_gives_to_nobody() {
        let [one, other] = free_ports().unwrap();
        assert_ne!(one, other);
        assert!(PORTS.contains(&one) && PORTS.contains(&other));
    }

    #[test]
    fn the_port_is_replaced_and_the_rest_kept() {
        let blueprint = Blueprint::read(None).unwrap();
        let server = server_of(&blueprint);
        assert_eq!(server["fed_learn_port"], PORT);
        assert_eq!(server["admin_port"], PORT);
        assert_eq!(server["default_host"], "localhost");
        let again = Project::from_yaml(&blueprint.on_ports(PORT, PORT)).unwrap();
        assert_eq!(again, blueprint.project.with_port(PORT));
    }

    #[test]
    fn admins_keep_a_port_of_their_own() {
        let text = DEFAULT_PROJECT.replace("fed_learn_port: 8002", "fed_learn_port: 8002, admin_port: 8003");
        assert!(Blueprint::from_yaml(&text).unwrap().has_admin_port());
        let blueprint = Blueprint::read(None).unwrap();
        assert!(!blueprint.has_admin_port());
        let project = Project::from_yaml(&blueprint.on_ports(PORT, PORT + 1)).unwrap();
        assert_eq!((project.server().port(), project.server().admin_port()), (PORT, PORT + 1));
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
        let without_admins: Vec<&str> = DEFAULT_PROJECT.lines().filter(|line| !line.contains("role:")).collect();
        let refused = Blueprint::from_yaml(&without_admins.join("\n"));
        assert!(matches!(refused, Err(RealError::Unsuitable(_))));
    }
}
