//! Studies.

use super::{LINE, Row, Setting, Shape, row};
use crate::clients::bout::{CHIEF, OFFICE, SECOND_SITE, SITE};

pub(super) static ROWS: &[Row] = &[
    row(
        "studies.register",
        "register_study by organisation",
        &["STUDY-REGISTER-001", LINE],
        &["register_study"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site},{second}", "clinic:{foreign}"]}"#,
        &["register_study trial --site-org hospital:{site},{second} --site-org clinic:{foreign}"],
    )
    .gives(Shape::Names("sites", SITE)),
    row(
        "studies.register-sites",
        "register_study by an organisation's own sites",
        &["STUDY-REGISTER-002", LINE],
        &["register_study"],
        r#"{"study": "trial", "sites": ["{site}", "{second}"]}"#,
        &["register_study trial --sites {site},{second}"],
    )
    .with(Setting::Office)
    .gives(Shape::Names("sites", SECOND_SITE)),
    row(
        "studies.add-site",
        "add_study_site tells what was added",
        &["STUDY-SITE-001", LINE],
        &["add_study_site"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site},{second}"]}"#,
        &["add_study_site trial --site-org hospital:{site},{second}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("added", SECOND_SITE)),
    row(
        "studies.remove-site",
        "remove_study_site tells what was removed",
        &["STUDY-SITE-002", LINE],
        &["remove_study_site"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site}"]}"#,
        &["remove_study_site trial --site-org hospital:{site}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("removed", SITE)),
    row(
        "studies.remove",
        "remove_study removes it",
        &["STUDY-REMOVE-001", LINE],
        &["remove_study"],
        r#"{"study": "trial"}"#,
        &["remove_study trial"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("name", "trial")),
    row(
        "studies.list",
        "list_studies gives the studies",
        &["STUDY-LIST-001", LINE],
        &["list_studies"],
        "{}",
        &["list_studies"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("studies", "trial")),
    row(
        "studies.show",
        "show_study shows sites and users",
        &["STUDY-SHOW-001", LINE],
        &["show_study"],
        r#"{"study": "trial"}"#,
        &["show_study trial"],
    )
    .with(Setting::Study)
    .gives(Shape::Object(&["name", "sites", "users", "site_orgs"])),
    row(
        "studies.add-user",
        "add_study_user",
        &["STUDY-USER-001", LINE],
        &["add_study_user"],
        r#"{"study": "trial", "user": "{office}"}"#,
        &["add_study_user trial {office}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("user", OFFICE)),
    row(
        "studies.remove-user",
        "remove_study_user",
        &["STUDY-USER-002", LINE],
        &["remove_study_user"],
        r#"{"study": "trial", "user": "chief@hospital.test"}"#,
        &["remove_study_user trial chief@hospital.test"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("user", CHIEF)),
];
