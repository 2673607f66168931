//! Commands about studies.

use flare_wire::hci::{JsonObject, Reply};

use super::{Command, Line, first_dict, missing};
use crate::model::{RemovedStudy, Study, StudyListing, StudyName, StudySiteChange, StudySites, StudyUser};
use crate::{Error, verdict};

/// `list_studies`.
#[derive(Debug)]
pub(crate) struct ListStudies;

impl Command for ListStudies {
    type Output = StudyListing;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("list_studies")
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        first_dict(reply).map(StudyListing::read).ok_or_else(|| missing("list of studies"))
    }
}

/// The payload of a study command. Its errors come in replies whose status is `ok`.
fn payload(reply: Reply) -> Result<JsonObject, Error> {
    verdict::of_payload(first_dict(reply).ok_or_else(|| missing("payload"))?)
}

/// `register_study`.
#[derive(Debug)]
pub(crate) struct RegisterStudy<'a> {
    pub(crate) study: &'a StudyName,
    pub(crate) sites: &'a StudySites,
}

impl Command for RegisterStudy<'_> {
    type Output = Study;
    /// A study that is there is merged with.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("register_study").word(self.study.as_str()).words(self.sites.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(Study::read)
    }
}

/// `add_study_site`.
#[derive(Debug)]
pub(crate) struct AddStudySite<'a> {
    pub(crate) study: &'a StudyName,
    pub(crate) sites: &'a StudySites,
}

impl Command for AddStudySite<'_> {
    type Output = StudySiteChange;
    /// The second time all are enrolled already.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("add_study_site").word(self.study.as_str()).words(self.sites.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(StudySiteChange::read)
    }
}

/// `remove_study_site`.
#[derive(Debug)]
pub(crate) struct RemoveStudySite<'a> {
    pub(crate) study: &'a StudyName,
    pub(crate) sites: &'a StudySites,
}

impl Command for RemoveStudySite<'_> {
    type Output = StudySiteChange;
    /// The second time none is enrolled any more.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("remove_study_site").word(self.study.as_str()).words(self.sites.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(StudySiteChange::read)
    }
}

/// `show_study`.
#[derive(Debug)]
pub(crate) struct ShowStudy<'a>(pub(crate) &'a StudyName);

impl Command for ShowStudy<'_> {
    type Output = Study;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("show_study").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(Study::read)
    }
}

/// `remove_study`.
#[derive(Debug)]
pub(crate) struct RemoveStudy<'a>(pub(crate) &'a StudyName);

impl Command for RemoveStudy<'_> {
    type Output = RemovedStudy;
    /// The second time there is no such study, which would look like an error.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("remove_study").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(RemovedStudy::read)
    }
}

/// `add_study_user`.
#[derive(Debug)]
pub(crate) struct AddStudyUser<'a> {
    pub(crate) study: &'a StudyName,
    pub(crate) user: &'a str,
}

impl Command for AddStudyUser<'_> {
    type Output = StudyUser;
    /// The second time the user is there already, which would look like an error.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("add_study_user").word(self.study.as_str()).word(self.user)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(StudyUser::read)
    }
}

/// `remove_study_user`.
#[derive(Debug)]
pub(crate) struct RemoveStudyUser<'a> {
    pub(crate) study: &'a StudyName,
    pub(crate) user: &'a str,
}

