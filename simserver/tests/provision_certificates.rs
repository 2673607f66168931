//! The certificates of the simulator beside those that `nvflare provision` 2.9.0 made: every field but the
//! random ones has to be the same.

#![expect(clippy::unwrap_used, reason = "a certificate that cannot be read fails the test")]

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use flare_simserver::pki::{Authority, KeyPair, Subject, Validity};
use flare_wire::{Moment, Randomness};
use sha1::{Digest as _, Sha1};
use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};
use x509_parser::public_key::PublicKey;

#[test]
fn certificates_have_the_profile_of_real_provisioning() {
    let key = KeyPair::generate().unwrap();
    let mut random = Randomness::from_number(1);
    let now = Moment::from_unix(Duration::from_secs(1_900_000_000));
    let root = Authority::create("ref_project", key.clone(), Validity::starting(now), &mut random).unwrap();
    let mut issue = |subject: Subject| root.issue(&subject, key.clone(), now, &mut random).unwrap().pem().to_owned();

    for (recorded, ours) in [
        ("root", root.pem().to_owned()),
        ("server", issue(Subject::new("server").organization("nvidia").host("localhost"))),
        ("site", issue(Subject::new("site-3").organization("acme"))),
        ("admin", issue(Subject::new("lead@acme.org").organization("acme").role("lead"))),
    ] {
        let path = format!("{}/tests/data/certificates/{recorded}.pem", env!("CARGO_MANIFEST_DIR"));
        let real = describe(&fs::read_to_string(path).unwrap());
        assert_eq!(describe(&ours), real, "{recorded}");
    }
}

#[test]
fn a_leaf_does_not_outlive_its_root_and_none_is_issued_after_it() {
    let key = KeyPair::generate().unwrap();
    let mut random = Randomness::from_number(1);
    let start = Moment::from_unix(Duration::from_secs(1_900_000_000));
    let root = Authority::create("p", key.clone(), Validity::starting(start), &mut random).unwrap();
    let end = root.certificate().not_after();

    let later = start + Duration::from_secs(1_000_000);
    let leaf = root.issue(&Subject::new("site-1"), key.clone(), later, &mut random).unwrap();
    assert_eq!((leaf.certificate().not_before(), leaf.certificate().not_after()), (later, end));

    let error = root.issue(&Subject::new("site-1"), key, end, &mut random).unwrap_err();
    assert_eq!(error.to_string(), "cannot issue a certificate for 'site-1': the root certificate has expired");
}

#[test]
fn a_server_with_several_hosts_names_them_all_and_tells_addresses_from_names() {
    let key = KeyPair::generate().unwrap();
    let mut random = Randomness::from_number(1);
    let now = Moment::from_unix(Duration::from_secs(1_900_000_000));
    let root = Authority::create("p", key.clone(), Validity::starting(now), &mut random).unwrap();
    let subject = Subject::new("server").host("flare.example.com").host("127.0.0.1").host("flare.example.com");
    let leaf = root.issue(&subject, key, now, &mut random).unwrap();
    let text = describe(leaf.pem());
    assert!(text.contains("DNSName(\"flare.example.com\"), IPAddress([127, 0, 0, 1])]"), "{text}");
}

#[test]
fn a_stored_root_issues_what_the_original_would() {
    let key = KeyPair::generate().unwrap();
    let now = Moment::from_unix(Duration::from_secs(1_900_000_000));
    let original =
        Authority::create("p", key.clone(), Validity::starting(now), &mut Randomness::from_number(1)).unwrap();
    let loaded = Authority::load(original.pem(), key.clone()).unwrap();
    assert_eq!(loaded.pem(), original.pem());
    let subject = Subject::new("site-1").organization("acme");
    let issue = |root: &Authority| {
        root.issue(&subject, key.clone(), now, &mut Randomness::from_number(2)).unwrap().pem().to_owned()
    };
    assert_eq!(issue(&loaded), issue(&original));
}

/// Everything in a certificate but serial number, key, signature and the dates themselves.
fn describe(pem: &str) -> String {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    let mut text = String::new();
    let mut line = |field: &str, value: String| writeln!(text, "{field}: {value}").unwrap();

    line("version", certificate.version().to_string());
    // 159 random bits: now and then the first bytes are zero and not written.
    line("serial is long and positive", format!("{}", (16..=20).contains(&certificate.raw_serial().len())));
    line("signature algorithm", format!("{:?}", certificate.signature_algorithm.algorithm));
    for (field, name) in [("issuer", certificate.issuer()), ("subject", certificate.subject())] {
        for attribute in name.iter_attributes() {
            let (tag, value) = (attribute.attr_value().tag(), attribute.as_str().unwrap());
            line(field, format!("{} {tag:?} {value}", attribute.attr_type()));
        }
    }
    let validity = certificate.validity();
    line("validity", format!("{:?}", (validity.not_after - validity.not_before).unwrap()));
    line("dates are UTCTime", format!("{} {}", validity.not_before.is_utctime(), validity.not_after.is_utctime()));

    let public = certificate.public_key();
    let PublicKey::RSA(rsa) = public.parsed().unwrap() else { panic!("not an RSA key") };
    line("key", format!("{:?} {} bits, e={:?}", public.algorithm, rsa.key_size(), rsa.try_exponent().unwrap()));
    let identifier = format!("{:x?}", Sha1::digest(&public.subject_public_key.data).as_slice());

    let mut extensions: Vec<String> = certificate
        .extensions()
        .iter()
        .map(|extension| {
            let parsed = format!("{:?}", extension.parsed_extension());
            // The serial number of a certificate and the hash of a key are random; whose hash it is, is not.
            let value = match extension.oid.to_id_string().as_str() {
                "2.5.29.14" if format!("{:x?}", &extension.value[2..]) == identifier => "hash of the key".to_owned(),
                "2.5.29.35" => format!("{} bytes", extension.value.len()),
                _ => format!("{parsed} {:x?}", extension.value),
            };
            format!("{} critical={} {value}", extension.oid, extension.critical)
        })
        .collect();
    // Their order means nothing.
    extensions.sort();
    line("extensions", format!("\n  {}", extensions.join("\n  ")));
    text
}
