//! Which jobs `list_jobs` shows.

use super::SubmitToken;
use crate::Error;

/// Filters and order of a job list; by default all jobs of the session's study, oldest first.
///
/// ```
/// # fn main() -> Result<(), flare_client::Error> {
/// use flare_client::JobQuery;
///
/// let newest_of_mine = JobQuery::new().name_prefix("cifar")?.reverse().limit(5);
/// # let _ = newest_of_mine;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobQuery {
    limit: Option<u32>,
    id_prefix: Option<String>,
    name_prefix: Option<String>,
    reverse: bool,
    own: bool,
    submit_token: Option<SubmitToken>,
}

impl JobQuery {
    /// All jobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only the newest `count` jobs, in either order; 0 means all.
    #[must_use]
    pub fn limit(mut self, count: u32) -> Self {
        self.limit = (count > 0).then_some(count);
        self
    }

    /// Only jobs whose id begins with `prefix`, in any case.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the prefix is empty or begins with a hyphen:
    /// the server would take it for an option.
    pub fn id_prefix(mut self, prefix: impl Into<String>) -> Result<Self, Error> {
        let prefix = prefix.into();
        if prefix.is_empty() || prefix.starts_with('-') {
            return Err(Error::argument(format!(
                "id prefix {prefix:?} must be text that does not begin with a hyphen"
            )));
        }
        self.id_prefix = Some(prefix);
        Ok(self)
    }

    /// Only jobs whose name begins with `prefix`, in any case. A job that was submitted without a name is never
    /// among them, although the list shows its folder's name.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the prefix is empty.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Result<Self, Error> {
        let prefix = prefix.into();
        if prefix.is_empty() {
            return Err(Error::argument("the name prefix is empty"));
        }
        self.name_prefix = Some(prefix);
        Ok(self)
    }

    /// Newest first.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// Only jobs that this user submitted. The official client has no argument for it, the server does.
    #[must_use]
    pub fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// Only the job that was submitted with this token.
    #[must_use]
    pub fn submit_token(mut self, token: SubmitToken) -> Self {
        self.submit_token = Some(token);
        self
    }

    /// The arguments, in the order of the official client.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.own {
            words.push("-u".to_owned());
        }
        if self.reverse {
            words.push("-r".to_owned());
        }
        if let Some(limit) = self.limit {
            words.extend(["-m".to_owned(), limit.to_string()]);
        }
        match &self.name_prefix {
            // As a word of its own it would be taken for an option.
            Some(prefix) if prefix.starts_with('-') => words.push(format!("-n{prefix}")),
            Some(prefix) => words.extend(["-n".to_owned(), prefix.clone()]),
            None => {}
        }
        words.extend(self.id_prefix.clone());
        if let Some(token) = &self.submit_token {
            // A token may begin with a hyphen; the joined form keeps it from being taken for an option.
            if token.as_str().starts_with('-') {
                words.push(format!("--submit-token={token}"));
            } else {
                words.extend(["--submit-token".to_owned(), token.to_string()]);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_would_be_options_are_refused_or_attached() {
        assert!(JobQuery::new().id_prefix("-d").is_err());
        assert!(JobQuery::new().id_prefix("").is_err());
        assert!(JobQuery::new().name_prefix("").is_err());
        assert_eq!(JobQuery::new().name_prefix("-x").unwrap().words(), ["-n-x"]);
    }

    #[test]
    fn a_limit_of_zero_means_all() {
        assert_eq!(JobQuery::new().limit(3).limit(0).words(), Vec::<String>::new());
    }
}
