//! The argument parsers of the commands that have one.
//!
//! Names, order and help texts are those of nvflare 2.9.0, since errors and the table of commands show them.

use crate::core::argparse::{Count, ErrorStyle, OptionSpec, Parser};

const fn validator(options: &'static [OptionSpec], positionals: &'static [(&'static str, Count)]) -> Parser {
    Parser { options, positionals, errors: ErrorStyle::Last }
}

const ONE_FILE: &[(&str, Count)] = &[("file", Count::OneOrMore)];

/// Words after `ls target`.
pub const LS: Parser = validator(
    &[
        OptionSpec::flag("-a"),
        OptionSpec::flag("-l"),
        OptionSpec::flag("-t"),
        OptionSpec::flag("-S"),
        OptionSpec::flag("-R"),
        OptionSpec::flag("-u"),
    ],
    &[("file", Count::Optional)],
);

/// Words after `cat target`.
pub const CAT: Parser = validator(
    &[OptionSpec::flag("-n"), OptionSpec::flag("-b"), OptionSpec::flag("-s"), OptionSpec::flag("-T")],
    ONE_FILE,
);

/// Words after `head target`.
pub const HEAD: Parser = validator(&[OptionSpec::integer("-c"), OptionSpec::integer("-n")], ONE_FILE);

/// Words after `tail target`.
pub const TAIL: Parser = HEAD;

/// Words after `grep target`.
pub const GREP: Parser = validator(
    &[OptionSpec::flag("-n"), OptionSpec::flag("-i"), OptionSpec::flag("-b")],
    &[("pattern", Count::One), ("file", Count::OneOrMore)],
);

/// Words after `pwd`, as a site checks them.
pub const PWD: Parser = validator(&[], &[]);

/// Words after `list_jobs`.
pub const LIST_JOBS: Parser = Parser {
    options: &[
        OptionSpec::flag("-d"),
        OptionSpec::flag("-u"),
        OptionSpec::flag("-r"),
        OptionSpec::text("-n"),
        OptionSpec::integer("-m"),
        OptionSpec::text("--submit-token"),
    ],
    positionals: &[("job_id", Count::Optional)],
    errors: ErrorStyle::FirstWithHelp(LIST_JOBS_HELP),
};

/// The same before 2.8, without submit tokens.
pub const LIST_JOBS_2_7: Parser = Parser {
    options: LIST_JOBS.options.split_at(LIST_JOBS.options.len() - 1).0,
    errors: ErrorStyle::FirstWithHelp(LIST_JOBS_HELP_2_7),
    ..LIST_JOBS
};

/// Follows every error in the arguments of `list_jobs` before 2.8.
pub const LIST_JOBS_HELP_2_7: &str = "\
usage: list_jobs [-d] [-u] [-r] [-n N] [-m M] [job_id]

positional arguments:
  job_id  Job ID prefix

options:
  -d      Show detailed list
  -u      List jobs submitted by the same user
  -r      List jobs in reverse order of submission time
  -n N    Filter by job name prefix
  -m M    Maximum number of jobs that will be listed
";

/// Follows every error in the arguments of `list_jobs`.
pub const LIST_JOBS_HELP: &str = "\
usage: list_jobs [-d] [-u] [-r] [-n N] [-m M] [--submit-token SUBMIT_TOKEN]
                 [job_id]

positional arguments:
  job_id                Job ID prefix

options:
  -d                    Show detailed list
  -u                    List jobs submitted by the same user
  -r                    List jobs in reverse order of submission time
  -n N                  Filter by job name prefix
  -m M                  Maximum number of jobs that will be listed
  --submit-token SUBMIT_TOKEN
                        retry-safe submit token
";

/// Words after `submit_job`.
pub const SUBMIT_JOB: Parser = Parser {
    options: &[OptionSpec::text("--submit-token")],
    positionals: &[("folder_name", Count::One)],
    errors: ErrorStyle::FirstWithHelp(SUBMIT_JOB_HELP),
};

/// Follows every error in the arguments of `submit_job`.
pub const SUBMIT_JOB_HELP: &str = "\
usage: submit_job [--submit-token SUBMIT_TOKEN] folder_name

positional arguments:
  folder_name           Uploaded job folder name

options:
  --submit-token SUBMIT_TOKEN
                        retry-safe submit token
";

/// Words after `get_job_log`.
pub const GET_JOB_LOG: Parser = Parser {
    options: &[],
    positionals: &[("job_id", Count::One), ("target", Count::Optional), ("log_file_name", Count::Optional)],
    errors: ErrorStyle::FirstWithHelp(GET_JOB_LOG_HELP),
};

/// Follows every error in the arguments of `get_job_log`.
pub const GET_JOB_LOG_HELP: &str = "\
usage: get_job_log job_id [target] [log_file_name]

positional arguments:
  job_id         Job ID
  target         server, all, or a client site name
  log_file_name  log file name
";

/// The parser of a command that changes the sites of a study.
macro_rules! study_sites {
    ($name:literal) => {
        Parser {
            options: &[OptionSpec::text("--sites"), OptionSpec::text("--site-org")],
            positionals: &[("study", Count::One)],
            errors: ErrorStyle::FirstWithHelp(concat!(
                "usage: ",
                $name,
                " [--sites SITES] [--site-org SITE_ORGS] study\n\npositional arguments:\n  study\n\n",
                "options:\n  --sites SITES\n  --site-org SITE_ORGS\n"
            )),
        }
    };
}

/// The parser of a command about a study.
macro_rules! study {
    ($name:literal) => {
        Parser {
            options: &[],
            positionals: &[("study", Count::One)],
            errors: ErrorStyle::FirstWithHelp(concat!("usage: ", $name, " study\n\npositional arguments:\n  study\n")),
        }
    };
}

/// The parser of a command about a user of a study.
macro_rules! study_user {
    ($name:literal) => {
        Parser {
            options: &[],
            positionals: &[("study", Count::One), ("user", Count::One)],
            errors: ErrorStyle::FirstWithHelp(concat!(
                "usage: ",
                $name,
                " study user\n\npositional arguments:\n  study\n  user\n"
            )),
        }
    };
}

/// Words after `register_study`.
pub const REGISTER_STUDY: Parser = study_sites!("register_study");

/// Words after `add_study_site`.
pub const ADD_STUDY_SITE: Parser = study_sites!("add_study_site");

/// Words after `remove_study_site`.
pub const REMOVE_STUDY_SITE: Parser = study_sites!("remove_study_site");

/// Words after `remove_study`.
pub const REMOVE_STUDY: Parser = study!("remove_study");

/// Words after `show_study`.
pub const SHOW_STUDY: Parser = study!("show_study");

/// Words after `add_study_user`.
pub const ADD_STUDY_USER: Parser = study_user!("add_study_user");

/// Words after `remove_study_user`.
pub const REMOVE_STUDY_USER: Parser = study_user!("remove_study_user");
