//! Submitting a job: package, upload, and what a lost connection means.
//!
//! The command travels with the first piece of the upload, and its reply with the answer to the last. A server runs the
//! command only when the upload ends, and it does end also when it is aborted midway. So an upload is never aborted, but
//! left alone: one whose last piece was not sent was not carried out. One whose last piece was sent may have been.
//! (`reference/wire-protocol.md` section 8, and what a live 2.9.0 server did with an upload that was cut off: nothing.)

use std::fmt;
use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::endpoint::OutgoingRequest;
use flare_wire::hci::{Reply, Request};
use flare_wire::transfer::upload::{self, PIECE_SIZE, Piece, PieceKeys, PieceReply, UploadContext};

use super::pieces::{Pieces, changed, interrupted};
use super::{Live, Session, knows_studies};
use crate::clock::randomness;
use crate::command::{Line, Touch, submit_line, submitted};
use crate::connection::{Fault, Held};
use crate::job_folder::{self, Package};
use crate::model::{JobId, SubmitToken};
use crate::{Error, ErrorKind, JsonObject, Phase, Result, verdict};

/// How long the answer to one piece is waited for. A server only writes it to disk.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);

/// How long the answer to the last piece is waited for: the server reads the whole job before it.
const LAST_PIECE_PATIENCE: Duration = Duration::from_secs(300);

/// How often a submission with a token is tried: each time the whole job is sent.
const MAX_ATTEMPTS: usize = 5;

/// What an upload as the first word of a session answers that the server has forgotten, whole; any other command
/// brings the session back (`replies/upload_after_server_restart`, `reference/wire-protocol.md` section 6.5).
const FORGOTTEN_SESSION: &str = "Exception Occurred: AssertionError: ";

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are over.
    pub transferred: u64,
    /// Bytes altogether, where they are known.
    pub total: Option<u64>,
}

/// Whom a transfer tells how far it is.
pub(super) type Listener = Box<dyn FnMut(Progress) + Send + Sync>;

/// A job that is about to be submitted; made by [`Session::submit_job`], and awaited.
#[must_use = "a job is submitted when this is awaited"]
pub struct SubmitJob {
    session: Session,
    folder: PathBuf,
    token: Option<SubmitToken>,
    wants_token: bool,
    custom_props: Option<JsonObject>,
    is_signed: bool,
    listener: Option<Listener>,
}

impl Session {
    /// Submits the job in a folder, which is a path of its own or one below the kit's upload folder.
    ///
    /// The job is signed with the kit's key, in the archive that is sent; the folder stays as it is. Memory does not grow
    /// with the job, and nothing is copied on disk: the archive is made while it is sent.
    ///
    /// **Is it safe to repeat?** With a submit token ([`token`](SubmitJob::token), or [`retry_safe`](SubmitJob::retry_safe)),
    /// the server knows the job again, so a lost connection is repaired here and the one job id is returned. Without a
    /// token a submission is never repeated, and [`Error::may_have_run`] tells whether the server may have accepted the
    /// job.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let job_id = session.submit_job("jobs/hello").retry_safe().on_progress(|progress| println!("{progress:?}")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidJob`](ErrorKind::InvalidJob): there is no such folder, it cannot be packed, or the server does not
    /// accept the definition. [`SubmitTokenConflict`](ErrorKind::SubmitTokenConflict) with [`Error::existing_job`],
    /// [`SubmitTokenJobDeleted`](ErrorKind::SubmitTokenJobDeleted) with [`Error::deleted_submission`],
    /// [`NotAuthorized`](ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Dropping the future before the last piece was sent submits nothing. Afterwards the server may have accepted the
    /// job.
    pub fn submit_job(&self, folder: impl AsRef<Path>) -> SubmitJob {
        SubmitJob {
            session: self.clone(),
            folder: folder.as_ref().to_owned(),
            token: None,
            wants_token: false,
            custom_props: None,
            is_signed: true,
            listener: None,
        }
    }
}

impl SubmitJob {
    /// With this token. Whoever submits the same content again with it gets the same job.
    pub fn token(mut self, token: SubmitToken) -> Self {
        self.token = Some(token);
        self
    }

