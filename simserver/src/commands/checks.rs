//! What is checked before a command runs. The order of the checks shows in the replies: wrong arguments, targets and
//! jobs come before missing rights.
//!
//! Source: `reference/server-behaviour.md` sections 1, 2.3, 3, 5 and 7.

use flare_wire::hci::MetaStatus;

use super::call::{Call, Step, Stop};
use super::ids;
use super::jobs;
use super::shell::Program;
use super::targets::TargetKind;
use crate::core::{Person, Release};
use crate::jobs::meta::JobMeta;
use crate::mutants::Mutant;

/// What is checked of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Nothing: any user may.
    Nothing,
    /// The right that is named like the command.
    Policy,
    /// The targets; and the right, unless it is left to the sites.
    ServerOperation,
    /// The same, the last word being no target.
    ServerOperationWithConfig,
    /// All words are sites; and the right.
    ClientOperation,
    /// The role `project_admin`, whatever the policy says.
    ProjectAdmin,
    /// One of the roles that manage studies.
    StudyAdmin,
    /// One of the four standard roles.
    StudyUser,
    /// The job; and the right, which may depend on who submitted it.
    JobId,
    /// The same, with targets behind the job.
    Job,
    /// The same, the last word being no target.
    JobWithConfig,
    /// The same, and the job has to run, which comes before the right.
    RunningJob,
    /// The arguments of a shell command; and the right, when it is for the server.
    Shell(&'static Program),
}

/// What a check leaves to the policy.
enum Need {
    /// Nothing.
    Nothing,
    /// The right that is named like the command.
    Right,
}

impl Call<'_> {
    /// Runs the checks of the command, the policy last.
    pub(super) fn check(&mut self) -> Step {
        let is_about_job = matches!(self.command.check, Check::JobId | Check::Job | Check::RunningJob);
        if is_about_job && self.sim.mutant(Mutant::RightsBeforeArguments) {
            self.must_be_allowed()?;
        }
        match self.pre_check()? {
            Need::Nothing => Ok(()),
            Need::Right => self.must_be_allowed(),
        }
    }

    fn must_be_allowed(&mut self) -> Step {
        let submitter = self.job.as_ref().and_then(|job| self.sim.jobs().meta(job)).map(JobMeta::submitter);
        // Before 2.8 the organization of the submitter is taken for the role too.
        let is_old = self.sim.release() < Release::V2_8;
        let submitter = submitter.map_or_else(Person::default, |submitter| {
            Person::new(&submitter.name, &submitter.org, if is_old { &submitter.org } else { &submitter.role })
        });
        let allowed = self.sim.authorize(self.command.name, &self.person(), &submitter);
        if let Err(refusal) = allowed {
            let shown = format!("Authorization Error: {refusal}");
            return self.refuse_with(&shown, &MetaStatus::NotAuthorized, &refusal);
        }
        Ok(())
    }

    fn pre_check(&mut self) -> Step<Need> {
        match self.command.check {
            Check::Nothing => Ok(Need::Nothing),
            Check::Policy => Ok(Need::Right),
            Check::ServerOperation => self.server_operation(self.arguments().to_vec()),
            Check::ServerOperationWithConfig => {
                let Some((_, targets)) = self.arguments().split_last().filter(|(_, targets)| !targets.is_empty())
                else {
                    return self.refuse(&MetaStatus::Error, "syntax error: please provide target_type and config");
                };
                let targets = targets.to_vec();
                self.server_operation(targets)
            }
            Check::ClientOperation => {
                let targets = [&["client".to_owned()], self.arguments()].concat();
                self.read_targets(&targets)?;
                Ok(Need::Right)
            }
            Check::ProjectAdmin => self.role_among(&["project_admin"], "not authorized"),
            Check::StudyAdmin => self.role_among(&["project_admin", "org_admin"], "NOT_AUTHORIZED"),
            Check::StudyUser => self.role_among(&["project_admin", "org_admin", "lead", "member"], "NOT_AUTHORIZED"),
            Check::JobId => self.job(),
            Check::Job => self.job_with_targets(self.arguments().get(1..).unwrap_or_default().to_vec()),
            Check::JobWithConfig => {
                if self.arguments().len() < 3 {
                    let text = "syntax error: please provide job_id, target_type, and config";
                    return self.refuse(&MetaStatus::Error, text);
                }
                let last = self.arguments().len() - 1;
                self.job_with_targets(self.arguments()[1..last].to_vec())
            }
            Check::RunningJob => {
                if self.arguments().len() < 2 {
                    let usage = format!("Usage: {}", self.command.usage);
                    return self.refuse_with(&usage, &MetaStatus::SyntaxError, "");
                }
                self.job_with_targets(self.arguments()[1..].to_vec())?;
                self.must_run()
            }
            Check::Shell(program) => self.shell_arguments(program).map(|server| {
                // A site decides for itself.
                if server { Need::Right } else { Need::Nothing }
            }),
        }
    }

    fn server_operation(&mut self, targets: Vec<String>) -> Step<Need> {
        match self.read_targets(&targets)? {
            TargetKind::Client if !self.in_study() => Ok(Need::Nothing),
            _ => Ok(Need::Right),
        }
    }

    fn role_among(&mut self, roles: &[&str], refusal: &str) -> Step<Need> {
        let (_, _, role) = self.user();
        if roles.contains(&role) || self.sim.mutant(Mutant::RolesIgnored) {
            return Ok(Need::Nothing);
        }
        let refusal = format!("{refusal} for {role}");
        self.refuse_with(&refusal, &MetaStatus::NotAuthorized, "")
    }

    fn job(&mut self) -> Step<Need> {
        let Some(id) = self.arguments().first() else {
            return self.refuse_with("syntax error: missing job_id", &MetaStatus::SyntaxError, "missing job_id");
        };
        let id = id.to_lowercase();
        if !ids::is_uuid4(&id) {
            return self.refuse_with(&format!("invalid job_id {id}"), &MetaStatus::InvalidJobId, &id);
        }
        // That there is such a job in another study is nobody's business, not even the project admin's.
        let all_studies = self.sim.mutant(Mutant::JobsOfAllStudies);
        let is_hidden = |meta: &JobMeta| meta.study() != self.study() && !all_studies;
        if self.sim.jobs().meta(&id).is_none_or(is_hidden) {
            let text = match self.sim.release() {
                Release::V2_7 => format!("Job with ID {id} doesn't exist"),
                Release::V2_8 | Release::V2_9 => format!("no such job: {id}"),
            };
            return self.refuse_with(&text, &MetaStatus::InvalidJobId, &id);
        }
        self.job = Some(id);
        Ok(Need::Right)
    }

    fn job_with_targets(&mut self, targets: Vec<String>) -> Step<Need> {
        let need = self.job()?;
        if !targets.is_empty() {
            self.read_targets(&targets)?;
        }
        Ok(need)
    }

    /// Its processes have to run, whatever its stored status says, and to be there for questions: they are not at once.
    fn must_run(&mut self) -> Step<Need> {
        let id = self.job.clone().unwrap_or_default();
        if !jobs::is_running(self, &id) {
            return jobs::not_running(self, &id);
        }
        if !self.sim.jobs().answers(&id, self.now) {
            let hint = "Please make sure the first arg following the command is a valid job_id.";
            self.reply.push_string(format!("Cannot find job: {id}. {hint}")).set_status(&MetaStatus::InvalidJobId, &id);
            return Err(Stop::Done);
        }
        Ok(Need::Right)
    }
}
