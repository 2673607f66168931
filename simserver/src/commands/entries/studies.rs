//! Commands of scope `study_mgmt`.

use super::super::checks::Check;
use super::super::studies;
use super::super::table::{Command, Confirm};

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "study_mgmt",
        "add_study_site",
        "add sites to a study",
        "add_study_site <study> [--sites s1,s2,...] [--site-org org:s1,s2,...]",
    )
    .check(Check::StudyAdmin)
    .run(studies::add_study_site),
    Command::new("study_mgmt", "add_study_user", "add a user to a study", "add_study_user <study> <user>")
        .check(Check::StudyAdmin)
        .run(studies::add_study_user),
    Command::new("study_mgmt", "list_studies", "list visible studies", "list_studies")
        .check(Check::StudyUser)
        .run(studies::list_studies),
    Command::new(
        "study_mgmt",
        "register_study",
        "create or merge a study",
        "register_study <study> [--sites s1,s2,...] [--site-org org:s1,s2,...]",
    )
    .check(Check::StudyAdmin)
    .run(studies::register_study),
    Command::new("study_mgmt", "remove_study", "remove a study", "remove_study <study>")
        .confirm(Confirm::Auth)
        .check(Check::ProjectAdmin)
        .run(studies::remove_study),
    Command::new(
        "study_mgmt",
        "remove_study_site",
        "remove sites from a study",
        "remove_study_site <study> [--sites s1,s2,...] [--site-org org:s1,s2,...]",
    )
    .check(Check::StudyAdmin)
    .run(studies::remove_study_site),
    Command::new("study_mgmt", "remove_study_user", "remove a user from a study", "remove_study_user <study> <user>")
        .check(Check::StudyAdmin)
        .run(studies::remove_study_user),
    Command::new("study_mgmt", "show_study", "show a study", "show_study <study>")
        .check(Check::StudyAdmin)
        .run(studies::show_study),
];
