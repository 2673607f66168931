//! The typed methods of our client, on the target: values, refusals, and what a closed session does.

mod jobs;
mod session;
mod shell;
mod system;

use flare_client::{Error, ErrorKind};

use crate::finding::ensure_eq;
use crate::requirement::{reference, seed};
use crate::{Case, CaseResult, Finding, Requirement};

const CLIENT: &str = "client-api.md";
const SERVER: &str = "server-behaviour.md";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    reference("API-SESSION-001", CLIENT, "2.7", "A session may be closed any number of times."),
    reference(
        "API-SESSION-002",
        CLIENT,
        "2.7",
        "After it was closed every call of a session fails with `session closed`.",
    ),
    reference("API-SESSION-003", CLIENT, "2.5", "After the login a client knows the commands that the server offers."),
    reference(
        "API-SESSION-004",
        CLIENT,
        "5.2",
        "do_command passes a line on and gives the reply as it is, refusals included.",
    ),
    reference("API-SESSION-005", CLIENT, "5.2", "A command may be qualified with its scope."),
    reference("API-SESSION-006", CLIENT, "1", "A session serves many callers at once; each gets his own reply."),
    seed(
        "API-TIMEOUT-001",
        "Set a session-specific command timeout.",
        "set_timeout sets how long the server waits for sites, for this session; unset_timeout goes back to its default.",
    ),
    seed("API-TIMEOUT-002", "value – a positive float number", "A timeout must be positive."),
    seed(
        "API-SYSTEM-001",
        "Get general info of the FLARE system",
        "get_system_info gives the server's state, the sites and the jobs.",
    ),
    seed("API-SYSTEM-002", "Get the list of connected clients", "get_connected_client_list gives the connected sites."),
    seed(
        "API-STATUS-001",
        "Report status for the server and/or clients.",
        "check_status reports on the server, on all or on some sites.",
    ),
    seed(
        "API-STATUS-002",
        "Get job status info of specified FL clients",
        "get_client_job_status gives an entry for every job of a site, and one that says so for a site without jobs.",
    ),
    seed(
        "API-RESOURCES-001",
        "Report resource information for the server and/or clients.",
        "report_resources gives the resources by site.",
    ),
    seed(
        "API-VERSION-001",
        "Report NVFlare version for specified system target(s).",
        "report_version gives the release by site.",
    ),
    reference("API-ENVIRONMENT-001", CLIENT, "8", "get_client_env gives each site's workspace, mode and address."),
    reference(
        "API-TARGET-001",
        CLIENT,
        "4.1",
        "A command for a site that is not connected fails with an invalid target.",
    ),
    reference(
        "API-AUTHORIZATION-001",
        CLIENT,
        "4.1",
        "A command that the server does not permit fails as not authorized.",
    ),
    reference(
        "API-AUTHORIZATION-002",
        SERVER,
        "2.3",
        "What one site refuses does not fail the command for the others.",
    ),
    seed("API-JOBS-001", "Get the job info from the server", "list_jobs gives the jobs of the study."),
    seed(
        "API-JOBS-002",
        "id_prefix – if included, only return jobs with the beginning of the job ID matching the prefix",
        "list_jobs keeps to the prefixes it is given.",
    ),
    seed(
        "API-JOB-META-001",
        "Get the meta info of the specified job",
        "get_job_meta of a job that does not exist says so.",
    ),
    seed(
        "API-STUDIES-001",
        "List studies visible to the caller.",
        "list_studies gives the caller's studies and identity.",
    ),
    seed(
        "API-SHELL-001",
        "Get the working directory of the specified target",
        "get_working_directory gives the folder that the target runs in.",
    ),
    seed(
        "API-SHELL-002",
        "Run the “ls” command on the specified target and return result",
        "ls_target lists a folder.",
    ),
    seed(
        "API-SHELL-003",
        "Run the “cat” command on the specified target and return result",
        "cat_target gives a file.",
    ),
    seed(
        "API-SHELL-004",
        "Run the “head” command on the specified target and return result",
        "head_target gives its beginning.",
    ),
    seed(
        "API-SHELL-005",
        "Run the “tail” command on the specified target and return result",
        "tail_target gives its end.",
    ),
    seed(
        "API-SHELL-006",
        "Run the “grep” command on the specified target and return result",
        "grep_target gives matching lines.",
    ),
    seed(
        "API-SHELL-007",
        "Run the “head log.txt” command on the specified target",
        "head_target_log reads the log's beginning.",
    ),
    seed(
        "API-SHELL-008",
        "Run the “tail log.txt” command on the specified target",
        "tail_target_log reads the log's end.",
    ),
    reference("API-SHELL-009", CLIENT, "9", "What the program prints is the result, also when it fails."),
    reference("API-SHELL-010", CLIENT, "3", "A word with blanks or quotes arrives as one word."),
    reference("API-SHELL-011", CLIENT, "6", "Files and paths outside the rules are refused before anything is sent."),
    seed(
        "API-APPS-001",
        "Get defined FLARE app folders from the upload folder",
        "get_available_apps_to_upload gives the folders in the kit's upload folder.",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    [session::cases(), system::cases(), jobs::cases(), shell::cases()].into_iter().flatten().collect()
}

/// The call fails with an error of this kind.
fn fails<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind) -> CaseResult<Error> {
    match result {
        Ok(value) => Err(Finding::fail(format!("{what}: expected {kind:?}, observed {value:?}"))),
        Err(error) => {
            ensure_eq!(error.kind(), kind, "{what}: {error:?}");
            Ok(error)
        }
    }
}
