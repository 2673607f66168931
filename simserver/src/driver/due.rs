//! What time brings: the task that waits for it, and what comes of it.

use flare_wire::cell::{Payload, channel};
use flare_wire::endpoint::OutgoingRequest;
use tokio::time::{Instant, sleep_until};

use super::answers::{answer, piece_answer, unwritable};
use super::{Driver, Life, Phase, State, Waiting};
use crate::clock::Wake;
use crate::core::Effect;
use crate::members::Mail;

impl Driver {
    /// Does what is due whenever something is. Never ends by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn run(&self) {
        loop {
            match self.do_what_is_due() {
                Some(wake) => tokio::select! {
                    () = sleep_until(wake) => {}
                    () = self.deadline_changed.notified() => {}
                },
                None => self.deadline_changed.notified().await,
            }
        }
    }

    /// Does what is due, and tells when to look again by itself.
    fn do_what_is_due(&self) -> Option<Instant> {
        let mut state = self.state();
        loop {
            match state.time.wake(state.sim.next_deadline()?) {
                Wake::Now => self.advance(&mut state),
                Wake::At(instant) => return Some(instant.into()),
                Wake::Never => return None,
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