    /// With a token that is made for this call, unless one was given: a lost connection is repaired.
    pub fn retry_safe(mut self) -> Self {
        self.wants_token = true;
        self
    }

    /// Properties that the server keeps in the job's meta under `custom_props`.
    pub fn custom_props(mut self, props: JsonObject) -> Self {
        self.custom_props = Some(props);
        self
    }

    /// Without signatures. Sites refuse such a job unless they were told otherwise.
    pub fn unsigned(mut self) -> Self {
        self.is_signed = false;
        self
    }

    /// Calls `listener` whenever a part of the job has arrived. When the job has to be sent again, it begins anew.
    pub fn on_progress(mut self, listener: impl FnMut(Progress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    async fn run(self) -> Result<JobId> {
        self.reply().await.and_then(|reply| submitted(reply).map_err(|error| error.in_command("submit_job")))
    }

    /// Submits the job; gives the reply as it came.
    pub(crate) async fn reply(mut self) -> Result<Reply> {
        if (self.wants_token || self.token.is_some()) && !knows_studies(&self.session.commands()) {
            // It would take the option for the name of the job.
            let error = Error::new(ErrorKind::Unsupported, "the server has no submit tokens: its release is older");
            return Err(error.in_command("submit_job"));
        }
        let mut random = randomness()?;
        if self.wants_token && self.token.is_none() {
            self.token = Some(SubmitToken::random(&mut random));
        }
        let kit = self.session.inner.kit.clone();
        let (path, name) = job_folder::find(&self.folder, &kit)?;
        let is_signed = self.is_signed;
        let seed = random.seed();
        let packed = tokio::task::spawn_blocking(move || Package::of(path, name, &kit, seed, is_signed));
        let package = Arc::new(packed.await.map_err(interrupted)??);
        let line = submit_line(package.name(), self.token.as_ref());
        self.attempts(&line, &package).await.map_err(|error| error.in_command("submit_job"))
    }

    async fn attempts(&mut self, line: &Line, package: &Arc<Package>) -> Result<Reply> {
        let mut pauses = super::renewal::Pauses::until(self.session.give_up_time());
        let mut was_forgotten = false;
        // Signing takes longer than the command before it, so it begins with that one.
        let mut pieces = Some(Pieces::of(Arc::clone(package)));
        for attempt in 1.. {
            // Whatever is wrong with the connection or the session shows in a command that costs nothing.
            self.session.run(&Touch).await?;
            let live = self.session.live_at_active(&mut pauses).await?;
            let pieces = pieces.take().unwrap_or_else(|| Pieces::of(Arc::clone(package)));
            let failure = match self.upload(&live, line, package.len(), pieces).await {
                Ok(reply) if !was_forgotten && is_forgotten(&reply) => {
                    was_forgotten = true;
                    continue;
                }
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let is_transient =
                matches!(failure.kind(), ErrorKind::ConnectionLost | ErrorKind::TimedOut | ErrorKind::SessionExpired);
            if self.token.is_none() || !is_transient || attempt >= MAX_ATTEMPTS || !pauses.pause().await {
                return Err(failure);
            }
        }
        Err(Error::new(ErrorKind::ConnectionLost, "the job could not be sent"))
    }

    /// Sends the whole job; gives the reply of the command.
    async fn upload(&mut self, live: &Live, line: &Line, len: u64, pieces: Pieces) -> Result<Reply> {
        let user = self.session.inner.kit.username().to_owned();
        let transaction = randomness()?.uuid();
        let mut request = Request { token: Some(live.token.clone()), ..Request::new(line.as_str()) };
        if let Some(props) = &self.custom_props {
            request.meta.insert("custom_props".to_owned(), props.clone().into());
        }
        let context = UploadContext { request: request.to_json(), file_size: len, file_name: "job.zip".to_owned() };
        let mut upload = Upload {
            pieces,
            context: Some(context),
            transaction,
            user,
            // The fields got other names with the release that brought studies.
            keys: if knows_studies(&self.session.commands()) { PieceKeys::New } else { PieceKeys::Old },
            len,
            begun: 0,
            next: 0,
        };
        let mut piece = upload.begin(live).await?;
        loop {
            let Begun { held, end, eof } = piece;
            let is_whole = end == len;
            // The next piece is on its way, but for its end, while this one is written by the server.
            let ahead = async { if eof { Ok(None) } else { upload.begin(live).await.map(Some) } };
            let (answered, ahead) = tokio::join!(live.connection.release(held), ahead);
            // The answer first: what it says counts, even if the folder cannot be read on.
            let reply = answered.map_err(|fault| lost(fault, is_whole)).and_then(|response| {
                let violation = || Error::new(ErrorKind::ProtocolViolation, "the answer to a piece cannot be read");
                let value = response.payload.value().map_err(|error| violation().with_source(error))?;
                PieceReply::from_value(&value).map_err(|error| violation().with_source(error))
            })?;
            if reply.return_code != PieceReply::OK {
                return Err(refused(&reply));
            }
            if let Some(listener) = &mut self.listener {
                listener(Progress { transferred: end, total: Some(len) });
            }
            let Some(next) = ahead? else {
                let missing = || Error::new(ErrorKind::ProtocolViolation, "the server took the job and did not reply");
                let text = reply.end_result.ok_or_else(|| missing().after_sending())?;
                return Reply::parse(&text).map_err(|error| missing().after_sending().with_source(error));
            };
            piece = next;
        }
    }
}

/// What has been sent of an upload.
struct Upload {
    pieces: Pieces,
    /// For the first piece.
    context: Option<UploadContext>,
    transaction: String,
    user: String,
    keys: PieceKeys,
    len: u64,
    /// Bytes that are begun.
    begun: u64,
    /// Number of the next piece.
    next: u64,
}

/// A piece that only has to be released.
struct Begun {
    held: Held,
    /// Bytes of the archive up to its end.
    end: u64,
    eof: bool,
}

impl Upload {
    /// Sends the next piece but for its end.
    async fn begin(&mut self, live: &Live) -> Result<Begun> {
        let data = self.pieces.next().await?;
        let size = data.len() as u64;
        let end = self.begun + size;
        // An archive that is a multiple of the piece ends with an empty one, as the official client has it.
        let eof = data.len() < PIECE_SIZE;
        if end > self.len || (eof && end != self.len) {
            return Err(changed());
        }
        let piece = Piece {
            transaction: self.transaction.clone(),
            sequence: self.next,
            context: self.context.take(),
            data: data.into(),
            size,
            eof,
            has_peer_props: true,
        };
        (self.begun, self.next) = (end, self.next + 1);
        let outgoing = OutgoingRequest {
            payload: piece.into_payload_with(&self.user, self.keys),
            streamed: true,
            ..OutgoingRequest::plain(upload::CHANNEL, upload::REQUEST)
        };
        let patience = if eof { LAST_PIECE_PATIENCE } else { PIECE_PATIENCE };
        // Of what is not released nothing comes.
        let held = live.connection.hold(outgoing, patience).await.map_err(|fault| lost(fault, false))?;
        Ok(Begun { held, end, eof })
    }
}

/// What it means that a piece was not answered.
fn lost(fault: Fault, is_whole: bool) -> Error {
    // A server runs the command when the transfer ends, however it ends. Only with the whole archive does a job come of
    // it, and that is there before the last piece when that one is empty.
    let phase = if is_whole { Phase::Command } else { Phase::Upload };
    verdict::of_fault(fault, phase)
}

/// A piece that the server did not take. It has run the command all the same, on what it had.
fn refused(reply: &PieceReply) -> Error {
    let error =
        Error::new(ErrorKind::ServerFault, format!("the server did not take the upload: {}", reply.return_code))
            .with_code(reply.return_code.as_str());
    match reply.end_result.as_deref().map(Reply::parse) {
        None => error,
        Some(Ok(reply)) => match submitted(reply) {
            Ok(job_id) => error.after_sending().with_existing_job(job_id),
            Err(refusal) => error.with_source(refusal),
        },
        Some(Err(_)) => error.after_sending(),
    }
}

fn is_forgotten(reply: &Reply) -> bool {
    reply.data.iter().any(|item| matches!(item, crate::Item::Error(text) if text == FORGOTTEN_SESSION))
}

impl IntoFuture for SubmitJob {
    type Output = Result<JobId>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<JobId>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for SubmitJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitJob").field("folder", &self.folder).field("token", &self.token).finish_non_exhaustive()
    }
}