impl Command for RemoveStudyUser<'_> {
    type Output = StudyUser;
    /// The second time the user is not there any more, which would look like an error.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("remove_study_user").word(self.study.as_str()).word(self.user)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        payload(reply).map(StudyUser::read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::ErrorKind;

    fn study(name: &str) -> StudyName {
        StudyName::new(name).unwrap()
    }

    #[test]
    fn recorded_studies_are_read() {
        let nvidia = StudySites::of_org("nvidia", ["site-1", "site-2"]).unwrap();
        let made =
            read(&RegisterStudy { study: &study("s1"), sites: &nvidia }, "register_study.ok.project_admin").unwrap();
        assert_eq!((made.name.as_str(), made.users.len()), ("s1", 1));
        assert_eq!(made.site_orgs["nvidia"], ["site-1", "site-2"]);
        let own = StudySites::sites(["site-1"]).unwrap();
        let made = read(&RegisterStudy { study: &study("s2"), sites: &own }, "register_study.ok.org_admin").unwrap();
        assert_eq!(made.users, ["orgadmin@nvidia.com"]);
        let shown = read(&ShowStudy(&study("s2")), "show_study.s2.after").unwrap();
        assert_eq!((shown.sites.as_slice(), shown.site_orgs["acme"].len()), (&["site-1".to_owned()][..], 0));
        assert!(shown.extra.is_empty());
    }

    #[test]
    fn recorded_changes_of_sites_are_read() {
        let acme = StudySites::of_org("acme", ["site-3"]).unwrap();
        let added = read(&AddStudySite { study: &study("s2"), sites: &acme }, "add_study_site.new_org").unwrap();
        assert_eq!((added.added.as_slice(), added.already_enrolled.len()), (&["site-3".to_owned()][..], 0));
        let removed = read(&RemoveStudySite { study: &study("s2"), sites: &acme }, "remove_study_site.ok").unwrap();
        assert_eq!((removed.removed.as_slice(), removed.site_orgs["acme"].len()), (&["site-3".to_owned()][..], 0));
        let gone =
            read(&RemoveStudySite { study: &study("s2"), sites: &acme }, "remove_study_site.not_enrolled").unwrap();
        assert_eq!((gone.not_enrolled, gone.extra.len()), (vec!["site-3".to_owned()], 0));
    }

    #[test]
    fn recorded_changes_of_users_are_read() {
        let s1 = study("s1");
        let added = read(&AddStudyUser { study: &s1, user: "a b" }, "add_study_user.weird_name").unwrap();
        assert_eq!((added.user.as_str(), added.removed), ("a b", None));
        let removed = read(&RemoveStudyUser { study: &s1, user: "nobody@nowhere" }, "remove_study_user.ok").unwrap();
        assert_eq!((removed.removed, removed.extra.len()), (Some(true), 0));
        assert_eq!(read(&RemoveStudy(&s1), "remove_study.s1").unwrap().removed, Some(true));
    }

    #[test]
    fn errors_in_replies_that_say_ok_keep_code_message_hint_and_exit_code() {
        let error = read(&ShowStudy(&study("s1")), "show_study.none").unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.exit_code()),
            (ErrorKind::StudyUnknown, Some("STUDY_NOT_FOUND"), Some(1))
        );
        assert_eq!(error.server_text(), Some("Study 's1' not found."));
        assert!(error.server_hint().unwrap().starts_with("Verify the study name."));
        let error = read_any(&ShowStudy(&study("s1")), "show_study.default").unwrap_err();
        assert_eq!((error.server_hint(), error.exit_code()), (None, Some(4)));
    }

    #[test]
    fn every_recorded_reply_to_a_study_command_is_a_payload_or_an_error_with_a_kind_of_its_own() {
        let (mut payloads, mut errors) = (0, 0);
        for recorded in flare_fixtures::replies() {
            let line = recorded.command.as_deref().unwrap_or_default();
            let word = line.split(' ').next().unwrap_or_default();
            if !word.contains("_study") || !recorded.reply.is_object() {
                continue;
            }
            match read_any(&ShowStudy(&study("x")), &recorded.name) {
                Ok(_) => payloads += 1,
                Err(error) => {
                    let is_told = error.code().is_some() && error.exit_code().is_some();
                    let is_refused = matches!(error.kind(), ErrorKind::NotAuthorized | ErrorKind::Refused);
                    assert!(is_told || is_refused, "{}: {error:?}", recorded.name);
                    errors += 1;
                }
            }
        }
        assert!(payloads > 30 && errors > 40, "{payloads} {errors}");
    }

    #[test]
    fn recorded_lists_are_read() {
        insta::assert_debug_snapshot!(read(&ListStudies, "list_studies.lead_mapped").unwrap());
        let empty = read(&ListStudies, "list_studies.empty.member").unwrap();
        assert_eq!((empty.identity.role.as_deref(), empty.studies.len()), (Some("member"), 0));
    }

    #[test]
    fn every_recorded_list_is_understood_completely() {
        let line = Some("list_studies");
        for recorded in flare_fixtures::replies().iter().filter(|recorded| recorded.command.as_deref() == line) {
            let listing = read(&ListStudies, &recorded.name).unwrap();
            assert!(listing.extra.is_empty() && listing.identity.extra.is_empty(), "{}", recorded.name);
            assert!(listing.details.iter().all(|detail| detail.extra.is_empty()), "{}", recorded.name);
            assert_eq!(listing.studies.len(), listing.details.len(), "{}", recorded.name);
        }
    }
}
