//! Commands that begin and end a session.

use flare_wire::hci::{Item, Reply};

use super::{Command, Line, first_table, missing};
use crate::model::CommandDescription;
use crate::{Error, ErrorKind};

/// `_cert_login`; the certificate, the signature and the study travel in the headers of the message.
#[derive(Debug)]
pub(crate) struct CertLogin<'a> {
    pub(crate) user: &'a str,
}

impl Command for CertLogin<'_> {
    /// The session token.
    type Output = String;
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("_cert_login").word(self.user)
    }

    /// `OK` and a token, or `REJECT`, `REJECT: text`, `REJECT: CODE: text` (`reference/client-api.md` section 2.5).
    /// These words are the protocol: a rejection has no `meta`.
    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let mut token = None;
        for item in reply.data {
            match item {
                Item::Token(text) => token = Some(text),
                Item::String(text) => {
                    if let Some(reason) = text.strip_prefix("REJECT") {
                        return Err(rejection(reason));
                    }
                }
                _ => {}
            }
        }
        token.ok_or_else(|| missing("session token"))
    }
}

fn rejection(reason: &str) -> Error {
    let reason = reason.trim_start_matches(':').trim();
    let (code, text) = match reason.split_once(':') {
        Some((code, text)) if code.starts_with("AUTH_") => (Some(code), text.trim()),
        _ if reason.starts_with("AUTH_") => (Some(reason), ""),
        _ => (None, reason),
    };
    let kind = match code {
        Some("AUTH_UNKNOWN_STUDY" | "AUTH_STUDY_NOT_CONFIGURED") => ErrorKind::StudyUnknown,
        _ => ErrorKind::LoginRejected,
    };
    let message = match (text, code) {
        ("", None) => "login rejected: the server does not accept the certificate for this user".to_owned(),
        ("", Some(code)) => format!("login rejected: {code}"),
        (text, _) => format!("login rejected: {text}"),
    };
    let error = Error::new(kind, message).with_answer(None, text);
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// `_commands`: what the server offers.
#[derive(Debug)]
pub(crate) struct Commands;

impl Command for Commands {
    type Output = Vec<CommandDescription>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("_commands")
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let rows = first_table(&reply).ok_or_else(|| missing("table of commands"))?;
        Ok(rows
            .iter()
            .map(|row| {
                let optional = |index: usize| row.get(index).cloned().flatten();
                let cell = |index: usize| optional(index).unwrap_or_default();
                CommandDescription {
                    scope: cell(0),
                    name: cell(1),
                    description: cell(2),
                    usage: cell(3),
                    confirm: cell(4),
                    client_command: optional(5),
                    visible: cell(6) == "True",
                }
            })
            .collect())
    }
}

/// `_logout`.
#[derive(Debug)]
pub(crate) struct Logout;

impl Command for Logout {
    type Output = ();
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("_logout")
    }

    fn read(&self, _reply: Reply) -> Result<Self::Output, Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;

    const LOGIN: CertLogin<'_> = CertLogin { user: "admin@nvidia.com" };

    #[test]
    fn a_login_gives_the_token() {
        assert!(read_any(&LOGIN, "_cert_login.ok").unwrap().contains(':'));
        insta::assert_snapshot!(LOGIN.line(), @"_cert_login admin@nvidia.com");
    }

    #[test]
    fn rejections_keep_their_code() {
        let rejected = |name: &str| {
            let error = read_any(&LOGIN, name).unwrap_err();
            format!("{:?} {:?} {error}", error.kind(), error.code())
        };
        let all: Vec<_> = [
            "_cert_login.bad_signature",
            "_cert_login.wrong_user",
            "_cert_login.study_unknown",
            "_cert_login.study_not_configured",
            "_cert_login.study_bad_name",
            "_cert_login.study_unmapped",
            "_cert_login.study_not_str",
            "_cert_login.no_headers",
        ]
        .map(rejected)
        .into();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn the_table_of_commands_is_read() {
        let commands = read(&Commands, "_commands.all").unwrap();
        let find = |name: &str| commands.iter().find(|command| command.name == name).unwrap();
        assert_eq!(find("submit_job").client_command.as_deref(), Some("file_transfer.push_folder"));
        assert_eq!((find("delete_job").confirm.as_str(), find("cells").visible), ("auth", false));
    }
}
