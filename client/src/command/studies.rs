//! Commands about studies.

use flare_wire::hci::Reply;

use super::{Command, Line, first_dict, missing};
use crate::Error;
use crate::model::StudyListing;

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

#[cfg(test)]
mod tests {
    use super::super::recorded::read;
    use super::*;

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
