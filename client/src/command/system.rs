//! Commands about the system as a whole.

use flare_wire::hci::Reply;

use super::{Command, Line, missing};
use crate::Error;
use crate::model::{SystemInfo, SystemStatus, Targets};

/// `check_status server`, for the server, its sites and its jobs.
#[derive(Debug)]
pub(crate) struct GetSystemInfo;

impl Command for GetSystemInfo {
    type Output = SystemInfo;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("check_status").word("server")
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        if !reply.meta.contains_key("server_status") {
            return Err(missing("server status"));
        }
        Ok(SystemInfo::read(reply.meta))
    }
}

/// `check_status`.
#[derive(Debug)]
pub(crate) struct CheckStatus<'a>(pub(crate) &'a Targets);

impl Command for CheckStatus<'_> {
    type Output = SystemStatus;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("check_status").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(SystemStatus::read(reply.meta))
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::{ErrorKind, ServerStatus};

    #[test]
    fn the_system_is_read() {
        insta::assert_debug_snapshot!(read(&GetSystemInfo, "check_status.server.project_admin").unwrap());
        let lonely = read(&GetSystemInfo, "check_status.server.no_clients").unwrap();
        assert_eq!((lonely.sites.len(), lonely.server.status), (0, Some(ServerStatus::Stopped)));
    }

    #[test]
    fn the_status_of_everything_is_read() {
        insta::assert_debug_snapshot!(read(&CheckStatus(&Targets::All), "check_status.all.running").unwrap());
    }

    #[test]
    fn a_status_without_sites_is_refused_with_the_servers_words() {
        let error = read_any(&CheckStatus(&Targets::All), "check_status.all.no_clients").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        insta::assert_snapshot!(error, @"refused by the server: no responses from clients");
    }

    #[test]
    fn every_recorded_status_is_understood_completely() {
        for recorded in flare_fixtures::replies() {
            if !recorded.command.as_deref().unwrap_or_default().starts_with("check_status") {
                continue;
            }
            if let Ok(status) = read_any(&CheckStatus(&Targets::All), &recorded.name) {
                assert!(status.extra.is_empty(), "{}: {:?}", recorded.name, status.extra);
                assert!(status.sites.iter().all(|site| site.extra.is_empty()), "{}", recorded.name);
            }
        }
    }
}
