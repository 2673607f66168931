//! Files that clients fetch in pieces.

use std::sync::Arc;

use flare_wire::cell::{Payload, ReturnCode, headers};
use flare_wire::endpoint::{Answer, InboundRequest};
use flare_wire::msgpack::Value;
use flare_wire::transfer::download::{self, Conclusion, Pull, PullReply};
use tokio::sync::mpsc;

use super::{Driver, Outcome};
use crate::core::Download;
use crate::jobs::lifecycle::DownloadFile;
use crate::members::Mail;
use crate::mutants::Mutant;
use crate::transfer::{PLAIN_PIECE, Source};

impl Driver {
    pub(super) fn pull(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let value = request.payload.value().unwrap_or(Value::Nil);
        let pull = match Pull::from_value(&value) {
            Ok(pull) => pull,
            // A reference without a usable count of bytes.
            Err(_) if flare_wire::msgpack::field(&value, "ref_id").is_some() => {
                return Outcome::Answer(Answer::ok(PullReply::Error { nonce: None }.into_payload()));
            }
            Err(_) => return Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
        };
        let mut state = self.state();
        let now = state.time.now();
        if let Some(conclusion) = &pull.conclusion {
            match conclusion {
                Conclusion::Success { .. } => state.sim.finish_download(now, &pull.reference, true),
                Conclusion::Failed { .. } => state.sim.finish_download(now, &pull.reference, false),
                Conclusion::Cancel => state.sim.cancel_download(now, &pull.reference),
            }
            self.sources.close(&pull.reference);
            return Outcome::Answer(Answer::ok(Payload::empty()));
        }
        let max = if request.headers.get(headers::STREAM_ID).is_some() { download::PIECE_SIZE } else { PLAIN_PIECE };
        let found = state.sim.download(now, &pull.reference);
        let nonce = pull.confirm_capable.then(|| state.random.uuid());
        let file = match found {
            None => return Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
            Some(Download::Over { arrived }) => {
                // There is nothing left to be confirmed.
                let over = if arrived { PullReply::Eof { nonce: None } } else { PullReply::Error { nonce: None } };
                return Outcome::Answer(Answer::ok(over.into_payload()));
            }
            Some(Download::File(file)) => file,
        };
        let request = PieceRequest { pull, nonce, max };
        if let Some(source) = self.sources.get(&request.pull.reference) {
            drop(state);
            return Outcome::Answer(self.piece_of(&request, &source));
        }
        match (Source::open(&file), file) {
            (Some(Ok(source)), _) => {
                drop(state);
                let source = self.sources.insert(&request.pull.reference, source);
                Outcome::Answer(self.piece_of(&request, &source))
            }
            (None, DownloadFile::Workspace { entries, archive }) => {
                let ticket = state.sim.new_ticket();
                let (driver, mailbox) = (Arc::clone(self), mailbox.clone());
                tokio::task::spawn_blocking(move || {
                    let made = Source::of_workspace(&entries, &archive, driver.sources.directory());
                    let answer = match made {
                        Ok(source) => {
                            let source = driver.sources.insert(&request.pull.reference, source);
                            driver.piece_of(&request, &source)
                        }
                        Err(error) => unreadable(&error),
                    };
                    let _ = mailbox.blocking_send(Mail::Answer { ticket, answer });
                });
                Outcome::Later(ticket)
            }
            (Some(Err(error)), _) => Outcome::Answer(unreadable(&error)),
            (None, _) => Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
        }
    }

    /// The piece that a client asks for, or the end.
    fn piece_of(&self, request: &PieceRequest, source: &Source) -> Answer {
        let PieceRequest { pull, nonce, max } = request;
        let start = pull.received.unwrap_or(0);
        let reply = match source.read(start, *max) {
            Ok(Some(data)) if data.is_empty() => {
                if nonce.is_none() {
                    // This client does not confirm: for it, the end is the end.
                    self.with_sim(|sim, now| sim.finish_download(now, &pull.reference, true));
                    self.sources.close(&pull.reference);
                }
                PullReply::Eof { nonce: nonce.clone() }
            }
            Ok(Some(mut data)) => {
                if self.mutant(Mutant::DownloadLosesByte) && data.len() < *max {
                    data.pop();
                }
                let received = start + data.len() as u64;
                PullReply::Data { data: data.into(), received, cancel_capable: true }
            }
            Ok(None) => PullReply::Error { nonce: nonce.clone() },
            Err(error) => return unreadable(&error),
        };
        Answer::ok(reply.into_payload())
    }
}

/// What a client asks for of a file.
struct PieceRequest {
    pull: Pull,
    /// What the end is to be confirmed with.
    nonce: Option<String>,
    /// The longest piece.
    max: usize,
}

fn unreadable(error: &std::io::Error) -> Answer {
    tracing::warn!(%error, "a file cannot be downloaded");
    Answer::failure(ReturnCode::ProcessException, &error.to_string())
}
