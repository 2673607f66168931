//! Names and ids that were checked when they were made.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Longest study name (`reference/client-api.md` section 2.2, point 11).
const MAX_STUDY_NAME: usize = 63;
/// Longest submit token (section 6 there).
const MAX_SUBMIT_TOKEN: usize = 128;

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if the rule above admits it.
            ///
            /// # Errors
            /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument).
            pub fn new(text: impl Into<String>) -> Result<Self, Error> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    };
}
pub(super) use checked_text;

checked_text! {
    /// The name of a study: lower-case letters, digits, `_` and `-`, beginning and ending with a letter or digit,
    /// at most 63 characters.
    StudyName, check_study_name
}

impl StudyName {
    /// The name of the study that always exists and that everybody may use.
    pub const DEFAULT: &'static str = "default";
}

impl Default for StudyName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

fn check_study_name(text: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.len() <= MAX_STUDY_NAME && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "study name {text:?} must be 1 to {MAX_STUDY_NAME} lower-case letters, digits, underscores or hyphens, \
         with a letter or digit at both ends"
    )))
}

checked_text! {
    /// The name of a site: letters, digits, `.`, `_` and `-`.
    SiteName, check_site_name
}

fn check_site_name(text: &str) -> Result<(), Error> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        // A name that looks like an option would be read as one.
        if !text.starts_with('-') {
            return Ok(());
        }
    }
    Err(Error::argument(format!("target name {text:?} must be letters, digits, dots, underscores or hyphens")))
}

checked_text! {
    /// The id of a job. The server accepts version-4 UUIDs; this type only makes sure that the id is one word, so
    /// that the server can say what it thinks of it.
    JobId, check_job_id
}

fn check_job_id(text: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    // What looks like an option would be read as one.
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(inner) {
        return Ok(());
    }
    let rule = "one word of letters, digits, dots, underscores, colons or hyphens that does not begin with a hyphen";
    Err(Error::argument(format!("job id {text:?} must be {rule}")))
}

checked_text! {
    /// A token that makes submitting a job safe to repeat: 1 to 128 letters, digits, `.`, `_`, `:` and `-`.
    SubmitToken, check_submit_token
}

impl SubmitToken {
    /// A token that nobody else has.
    pub(crate) fn random(random: &mut flare_wire::Randomness) -> Self {
        Self(random.uuid())
    }
}

fn check_submit_token(text: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if (1..=MAX_SUBMIT_TOKEN).contains(&text.len()) && text.chars().all(inner) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "a submit token must be 1 to {MAX_SUBMIT_TOKEN} letters, digits, dots, underscores, colons or hyphens"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn study_names_follow_the_rule_of_the_official_client() {
        for good in ["a", "0", "cancer-study_2", &"a".repeat(63)] {
            assert!(StudyName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "_a", "A", "a b", "a\n", "ä", &"a".repeat(64)] {
            assert!(StudyName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn site_names_are_one_word_and_no_option() {
        for good in ["site-1", "a.b_c", "server"] {
            assert!(SiteName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "-l", "a/b", "a\"", "a#"] {
            assert!(SiteName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn submit_tokens_are_limited_to_128_characters() {
        assert!(SubmitToken::new("a".repeat(128)).is_ok());
        assert!(SubmitToken::new("a".repeat(129)).is_err());
        assert!(SubmitToken::new("").is_err());
        assert!(SubmitToken::new("a/b").is_err());
    }

    #[test]
    fn job_ids_are_one_word() {
        assert!(JobId::new("8842f542-9eef-4899-aec1-b0733a8cfe40").is_ok());
        assert!(JobId::new("nope").is_ok());
        assert!(JobId::new("a b").is_err());
        assert!(JobId::new("-d").is_err());
        assert!(JobId::new("").is_err());
    }
}
