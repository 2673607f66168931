//! Reading startup kits: what the official client accepts is accepted, and what is wrong is named with its file.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use flare_client::{ConnectionSecurity, ErrorKind, KitDefect, KitError, Scheme, StartupKit};
use flare_wire::Randomness;
use serde_json::json;

use support::federation::{ADMIN, Federation, PROJECT, When, write_identity};

/// The defect of a kit, and the file it is in, relative to the kit.
fn defect(kit: &Path) -> (String, String) {
    let error = StartupKit::open(kit).expect_err("the kit was to be refused");
    assert_eq!(error.kind(), ErrorKind::InvalidStartupKit);
    let cause = error.source().unwrap().downcast_ref::<KitError>().unwrap();
    assert_eq!(error.hint(), Some(cause.remedy()));
    let file = cause.file().strip_prefix(kit).unwrap_or_else(|_| cause.file()).display().to_string();
    let defect = format!("{:?}", cause.defect());
    (file, defect.split(['(', ' ']).next().unwrap().to_owned())
}

fn named(file: &str, defect: &str) -> (String, String) {
    (file.to_owned(), defect.to_owned())
}

#[test]
fn a_complete_kit_tells_who_and_where() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({"port": 28002}));
    let kit = StartupKit::open(&folder).unwrap();
    assert_eq!((kit.project_name(), kit.username(), kit.server_identity()), (PROJECT, ADMIN, "server"));
    assert_eq!((kit.organization(), kit.role()), ("nvidia", "project_admin"));
    assert_eq!((kit.host(), kit.port(), kit.scheme()), ("127.0.0.1", 28002, Scheme::Http));
    assert_eq!(kit.connection_security(), ConnectionSecurity::Mtls);
    assert_eq!((kit.upload_dir(), kit.download_dir()), (folder.join("transfer"), folder.join("transfer")));
    assert_eq!((kit.login_timeout(), kit.message_timeout()), (Duration::from_secs(10), Duration::from_secs(5)));
    assert!(kit.valid_until() > std::time::SystemTime::now());
    assert!(!format!("{kit:?}").contains("PRIVATE"));
}

#[test]
fn the_smallest_kit_of_the_official_client_is_enough() {
    let federation = Federation::new();
    let none = serde_json::Value::Null;
    let folder = federation.write_kit(
        "kit",
        json!({"username": none, "server_identity": none, "connection_security": none, "with_file_transfer": none,
               "host": none, "port": none, "upload_dir": none, "download_dir": none, "uid_source": "cert"}),
    );
    fs::remove_dir(folder.join("transfer")).unwrap();
    let kit = StartupKit::open(&folder).unwrap();
    assert_eq!((kit.username(), kit.host(), kit.port()), (ADMIN, "localhost", 8002));
    assert!(!kit.download_dir().exists(), "reading a kit writes nothing");
}

#[test]
fn own_settings_replace_the_default_ones_altogether_but_not_those_of_the_startup_folder() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({}));
    let write = |name: &str, admin: serde_json::Value| {
        fs::write(folder.join("local").join(name), json!({"admin": admin}).to_string()).unwrap();
    };
    write("resources.json.default", json!({"authenticate_msg_timeout": 2.0, "login_timeout": 20, "idle_timeout": 9}));
    let kit = StartupKit::open(&folder).unwrap();
    assert_eq!((kit.message_timeout(), kit.login_timeout()), (Duration::from_secs(2), Duration::from_secs(20)));
    write("resources.json", json!({"login_timeout": 30, "host": "elsewhere"}));
    let kit = StartupKit::open(&folder).unwrap();
    assert_eq!((kit.message_timeout(), kit.login_timeout()), (Duration::from_secs(5), Duration::from_secs(30)));
    assert_eq!(kit.host(), "127.0.0.1");
}

#[test]
fn the_kit_is_the_folder_that_holds_startup_and_local() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({}));
    assert_eq!(defect(&folder.join("nowhere")).1, "NoFolder");
    assert_eq!(defect(&folder.join("startup")).1, "StartupFolder");
    assert_eq!(defect(&folder.join("transfer")), named("startup", "NoFolder"));
    fs::remove_dir(folder.join("local")).unwrap();
    assert_eq!(defect(&folder), named("local", "NoFolder"));
}

