//! What time brings: the task that waits for it, and what comes of it.

use std::sync::Arc;

use flare_wire::cell::{Payload, channel};
use flare_wire::endpoint::OutgoingRequest;
use tokio::time::{Instant, sleep_until};

use super::answers::{answer, piece_answer, unwritable};
use super::{Driver, Life, Phase, State, Waiting};
use crate::clock::Wake;
use crate::core::Effect;
use crate::jobs::content::JobContent;
use crate::members::Mail;

/// What the task waits for.
enum Next {
    /// A deadline, or a poke.
    At(Instant),
    /// A poke.
    Poke,
    /// The verdicts on these, without which the scheduler would have to wait for them.
    Judge(Vec<Arc<JobContent>>),
}

impl Driver {
    /// Does what is due whenever something is. Never ends by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn run(&self) {
        loop {
            match self.do_what_is_due() {
                Next::At(wake) => tokio::select! {
                    () = sleep_until(wake) => {}
                    () = self.deadline_changed.notified() => {}
                },
                Next::Poke => self.deadline_changed.notified().await,
                Next::Judge(contents) => {
                    let judging =
                        tokio::task::spawn_blocking(move || contents.iter().for_each(|content| content.judge()));
                    // Whoever panics has left a verdict all the same.
                    let _ = judging.await;
                }
            }
        }
    }

    /// Does what is due, and tells what to wait for.
    fn do_what_is_due(&self) -> Next {
        let mut state = self.state();
        loop {
            let Some(deadline) = state.sim.next_deadline() else { return Next::Poke };
            match state.time.wake(deadline) {
                Wake::Now => {
                    // Without the lock, which nobody else would get meanwhile.
                    let unjudged = state.sim.jobs().unjudged(state.time.now());
                    if !unjudged.is_empty() {
                        return Next::Judge(unjudged);
                    }
                    self.advance(&mut state);
                }
                Wake::At(instant) => return Next::At(instant.into()),
                Wake::Never => return Next::Poke,
            }
        }
    }

    pub(super) fn advance(&self, state: &mut State) {
        let now = state.time.now();
        let effects = state.sim.advance(now);
        let kept = state.keep();
        if let Err(error) = &kept {
            unwritable(error);
        }
        for effect in effects {
            match effect {
                Effect::Answered { ticket, reply } => {
                    // A connection that is gone meanwhile does not want it any more.
                    if let Some(Waiting { mailbox, upload }) = state.waiting.remove(&ticket) {
                        let answer = match (&kept, upload) {
                            (Err(error), _) => unwritable(error),
                            (Ok(()), Some(code)) => piece_answer(code, Some(reply.to_json())),
                            (Ok(()), None) => answer(&reply),
                        };
                        let _ = mailbox.try_send(Mail::Answer { ticket, answer });
                    }
                }
                Effect::SessionExpired { endpoint, text } => {
                    let payload = Payload::text(text);
                    let mut push = OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, payload);
                    push.destination.clone_from(&endpoint);
                    self.members.send(&endpoint, Mail::Notify(push));
                }
                Effect::Ended { is_killed, comes_back } => {
                    self.end_process(state);
                    self.life.send_modify(|life| {
                        let phase = if comes_back { Phase::Away } else { Phase::ShutDown };
                        *life = Life { ends: life.ends + 1, was_killed: is_killed, phase };
                    });
                }
                Effect::Started => self.life.send_modify(|life| life.phase = Phase::Up),
            }
        }
    }
}
