//! What is seen of a run while it goes on: a line per case, or on a terminal a bar and the cases that did not pass.

use std::io::{self, IsTerminal as _, StdoutLock};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::write_outcome;
use crate::{Outcome, State};

/// Shows how far a run is.
pub(crate) enum Progress {
    /// Nobody watches: every case is a line.
    Lines(StdoutLock<'static>),
    /// Somebody does.
    Bar(Bar),
}

/// A bar that stays on the last line of the terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    not_acceptable: usize,
}

impl Progress {
    /// For a run of so many cases.
    pub(crate) fn start(cases: usize) -> Self {
        if !io::stdout().is_terminal() {
            return Self::Lines(io::stdout().lock());
        }
        Self::Bar(Bar::start(cases, ProgressDrawTarget::stdout()))
    }

    /// A case ended.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        match self {
            // A closed pipe is no reason to stop: the report file is still wanted.
            Self::Lines(out) => drop(write_outcome(out, outcome)),
            Self::Bar(bar) => bar.ended(outcome),
        }
    }

    /// The run is over.
    pub(crate) fn finish(self) {
        if let Self::Bar(Bar { bar, .. }) = self {
            bar.finish_and_clear();
        }
    }
}

impl Bar {
    /// How often the time on the bar moves on while no case ends.
    const TICK: Duration = Duration::from_millis(200);

    fn start(cases: usize, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(cases as u64), target);
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len}{prefix}  {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Self::TICK);
        Self { bar, not_acceptable: 0 }
    }

    fn ended(&mut self, outcome: &Outcome) {
        if !outcome.state.is_acceptable() {
            self.not_acceptable += 1;
            self.bar.set_prefix(format!("  {} not acceptable", self.not_acceptable));
        }
        if outcome.state != State::Pass {
            let mut lines = Vec::new();
            if write_outcome(&mut lines, outcome).is_ok() {
                self.bar.println(String::from_utf8_lossy(&lines).trim_end());
            }
        }
        self.bar.set_message(outcome.case.clone());
        self.bar.inc(1);
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn the_bar_counts_and_shows_what_did_not_pass() {
        let terminal = InMemoryTerm::new(10, 80);
        let mut bar = Bar::start(3, ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        bar.ended(&Outcome::new("a.passes", "t", State::Pass));
        bar.ended(&Outcome::new("a.fails", "t", State::Fail));
        bar.bar.force_draw();
        let shown = terminal.contents();
        assert!(shown.contains("0.000 s  a.fails"), "{shown}");
        assert!(shown.contains("2/3  1 not acceptable"), "{shown}");
        assert!(!shown.contains("pass  "), "{shown}");
        Progress::Bar(bar).finish();
    }
}
