//! Named mutants: a simulated server with one rule of the real one broken, for those who want to know whether their tests
//! would notice.
//!
//! Each is a branch where the rule is, off unless a server is started with it
//! ([`SimServerBuilder::mutant`](crate::SimServerBuilder::mutant), `flare-simserver serve --mutant NAME`). `flare-conformance
//! mutants` shows which case notices which.

use std::fmt;
use std::str::FromStr;

/// Declares the mutants; each with its name, the start of the ids of the cases that are about its rule, and what it breaks.
macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $area:literal;)+) => {
        /// A rule of the real server that is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Mutant {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What part of the protocol its rule belongs to: `session`, `jobs`, ...
            #[must_use]
            pub const fn area(self) -> &'static str {
                match self {
                    $(Self::$variant => $area,)+
                }
            }

            /// What it breaks, in a sentence.
            #[must_use]
            pub fn breaks(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_start(),)+
                }
            }
        }
    };
}

mutants! {
    // Who may talk to the server.
    /// The session of a user who logs out goes on.
    LogoutKeepsSession = "logout-keeps-session", "session";
    /// Asking whether a session is alive keeps it alive.
    CheckIsActivity = "check-is-activity", "expiry";
    /// Sessions never end by themselves.
    SessionsNeverExpire = "sessions-never-expire", "expiry";
    /// A good token whose session has ended does not bring it back.
    SessionsStayGone = "sessions-stay-gone", "session";
    /// The signature of a session token is not checked.
    SessionTokenUnverified = "session-token-unverified", "session";
    /// Whoever has a certificate of the federation logs in, with any signature.
    LoginUnsigned = "login-unsigned", "login";
    /// A certificate logs in that no authority of the federation has issued.
    LoginForeignCertificate = "login-foreign-certificate", "login";
    /// Whoever is not a user of a study opens a session in it all the same.
    StudyOpenToAll = "study-open-to-all", "studies";
    /// A challenge can be answered any number of times.
    ChallengeReusable = "challenge-reusable", "authentication";
    /// A client registers for any project.
    RegisterAnyProject = "register-any-project", "authentication";
    /// What comes without a token that the server has signed is let in.
    CellTokenUnverified = "cell-token-unverified", "authentication";
    /// The server's own proof of who it is covers something else than the challenge.
    ServerProofWrong = "server-proof-wrong", "authentication";
    /// An endpoint may have any name, whatever its certificate says.
    AnyEndpointName = "any-endpoint-name", "handshake";

    // What a user may do.
    /// The server allows everybody everything.
    ServerAllowsAll = "server-allows-all", "studies";
    /// Everybody counts as the submitter of every job.
    EverybodyIsSubmitter = "everybody-is-submitter", "studies";
    /// Sites allow everybody everything.
    SitesAllowAll = "sites-allow-all", "api.system";
    /// Commands for certain roles are there for all.
    RolesIgnored = "roles-ignored", "studies";
    /// The right to a command on a job is looked at before whether there is such a job.
    RightsBeforeArguments = "rights-before-arguments", "studies";

    // Studies.
    /// Jobs of other studies are found by their ids.
    JobsOfAllStudies = "jobs-of-all-studies", "studies";
    /// Lists show the jobs of the default study in every session.
    ListsDefaultStudy = "lists-default-study", "studies";
    /// A study goes although jobs belong to it.
    StudyGoesWithJobs = "study-goes-with-jobs", "studies";
    /// Sites of one organisation are entered for another.
    ForeignSitesEnrolled = "foreign-sites-enrolled", "studies";
    /// Studies are shown to users who have nothing to do with them.
    StudiesShownToAll = "studies-shown-to-all", "studies";
    /// A change of a study is confirmed and not made.
    StudyChangeLost = "study-change-lost", "studies";

    // Submit tokens.
    /// A submit token means the same in every study.
    TokenIgnoresStudy = "token-ignores-study", "jobs";
    /// A submit token means the same for every user.
    TokenIgnoresUser = "token-ignores-user", "jobs";
    /// A submit token stands for its job whatever else is submitted with it.
    TokenIgnoresContent = "token-ignores-content", "jobs";
    /// A submit token is as good as new once its job was deleted.
    TombstonesForgotten = "tombstones-forgotten", "jobs";
    /// Every submission is a job of its own, token or not.
    TokenMeansNothing = "token-means-nothing", "jobs";

    // The life of a job.
    /// An abort changes the status of a job that is over.
    AbortChangesTheFinished = "abort-changes-the-finished", "jobs";
    /// A running job goes on when it was told to stop.
    AbortIgnored = "abort-ignored", "jobs";
    /// A deleted job is still there.
    DeletedStays = "deleted-stays", "jobs";
    /// A running job can be deleted.
    DeletesTheRunning = "deletes-the-running", "jobs";
    /// A job that ran to its end gets a status that is no word of the protocol.
    WrongStatusWord = "wrong-status-word", "jobs";
    /// A job that failed counts as one that succeeded.
    FailureIsSuccess = "failure-is-success", "jobs";
    /// The reply to a clone names the original.
    CloneNamesOriginal = "clone-names-original", "jobs";
    /// A clone belongs to the submitter of the original.
    CloneKeepsSubmitter = "clone-keeps-submitter", "jobs";
    /// The properties that come with a submission are forgotten.
    CustomPropsForgotten = "custom-props-forgotten", "jobs";
    /// A job that needs a signature runs without one.
    UnsignedRuns = "unsigned-runs", "jobs";
    /// A job is taken in that deploys to sites outside of its study.
    ForeignSitesDeployed = "foreign-sites-deployed", "studies";

    // The scheduler.
    /// The smallest number of sites makes no difference.
    MinClientsIgnored = "min-clients-ignored", "jobs";
    /// Required sites are not waited for.
    MandatoryIgnored = "mandatory-ignored", "jobs";
    /// Resources that sites do not have are no obstacle.
    ResourcesIgnored = "resources-ignored", "jobs.life";
    /// What came of the attempts to schedule a job is not noted.
    ScheduleUnnoted = "schedule-unnoted", "jobs";

    // Lists.
    /// Lists ignore the start of an id.
    IdPrefixIgnored = "id-prefix-ignored", "jobs.list";
    /// Lists ignore the start of a name.
    NamePrefixIgnored = "name-prefix-ignored", "jobs.list";
    /// Lists of one's own jobs show those of others.
    OwnJobsIgnored = "own-jobs-ignored", "jobs.list";
    /// Lists ignore their limit.
    LimitIgnored = "limit-ignored", "jobs.list";
    /// Lists come in the same order whether they are to be turned around or not.
    ReverseIgnored = "reverse-ignored", "jobs.list";

    // Downloads, logs and what a run leaves behind.
    /// The last byte of a download is missing.
    DownloadLosesByte = "download-loses-byte", "jobs";
    /// The result of a job can be fetched while it runs.
    DownloadsTheUnfinished = "downloads-the-unfinished", "jobs";
    /// What was downloaded is forgotten at once, so that its end cannot be asked for again.
    DownloadForgotten = "download-forgotten", "jobs";
    /// The log of a job is the same whichever file is asked for.
    LogFileIgnored = "log-file-ignored", "jobs";
    /// The error log of a failed site is lost.
    ErrorLogLost = "error-log-lost", "jobs";
    /// Errors that were reset are still there.
    ResetErrorsIgnored = "reset-errors-ignored", "jobs";
    /// `tail` shows the start of a file.
    TailIsHead = "tail-is-head", "api.shell";
    /// `grep` takes upper for lower case.
    GrepIgnoresCase = "grep-ignores-case", "api.shell";
    /// A path may leave the workspace.
    PathLeavesWorkspace = "path-leaves-workspace", "recorded.shell";

    // Sites.
    /// A disabled client is back with its next heartbeat.
    DisabledMayRejoin = "disabled-may-rejoin", "sites.disable";
    /// An enabled client stays out.
    EnableIgnored = "enable-ignored", "sites";
    /// A removed client is still there.
    RemoveIgnored = "remove-ignored", "sites";
    /// A disabled name registers as an administrator.
    DisabledAdminRegisters = "disabled-admin-registers", "sites.disable";

    // Streams.
    /// What a stream brings is not acknowledged.
    NoAcks = "no-acks", "stream";
    /// A file counts as arrived although it is shorter than announced.
    ShortUploadAccepted = "short-upload-accepted", "upload";
    /// An upload begins with whichever piece of it comes first.
    UploadBeginsAnywhere = "upload-begins-anywhere", "upload";

    // Replies.
    /// Refusals have a success in their meta.
    RefusalsSucceed = "refusals-succeed", "jobs";
    /// An unknown command gets an empty reply.
    UnknownCommandSilent = "unknown-command-silent", "protocol";
    /// Sites tell another version than they have.
    VersionWrong = "version-wrong", "recorded";
    /// The count of registered clients is one too high.
    ClientCountWrong = "client-count-wrong", "api.system";
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No mutant has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMutant(String);

impl fmt::Display for UnknownMutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no mutant {:?}", self.0)
    }
}

