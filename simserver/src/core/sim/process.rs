//! The process of the server: it ends and starts again, by itself or from outside, and lets time pass meanwhile.
//!
//! ```text
//!            restart, shutdown           its time is up            its time has come
//! [Serves] ────────────────────▶ [Ends] ────────────────▶ [Away] ───────────────────▶ [Serves]
//! ```
//!
//! All times are those of a real 2.9.0 server that was started by the script of its kit. After the command the process
//! answers for some three seconds more, as if nothing was: one until it notices, and a grace time. With sites that are
//! still registered it waits for them, and the script kills it. The script looks every five seconds, waits for five
//! and starts it anew at its next look.

use std::mem;
use std::time::Duration;

use flare_wire::Moment;

use super::{Effect, Sim};
use crate::core::downloads::Downloads;
use crate::core::passes::Passes;
use crate::core::registration::{Admission, Registrations};
use crate::core::sessions::{Sessions, expired};
use crate::core::{Timer, TimerName, logs};

/// Until the process has left its main loop: from then on it takes no such command any more (measured: below 1.5 s).
const NOTICES: Duration = Duration::from_secs(1);

/// From the command until the connections end (measured: 3.1 to 3.6 s).
const GRACE: Duration = Duration::from_millis(3_300);

/// From the command until the script kills a process that waits for its sites: between 5 and 10 s.
const PATIENCE: Duration = Duration::from_millis(7_500);

/// From the command until the server answers again (measured: 15.5 to 20.1 s on a busy machine, 13.6 s on another).
const RESTART: Duration = Duration::from_millis(15_500);

/// Whether and how long the process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// It is.
    Serves,
    /// It is, for the moment.
    Ends(Ending),
    /// It is not, until this moment, if it comes back at all.
    Away(Option<Moment>),
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// When it leaves its main loop.
    notices: Moment,
    /// When its connections end.
    at: Moment,
    /// Whether it is killed then.
    is_killed: bool,
    /// When the next one has started.
    next: Option<Moment>,
}

/// The process takes no commands about its end any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLate;

impl Sim {
    /// The process ends some time after `now`, and starts again if it is to.
    pub(crate) fn end_process(&mut self, now: Moment, starts_again: bool) -> Result<(), TooLate> {
        match &mut self.process {
            Process::Serves => {
                let waits = self.sites.iter().len() > 0;
                self.process = Process::Ends(Ending {
                    notices: now + NOTICES,
                    at: now + if waits { PATIENCE } else { GRACE },
                    is_killed: waits,
                    next: starts_again.then(|| now + RESTART),
                });
                self.log_ending(now, starts_again);
                Ok(())
            }
            Process::Ends(ending) if now < ending.notices => {
                // Whoever wants it to stay away wins.
                ending.next = ending.next.filter(|_| starts_again);
                self.log_ending(now, starts_again);
                Ok(())
            }
            Process::Ends(_) | Process::Away(_) => Err(TooLate),
        }
    }

    fn log_ending(&mut self, now: Moment, starts_again: bool) {
        let what = if starts_again { "FL server restart." } else { "FL server shutdown." };
        let entries = [
            (logs::Source::ENGINE, what),
            (logs::Source::JOB_RUNNER, "[identity=server, run=?] - Stop all the running jobs."),
            (logs::Source::SERVER, "shutting down server"),
            (logs::Source::SERVER, "canceling sync locks"),
            (logs::Source::SERVER, "server off"),
        ];
        logs::info_all(&mut self.files, now, self.clock, entries);
    }

    /// True while there is a process that answers.
    #[must_use]
    pub const fn serves(&self) -> bool {
        !matches!(self.process, Process::Away(_))
    }

    /// True when the process was ended by a command and does not come back by itself.
    #[must_use]
    pub const fn is_shut_down(&self) -> bool {
        matches!(self.process, Process::Away(None))
    }

    /// True when the process ends or starts at `now` or has done so before, which [`Sim::advance`] has yet to carry out.
    pub(crate) fn process_is_due(&self, now: Moment) -> bool {
        self.next_of_process().is_some_and(|(at, _)| at <= now)
    }

