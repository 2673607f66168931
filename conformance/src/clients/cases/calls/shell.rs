//! Shell commands on the server and on sites.

use super::{LINE, Row, Shape, row};
use crate::clients::bout::SITE;

pub(super) static ROWS: &[Row] = &[
    row(
        "shell.pwd",
        "get_working_directory of the server",
        &["API-SHELL-001", LINE],
        &["get_working_directory"],
        r#"{"target": "server"}"#,
        &["pwd server"],
    )
    .gives(Shape::TextWith("/")),
    row(
        "shell.pwd-site",
        "get_working_directory of a site",
        &["API-SHELL-001", LINE],
        &["get_working_directory"],
        r#"{"target": "{site}"}"#,
        &["pwd {site}"],
    )
    .gives(Shape::TextWith(SITE)),
    row(
        "shell.ls",
        "ls_target with options and a path",
        &["API-SHELL-002", LINE],
        &["ls_target"],
        r#"{"target": "server", "options": "-l", "path": "startup"}"#,
        &["ls server -l startup"],
    )
    .gives(Shape::TextWith("fed_server.json")),
    row(
        "shell.ls-plain",
        "ls_target with nothing but a target",
        &["API-SHELL-002", LINE],
        &["ls_target"],
        r#"{"target": "{site}"}"#,
        &["ls {site}"],
    )
    .gives(Shape::TextWith("startup")),
    row(
        "shell.cat",
        "cat_target with options",
        &["API-SHELL-003", LINE],
        &["cat_target"],
        r#"{"target": "server", "options": "-n", "file": "startup/fed_server.json"}"#,
        &["cat server -n startup/fed_server.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.head",
        "head_target with an option that has a value",
        &["API-SHELL-004", LINE],
        &["head_target"],
        r#"{"target": "server", "options": "-n 2", "file": "startup/fed_server.json"}"#,
        &["head server -n 2 startup/fed_server.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.tail",
        "tail_target",
        &["API-SHELL-005", LINE],
        &["tail_target"],
        r#"{"target": "{site}", "file": "startup/fed_client.json"}"#,
        &["tail {site} startup/fed_client.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.grep",
        "grep_target with a pattern",
        &["API-SHELL-006", LINE],
        &["grep_target"],
        r#"{"target": "server", "options": "-n", "pattern": "format_version", "file": "startup/fed_server.json"}"#,
        &["grep server -n format_version startup/fed_server.json"],
    )
    .gives(Shape::TextWith("format_version")),
    row(
        "shell.head-log",
        "head_target_log reads the log",
        &["API-SHELL-007", LINE],
        &["head_target_log"],
        r#"{"target": "server", "options": "-n 3"}"#,
        &["head server -n 3 log.txt"],
    )
    .gives(Shape::Text),
    row(
        "shell.tail-log",
        "tail_target_log reads the log",
        &["API-SHELL-008", LINE],
        &["tail_target_log"],
        r#"{"target": "server"}"#,
        &["tail server log.txt"],
    )
    .gives(Shape::Text),
    row(
        "shell.options-two",
        "two options are two words to the server",
        &["API-SHELL-002"],
        &["ls_target"],
        r#"{"target": "server", "options": "-l -a"}"#,
        &["ls server -l -a"],
    )
    .gives(Shape::TextWith("startup")),
    row(
        "shell.complaint",
        "what the program complains about is a result",
        &["API-SHELL-009"],
        &["cat_target"],
        r#"{"target": "server", "file": "missing.txt"}"#,
        &["cat server missing.txt"],
    )
    .gives(Shape::TextWith("No such file")),
];
