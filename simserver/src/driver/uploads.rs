//! What arrives in pieces, and the commands that come with it.

use std::sync::Arc;

use flare_wire::auth::LoginHeaders;
use flare_wire::endpoint::InboundRequest;
use flare_wire::hci::Reply;
use flare_wire::msgpack::Value;
use flare_wire::transfer::upload::{self, Piece, PieceKeys, PieceReply};
use tokio::sync::mpsc;

use super::answers::{piece_answer, unwritable};
use super::{Driver, Outcome, Waiting};
use crate::blob::Blob;
use crate::commands::{self, Submission, check_archive};
use crate::core::Release;
use crate::jobs::definition::Refusal;
use crate::members::Mail;
use crate::state::StateError;
use crate::transfer::{self, Arrived, Ended, PieceOutcome};

impl Driver {
    pub(super) fn upload_piece(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let keys = if self.release() < Release::V2_8 { PieceKeys::Old } else { PieceKeys::New };
        let piece = match Piece::from_payload_with(&request.payload, keys) {
            Ok(piece) => piece,
            Err(error) => return Outcome::Answer(piece_answer(transfer::code_of(error), None)),
        };
        let now = self.now();
        match self.uploads.take(now, piece) {
            PieceOutcome::Answer(code) => Outcome::Answer(piece_answer(code, None)),
            PieceOutcome::Ended(ended) => self.end_upload(request, *ended, mailbox),
            PieceOutcome::Silence => Outcome::Silence,
        }
    }

    pub(super) fn abort_upload(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let value = request.payload.value().unwrap_or(Value::Nil);
        let ended = upload::aborted_transaction(&value).ok().and_then(|transaction| self.uploads.abort(&transaction));
        match ended {
            Some(ended) => self.end_upload(request, *ended, mailbox),
            None => Outcome::Answer(piece_answer(PieceReply::OK, None)),
        }
    }

    /// Runs the command that an upload was for.
    fn end_upload(self: &Arc<Self>, request: &InboundRequest, ended: Ended, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let Ended { code, context, arrived } = ended;
        let login = LoginHeaders::from_headers(&request.headers);
        let incoming =
            commands::Incoming { origin: &request.origin, text: &context.request, login: &login, has_upload: true };
        let mut state = self.state();
        let now = state.time.now();
        let outcome = match commands::handle(&mut state.sim, now, incoming) {
            commands::Answer::Now(reply) => Outcome::Answer(piece_answer(code, Some(reply.to_json()))),
            commands::Answer::Later(ticket) => {
                state.waiting.insert(ticket, Waiting { mailbox: mailbox.clone(), upload: Some(code) });
                Outcome::Later(ticket)
            }
            commands::Answer::Submit(submission) => {
                let ticket = state.sim.new_ticket();
                let (driver, mailbox, process) = (Arc::clone(self), mailbox.clone(), state.process);
                // An archive takes as long as it is large: nobody else waits for it.
                tokio::task::spawn_blocking(move || {
                    let Some(reply) = driver.submit(*submission, arrived, process) else { return };
                    let answer = reply
                        .map_or_else(|error| unwritable(&error), |reply| piece_answer(code, Some(reply.to_json())));
                    // A connection that is gone meanwhile does not want it any more.
                    let _ = mailbox.blocking_send(Mail::Answer { ticket, answer });
                });
                Outcome::Later(ticket)
            }
        };
        let kept = state.keep();
        drop(state);
        self.deadline_changed.notify_one();
        kept.map_or_else(|error| Outcome::Answer(unwritable(&error)), |()| outcome)
    }

    /// Looks at an archive and takes the job in; `None` when the `process` that it came to has ended meanwhile.
    fn submit(&self, submission: Submission, arrived: Arrived, process: u64) -> Option<Result<Reply, StateError>> {
        let Arrived { path, problem } = arrived;
        let checked = |archive: &Blob| match problem {
            None => check_archive(&submission, archive),
            Some(error) => Err(Refusal::unreadable(&error)),
        };
        let (checked, archive) = match &self.adopter {
            None => {
                let archive = Blob::temporary(path);
                (checked(&archive), archive)
            }
            Some(adopter) => {
                let checked = checked(&Blob::kept(path.to_path_buf()));
                match &checked {
                    Err(_) => (checked, Blob::none()),
                    Ok(job) => {
                        // It is written with the job, so that it never has to be reached anew.
                        job.judge();
                        let name = self.state().random.uuid();
                        match adopter.adopt(path, &name) {
                            Ok(archive) => (checked, archive),
                            Err(error) => return Some(Err(error)),
                        }
                    }
                }
            }
        };
        let mut state = self.state();
        if state.process != process {
            return None;
        }
        let now = state.time.now();
        let reply = commands::finish(&mut state.sim, now, submission, checked, archive);
        let kept = state.keep();
        drop(state);
        self.deadline_changed.notify_one();
        Some(kept.map(|()| reply))
    }
}
