//! The server and its sites.

use super::{LINE, Row, Shape, row};
use crate::clients::bout::{SECOND_SITE, SITE};

pub(super) static ROWS: &[Row] = &[
    row(
        "system.info",
        "get_system_info gives server, sites and jobs",
        &["API-SYSTEM-001", LINE],
        &["get_system_info"],
        "{}",
        &["check_status server"],
    )
    .gives(Shape::Object(&["server_info", "client_info", "job_info"])),
    row(
        "system.clients",
        "get_connected_client_list gives the sites",
        &["API-SYSTEM-002", LINE],
        &["get_connected_client_list"],
        "{}",
        &["check_status server"],
    )
    .gives(Shape::Lists("name", SITE)),
    row(
        "system.status-all",
        "check_status of all",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "all"}"#,
        &["check_status all"],
    )
    .gives(Shape::Object(&["server_status", "server_start_time", "clients", "client_status"])),
    row(
        "system.status-server",
        "check_status of the server",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "server"}"#,
        &["check_status server"],
    )
    .gives(Shape::Object(&["server_status", "clients"])),
    row(
        "system.status-site",
        "check_status of one site",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["check_status client {site}"],
    )
    .gives(Shape::Object(&["client_status"])),
    row(
        "system.site-jobs",
        "get_client_job_status of every site has an entry for each",
        &["API-STATUS-002", LINE],
        &["get_client_job_status"],
        "{}",
        &["check_status client"],
    )
    .gives(Shape::ListOf(3)),
    row(
        "system.site-jobs-named",
        "get_client_job_status of named sites has entries for these",
        &["API-STATUS-002", LINE],
        &["get_client_job_status"],
        r#"{"client_names": ["{site}", "{second}"]}"#,
        &["check_status client {site} {second}"],
    )
    .gives(Shape::ListOf(2)),
    row(
        "system.resources",
        "report_resources of all",
        &["API-RESOURCES-001", LINE],
        &["report_resources"],
        r#"{"target_type": "all"}"#,
        &["report_resources all"],
    )
    .gives(Shape::Object(&["server", SITE, SECOND_SITE])),
    row(
        "system.resources-site",
        "report_resources of one site",
        &["API-RESOURCES-001", LINE],
        &["report_resources"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["report_resources client {site}"],
    )
    .gives(Shape::Object(&[SITE])),
    row(
        "system.version",
        "report_version of all",
        &["API-VERSION-001", LINE],
        &["report_version"],
        r#"{"target_type": "all"}"#,
        &["report_version all"],
    )
    .gives(Shape::Object(&["server", SITE])),
    row(
        "system.version-site",
        "report_version of one site",
        &["API-VERSION-001", LINE],
        &["report_version"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["report_version client {site}"],
    )
    .gives(Shape::Object(&[SITE])),
    row(
        "system.apps",
        "get_available_apps_to_upload asks nobody",
        &["API-APPS-001"],
        &["get_available_apps_to_upload"],
        "{}",
        &[],
    )
    .gives(Shape::List),
    row(
        "system.disable",
        "disable_client says that the site is disabled",
        &["SITE-DISABLE-001", LINE],
        &["disable_client"],
        r#"{"client_name": "{site}"}"#,
        &["disable_client {site}"],
    )
    .gives(Shape::Object(&["clients"])),
    row(
        "system.enable",
        "enable_client says that the site is enabled",
        &["SITE-ENABLE-001", LINE],
        &["enable_client"],
        r#"{"client_name": "{site}"}"#,
        &["enable_client {site}"],
    )
    .gives(Shape::Object(&["clients"])),
    row(
        "system.remove",
        "remove_client drops a site's registration",
        &["SITE-REMOVE-001", LINE],
        &["remove_client"],
        r#"{"client_name": "{site}"}"#,
        &["remove_client {site}"],
    ),
    row(
        "system.log",
        "configure_site_log for all",
        &["SITE-LOG-001", LINE],
        &["configure_site_log"],
        r#"{"config": "INFO"}"#,
        &["configure_site_log all INFO"],
    ),
    row(
        "system.log-server",
        "configure_site_log for the server, by mode",
        &["SITE-LOG-001", LINE],
        &["configure_site_log"],
        r#"{"config": "concise", "target": "server"}"#,
        &["configure_site_log server concise"],
    ),
    row(
        "system.restart-site",
        "restart of a site without waiting",
        &["SITE-RESTART-001", LINE],
        &["restart"],
        r#"{"target_type": "client", "client_names": ["{site}"], "wait": false}"#,
        &["restart client {site}"],
    ),
    row(
        "system.restart-all",
        "restart of everything without waiting",
        &["SYSTEM-RESTART-001", LINE],
        &["restart"],
        r#"{"target_type": "all", "wait": false}"#,
        &["restart all"],
    ),
    row(
        "system.shutdown-site",
        "shutdown of a site without waiting",
        &["SYSTEM-SHUTDOWN-002", LINE],
        &["shutdown"],
        r#"{"target_type": "client", "client_names": ["{site}"], "wait": false}"#,
        &["shutdown client {site}"],
    ),
    row(
        "system.shutdown-all",
        "shutdown of everything without waiting",
        &["SYSTEM-SHUTDOWN-003", LINE],
        &["shutdown"],
        r#"{"target_type": "all", "wait": false}"#,
        &["shutdown all"],
    ),
];
