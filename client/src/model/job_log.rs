//! Logs of jobs: whose, which, and what came.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::SiteName;
use super::name::checked_text;
use crate::Error;

/// Whose log of a job is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum LogTarget {
    /// The server's.
    #[default]
    Server,
    /// The server's and every site's.
    All,
    /// One site's.
    Site(SiteName),
}

impl LogTarget {
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Server => "server",
            Self::All => "all",
            Self::Site(name) => name.as_str(),
        }
    }
}

/// Which of a job's two logs is wanted. They tell the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFile {
    /// `log.txt`: lines for people.
    #[default]
    Text,
    /// `log.json`: one JSON object per line (servers from 2.9 on).
    Json,
}

/// Logs of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobLogs {
    /// The logs that are there, by `server` or the name of a site. The server sends at most the last 5 MiB of each.
    pub logs: BTreeMap<String, String>,
    /// Why others are not, in the same way. That a site is unknown is told here too.
    pub unavailable: BTreeMap<String, String>,
}

checked_text! {
    /// How a log is configured: a level by name (in any case) or number (0 to 50), or one of `full`, `concise`,
    /// `msg_only`, `verbose`, `reload`. Servers take nothing else, whatever the API document says.
    LogConfig, check_log_config
}

const LEVELS: [&str; 8] = ["CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET"];
const MODES: [&str; 5] = ["full", "concise", "msg_only", "verbose", "reload"];

/// The highest level that can be given as a number.
const MAX_LEVEL: u32 = 50;

fn check_log_config(text: &str) -> Result<(), Error> {
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|level| level <= MAX_LEVEL);
    if is_number || LEVELS.contains(&text.to_ascii_uppercase().as_str()) || MODES.contains(&text) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "log configuration {text:?} must be a level, a number from 0 to {MAX_LEVEL}, or one of {}",
        MODES.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modes_are_taken_and_nothing_else() {
        for text in ["INFO", "debug", "0", "50", "full", "reload"] {
            assert!(LogConfig::new(text).is_ok(), "{text}");
        }
        for text in ["", "51", "-1", "FULL", "bogus", "{}", "INFO "] {
            assert!(LogConfig::new(text).is_err(), "{text}");
        }
    }
}
