//! Keys, certificates and startup kits of a small project.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use flare_client::StartupKit;
use flare_simserver::pki::{Authority, Identity, KeyPair, KeyRequest, KeySource, Subject, Validity};
use flare_wire::{Moment, Randomness};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const PROJECT: &str = "example_project";
pub const SERVER: &str = "server";
pub const ADMIN: &str = "admin@nvidia.com";

const DAY: Duration = Duration::from_secs(86_400);

/// Making keys is slow, and no test depends on having its own.
static KEYS: LazyLock<Vec<KeyPair>> = LazyLock::new(|| {
    let requests = ["root", "other root", "server", "admin"].map(KeyRequest::Participant);
    KeySource::Generate.provide(&requests).unwrap()
});

/// An authority, a server and an admin.
pub struct Federation {
    pub authority: Authority,
    pub server: Identity,
    pub admin: Identity,
    folder: TempDir,
}

/// When a certificate is valid, seen from now.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Now,
    Past,
    Future,
}

impl When {
    fn validity(self) -> Validity {
        let now = now();
        match self {
            Self::Now => Validity { from: now - DAY, until: now + DAY },
            Self::Past => Validity { from: now - 9 * DAY, until: now - 2 * DAY },
            Self::Future => Validity { from: now + 2 * DAY, until: now + 9 * DAY },
        }
    }
}

pub fn now() -> Moment {
    Moment::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

impl Federation {
    pub fn new() -> Self {
        Self::with_authority(0)
    }

    /// Same names, other authority.
    pub fn stranger() -> Self {
        Self::with_authority(1)
    }

    fn with_authority(key: usize) -> Self {
        let now = now();
        let validity = Validity { from: now - 10 * DAY, until: now + 10 * DAY };
        let authority =
            Authority::create(PROJECT, KEYS[key].clone(), validity, &mut Randomness::from_number(1)).unwrap();
        let server = issue_with(&authority, &Subject::new(SERVER).organization("nvidia"), 2, When::Now);
        let admin = Subject::new(ADMIN).organization("nvidia").role("project_admin");
        let admin = issue_with(&authority, &admin, 3, When::Now);
        Self { authority, server, admin, folder: TempDir::new().unwrap() }
    }

    /// Another certificate for the server's key.
    pub fn server_certificate(&self, name: &str, when: When) -> Identity {
        issue_with(&self.authority, &Subject::new(name).organization("nvidia"), 2, when)
    }

    /// A certificate of the server for this host, which gRPC asks for.
    pub fn server_for_host(&self, host: &str) -> Identity {
        issue_with(&self.authority, &Subject::new(SERVER).organization("nvidia").host(host), 2, When::Now)
    }

    /// Another certificate for the admin's key.
    pub fn admin_certificate(&self, name: &str, when: When) -> Identity {
        issue_with(&self.authority, &Subject::new(name).organization("nvidia").role("lead"), 3, when)
    }

    /// Writes the admin's kit, with changes to the section `admin`, and gives its folder.
    pub fn write_kit(&self, name: &str, changes: Value) -> PathBuf {
        let kit = self.folder.path().join(name);
        let startup = kit.join("startup");
        fs::create_dir_all(&startup).unwrap();
        fs::create_dir_all(kit.join("local")).unwrap();
        fs::create_dir_all(kit.join("transfer")).unwrap();
        let mut admin = json!({
            "project_name": PROJECT, "username": ADMIN, "server_identity": SERVER, "scheme": "http",
            "host": "127.0.0.1", "port": 8002, "connection_security": "mtls", "uid_source": "user_input",
            "with_file_transfer": true, "upload_dir": "transfer", "download_dir": "transfer",
            "client_key": "client.key", "client_cert": "client.crt", "ca_cert": "rootCA.pem",
        });
        let section = admin.as_object_mut().unwrap();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => section.remove(key),
                value => section.insert(key.clone(), value.clone()),
            };
        }
        fs::write(startup.join("fed_admin.json"), json!({"format_version": 1, "admin": admin}).to_string()).unwrap();
        write_identity(&kit, &self.admin);
        fs::write(startup.join("rootCA.pem"), self.authority.pem()).unwrap();
        kit
    }

    /// The admin's kit for a server at this port.
    pub fn kit(&self, port: u16, changes: Value) -> StartupKit {
        let name = format!("kit-{port}");
        StartupKit::open(self.write_kit(&name, changes)).unwrap().with_address("127.0.0.1", port)
    }
}

/// Puts certificate and key into a kit.
pub fn write_identity(kit: &Path, identity: &Identity) {
    fs::write(kit.join("startup/client.crt"), identity.pem()).unwrap();
    fs::write(kit.join("startup/client.key"), identity.key().to_pem()).unwrap();
}

fn issue_with(authority: &Authority, subject: &Subject, key: usize, when: When) -> Identity {
    authority.issue_for(subject, KEYS[key].clone(), when.validity(), &mut Randomness::from_number(2)).unwrap()
}