    const fn next_of_process(&self) -> Option<(Moment, TimerName)> {
        match self.process {
            Process::Serves | Process::Away(None) => None,
            Process::Ends(ending) => Some((ending.at, TimerName::ServerEnd)),
            Process::Away(Some(start)) => Some((start, TimerName::ServerStart)),
        }
    }

    /// The process of the server ends and a new one starts, from outside: what a real server keeps on its disk stays
    /// (jobs, submit records, studies, disabled clients, workspaces with their logs), what it has in memory is gone
    /// (sessions, registrations, downloads, runs). A job that was running stays RUNNING for ever. Sites notice, and are
    /// back with their next heartbeats, but for those that are gone.
    ///
    /// Source: `reference/server-behaviour.md` sections 10.4 and 13.
    pub fn restart(&mut self, now: Moment) {
        self.end(now);
        self.start(now);
    }

    fn end(&mut self, now: Moment) {
        self.jobs.restart(now);
        self.downloads = Downloads::default();
        self.registrations = Registrations::default();
        self.admission = Admission::default();
        self.sessions = Sessions::new(self.passes, self.mutants);
        self.waiting.clear();
        self.effects.clear();
        self.sites.lose_server();
        self.process = Process::Away(None);
    }

    fn start(&mut self, now: Moment) {
        self.process = Process::Serves;
        self.started = now;
        self.passes = Passes::new(now);
        self.sessions = Sessions::new(self.passes, self.mutants);
        self.jobs.restart(now);
        self.reread_studies();
        logs::server_started(&mut self.files, now, self.clock);
        self.sites.find_server(now);
    }

    // ---- time ------------------------------------------------------------------------------------------------

    /// Does what has become due, and returns what the server has to say.
    pub fn advance(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((at, _)) = self.next_of_process().filter(|(at, _)| *at <= now) {
            match self.process {
                Process::Ends(Ending { is_killed, next, .. }) => {
                    // What was due before came before.
                    self.serve(at);
                    effects.extend(mem::take(&mut self.effects));
                    self.end(at);
                    self.process = Process::Away(next);
                    effects.push(Effect::Ended { is_killed, comes_back: next.is_some() });
                }
                _ => {
                    self.start(at);
                    effects.push(Effect::Started);
                }
            }
        }
        if self.serves() {
            self.serve(now);
        }
        effects.extend(mem::take(&mut self.effects));
        effects
    }

    fn serve(&mut self, now: Moment) {
        self.bring_back_sites(now);
        self.advance_jobs(now);
        for session in self.sessions.advance(now) {
            self.downloads.end_session(&session.token.session_id);
            self.effects.push_back(Effect::SessionExpired { endpoint: session.origin, text: expired(self.release) });
        }
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, ticket), reply) = entry.remove_entry();
            self.effects.push_back(Effect::Answered { ticket, reply });
        }
    }

    /// When [`Sim::advance`] should be called next; the past when it has something to say already.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let process = self.next_of_process().map(|(at, _)| at);
        if !self.serves() {
            return process;
        }
        if !self.effects.is_empty() {
            return Some(self.started);
        }
        let answer = self.waiting.first_key_value().map(|((moment, _), _)| *moment);
        [process, self.sessions.next_pass(), answer, self.jobs.next_deadline(), self.sites.next_return()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the simulation waits for, the next of each kind; what comes first is due at [`Sim::next_deadline`].
    #[must_use]
    pub fn timers(&self) -> Vec<Timer> {
        let mut timers = Vec::new();
        timers.extend(self.next_of_process().map(|(at, name)| Timer { at, name }));
        if !self.serves() {
            return timers;
        }
        if !self.effects.is_empty() {
            timers.push(Timer { at: self.started, name: TimerName::Outbox });
        }
        if let Some(at) = self.sessions.next_pass() {
            timers.push(Timer { at, name: TimerName::SessionSweep });
        }
        if let Some(((at, _), _)) = self.waiting.first_key_value() {
            timers.push(Timer { at: *at, name: TimerName::SiteAnswer });
        }
        if let Some(at) = self.sites.next_return() {
            timers.push(Timer { at, name: TimerName::SiteReturn });
        }
        timers.extend(self.jobs.timers());
        timers.sort();
        timers
    }
}