impl std::error::Error for UnknownMutant {}

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let found = Self::ALL.iter().find(|mutant| mutant.name() == name);
        found.copied().ok_or_else(|| UnknownMutant(name.to_owned()))
    }
}

/// Mutants that are switched on; none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mutants(u128);

impl Mutants {
    /// None.
    pub const NONE: Self = Self(0);

    /// True when this one is on.
    #[must_use]
    pub const fn has(self, mutant: Mutant) -> bool {
        self.0 & (1 << mutant as u32) != 0
    }

    /// These, and one more.
    #[must_use]
    pub const fn with(self, mutant: Mutant) -> Self {
        Self(self.0 | (1 << mutant as u32))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_mutant_has_a_name_and_a_place_of_its_own() {
        let names: HashSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), Mutant::ALL.len());
        let mut on = Mutants::NONE;
        for mutant in Mutant::ALL {
            assert!(!on.has(*mutant), "{mutant}");
            on = on.with(*mutant);
            assert!(on.has(*mutant), "{mutant}");
            assert_eq!(mutant.name().parse(), Ok(*mutant));
            assert!(mutant.breaks().ends_with('.'), "{mutant}");
        }
        assert_eq!("nothing".parse::<Mutant>().unwrap_err().to_string(), "there is no mutant \"nothing\"");
    }
}