#[test]
fn every_missing_or_damaged_file_is_named() {
    let federation = Federation::new();
    let kit = || federation.write_kit("kit", json!({}));
    for file in ["startup/fed_admin.json", "startup/client.crt", "startup/client.key", "startup/rootCA.pem"] {
        let folder = kit();
        fs::remove_file(folder.join(file)).unwrap();
        assert_eq!(defect(&folder), named(file, "NoFile"));
    }
    for (file, content, expected) in [
        ("startup/fed_admin.json", "{", "NotJson"),
        ("startup/fed_admin.json", "[]", "NotJson"),
        ("startup/fed_admin.json", "{}", "NoAdminSection"),
        ("startup/fed_admin.json", r#"{"admin": []}"#, "NoAdminSection"),
        ("startup/client.crt", "", "BadCertificate"),
        ("startup/client.key", "", "BadPrivateKey"),
        ("startup/client.key", "\u{fffd}", "BadPrivateKey"),
        ("startup/rootCA.pem", "x", "BadCertificate"),
        ("local/resources.json", "{", "NotJson"),
        ("local/resources.json", r#"{"admin": 1}"#, "NoAdminSection"),
    ] {
        let folder = kit();
        fs::write(folder.join(file), content).unwrap();
        assert_eq!(defect(&folder), named(file, expected), "{content}");
        let _ = fs::remove_file(folder.join("local/resources.json"));
    }
    let folder = kit();
    fs::write(folder.join("startup/client.crt"), vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert_eq!(defect(&folder), named("startup/client.crt", "TooLarge"));
}

#[test]
fn certificate_key_and_user_have_to_belong_together() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({}));
    fs::write(folder.join("startup/client.key"), federation.server.key().to_pem()).unwrap();
    assert_eq!(defect(&folder), named("startup/client.key", "KeyMismatch"));

    let folder = federation.write_kit("kit", json!({"username": "somebody@else.org"}));
    assert_eq!(defect(&folder), named("startup/fed_admin.json", "OtherUser"));
    let folder = federation.write_kit("kit", json!({"username": "somebody@else.org", "uid_source": "cert"}));
    assert_eq!(StartupKit::open(folder).unwrap().username(), ADMIN);

    let folder = federation.write_kit("kit", json!({}));
    write_identity(&folder, &federation.admin_certificate("", When::Now));
    assert_eq!(defect(&folder), named("startup/client.crt", "NoCommonName"));
}

#[test]
fn an_upload_folder_of_its_own_has_to_exist() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({"upload_dir": "outgoing"}));
    assert_eq!(defect(&folder), named("outgoing", "NoFolder"));
    fs::create_dir(folder.join("outgoing")).unwrap();
    assert!(StartupKit::open(folder).is_ok());
}

#[test]
fn a_signed_configuration_must_not_be_changed() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({}));
    let config = folder.join("startup/fed_admin.json");
    let sign = |names: &[&str]| {
        let signature = federation
            .authority
            .key()
            .signer()
            .sign_base64(&mut Randomness::from_number(3), &fs::read(&config).unwrap());
        let entries: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!(signature))).collect();
        fs::write(folder.join("startup/signature.json"), json!(entries).to_string()).unwrap();
    };
    sign(&["fed_admin.json", "client.crt"]);
    assert!(StartupKit::open(&folder).is_ok());

    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("127.0.0.1", "127.0.0.2")).unwrap();
    assert_eq!(defect(&folder), named("startup/fed_admin.json", "Tampered"));

    sign(&["client.crt"]);
    assert_eq!(defect(&folder), named("startup/fed_admin.json", "NotSigned"));

    // As with the official client, signatures without the authority beside them are not looked at.
    fs::rename(folder.join("startup/rootCA.pem"), folder.join("startup/root.pem")).unwrap();
    assert_eq!(defect(&folder), named("startup/rootCA.pem", "NoFile"));
}

#[test]
fn defects_can_be_matched_on() {
    let federation = Federation::new();
    let folder = federation.write_kit("kit", json!({"port": "8002"}));
    let error = StartupKit::open(folder).unwrap_err();
    let cause = error.source().unwrap().downcast_ref::<KitError>().unwrap();
    assert!(matches!(cause.defect(), KitDefect::BadValue { key: "port", expected: "a port number" }));
}
