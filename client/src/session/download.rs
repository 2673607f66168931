//! Downloading what a job left: the server offers files, which are pulled piece by piece.
//!
//! Source: `reference/wire-protocol.md` section 9, `reference/client-api.md` section 5.5.

use std::collections::HashSet;
use std::fmt;
use std::future::IntoFuture;
use std::path::{Component, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use flare_wire::cell::ReturnCode;
use flare_wire::endpoint::OutgoingRequest;
use flare_wire::hci::Reply;
use flare_wire::transfer::download::{self, Conclusion, Pull, PullReply};

use super::arrival::{Arrival, Treatment};
use super::renewal::Pauses;
use super::staging::Staging;
use super::submit::{Listener, Progress};
use super::{Live, Session};
use crate::command::{Command, DownloadComponents, DownloadJob, DownloadOffer, OfferedFile};
use crate::connection::Fault;
use crate::model::JobId;
use crate::unpack::Arrived;
use crate::{Error, ErrorKind, Phase, Result, verdict};

/// How often the same piece is asked for before a download is given up, the first time included.
const MAX_ATTEMPTS: usize = 4;

/// Pause before a piece is asked for again that did not come in time; doubles, as with the official client.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// How often a whole download is begun, since the server has forgotten what it offered (it was restarted).
const MAX_OFFERS: usize = 3;

/// Which files of a job are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Result,
    Components,
}

/// A download that is about to begin; made by [`Session::download_job_result`] or
/// [`Session::download_job_components`], and awaited.
#[must_use = "nothing is downloaded until this is awaited"]
pub struct Download {
    session: Session,
    job_id: JobId,
    what: What,
    destination: Option<PathBuf>,
    listener: Option<Listener>,
    /// The reply that refused the download.
    refusal: Option<Reply>,
    /// Archives that are unpacked when all files are there.
    wants_whole: HashSet<String>,
}

impl Session {
    /// Downloads the result of a job that has ended: `job/` as it was submitted, `workspace/` as the run left it on the
    /// server (if it ran), `meta.json`. Gives the folder that holds them.
    ///
    /// The folder is `<download folder of the kit>/<job id>` unless a [destination](Download::destination) is given. If
    /// there is one of that name already it gets another: `<job id>__1`, `__2`, and so on. (The official client moves a
    /// download into a folder that is there, and returns the path of that.) It appears when all is there; a download that
    /// fails or is dropped leaves nothing behind.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// let folder = session.download_job_result(&job_id).destination("results").await?;
    /// println!("{}", std::fs::read_to_string(folder.join("workspace/log.txt")).unwrap_or_default());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobNotFound`](ErrorKind::JobNotFound), [`JobRunning`](ErrorKind::JobRunning),
    /// [`NotAuthorized`](ErrorKind::NotAuthorized), [`LocalFile`](ErrorKind::LocalFile) when it cannot be written here,
    /// [`ProtocolViolation`](ErrorKind::ProtocolViolation) when a file would leave the folder, and those of
    /// [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Dropping the future removes what was downloaded so far, shortly after: when what has arrived is written. It also
    /// tells the server that the rest is not wanted any more.
    pub fn download_job_result(&self, job_id: &JobId) -> Download {
        self.download(job_id, What::Result)
    }

    /// Downloads the further components of a job, such as `ERRORLOG_site-1`; see
    /// [`download_job_result`](Session::download_job_result).
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// if !session.list_job_components(&job_id).await?.is_empty() {
    ///     session.download_job_components(&job_id).destination("errors").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::download_job_result`]; [`Refused`](ErrorKind::Refused) when the job has none.
    ///
    /// # Cancel safety
    /// As [`Session::download_job_result`].
    pub fn download_job_components(&self, job_id: &JobId) -> Download {
        self.download(job_id, What::Components)
    }

    fn download(&self, job_id: &JobId, what: What) -> Download {
        Download {
            session: self.clone(),
            job_id: job_id.clone(),
            what,
            destination: None,
            listener: None,
            refusal: None,
            wants_whole: HashSet::new(),
        }
    }
}

impl Download {
    /// Into a folder below this one, which is made if it is not there.
    pub fn destination(mut self, folder: impl Into<PathBuf>) -> Self {
        self.destination = Some(folder.into());
        self
    }

    /// Calls `listener` with the bytes that have arrived so far, of all files together. How many come is not known
    /// before. When a file has to be sent again, it is counted anew.
    pub fn on_progress(mut self, listener: impl FnMut(Progress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    async fn run(self) -> Result<PathBuf> {
        self.with_refusal().await.0
    }

    /// Downloads; gives the server's reply too if that is what stood in the way.
    pub(crate) async fn with_refusal(mut self) -> (Result<PathBuf>, Option<Reply>) {
        let name = match self.what {
            What::Result => "download_job",
            What::Components => "download_job_components",
        };
        let fetched = self.fetch().await.map_err(|error| error.in_command(name));
        (fetched, self.refusal)
    }

    async fn fetch(&mut self) -> Result<PathBuf> {
        // What the server refuses is known before a folder is made.
        let mut offer = self.offer().await?;
        let parent = self.destination.clone().unwrap_or_else(|| self.session.inner.kit.download_dir());
        for attempt in 1.. {
            let staging = Staging::create(&parent, self.job_id.as_str())?;
            match self.files(&offer, staging).await {
                Ok(staging) => return staging.publish(&parent, self.job_id.as_str()),
                Err(Broken::Forgotten) if attempt < MAX_OFFERS => {
                    // Old servers keep what nobody asks for ten seconds long, and unpacking may take longer.
                    self.wants_whole.extend(offer.files.into_iter().map(|file| file.name));
                    offer = self.offer().await?;
                }
                Err(Broken::Forgotten) => break,
                Err(Broken::Failed(error)) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::ConnectionLost, "the server forgets what it offers for download"))
    }

    async fn offer(&mut self) -> Result<DownloadOffer> {
        let job_id = self.job_id.clone();
        match self.what {
            What::Result => self.offer_by(&DownloadJob(&job_id)).await,
            What::Components => self.offer_by(&DownloadComponents(&job_id)).await,
        }
    }

    async fn offer_by<C: Command<Output = DownloadOffer>>(&mut self, command: &C) -> Result<DownloadOffer> {
        let reply = self.session.reply_of(command).await?;
        let refusal = reply.clone();
        verdict::of_reply(reply).and_then(|reply| command.read(reply)).inspect_err(|_| self.refusal = Some(refusal))
    }

    async fn files(&mut self, offer: &DownloadOffer, mut staging: Staging) -> Result<Staging, Broken> {
        let mut claim = Claim::of(&self.session, offer);
        let mut total = 0;
        let mut late = Vec::new();
        for file in &offer.files {
            let path = inner_path(&file.name)?;
            // Archives further down are not unpacked, as by the official client.
            let is_archive =
                path.components().count() == 1 && path.extension().is_some_and(|extension| extension == "zip");
            let mut least = 0;
            loop {
                let is_late = self.wants_whole.contains(&file.name);
                let treatment = if is_archive && !is_late { Treatment::Unpacked } else { Treatment::Kept };
                let before = total;
                let arrival = Arrival::begin(staging, path.clone(), treatment);
                let unpacked;
                (staging, unpacked) = self.file(file, arrival, least, &mut claim, &mut total).await?;
                if unpacked == Arrived::Whole {
                    if is_archive && is_late {
                        late.push(path);
                    }
                    break;
                }
                // Once more, which shows in what the listener is told.
                self.wants_whole.insert(file.name.clone());
                least = total - before;
                total = before;
            }
        }
        Ok(staging.unpacked(late).await?)
    }

    /// Pulls one file, of which there are `least` bytes.
    async fn file(
        &mut self,
        file: &OfferedFile,
        arrival: Arrival,
        least: u64,
        claim: &mut Claim,
        total: &mut u64,
    ) -> Result<(Staging, Arrived), Broken> {
        match self.pull(file, &arrival, least, claim, total).await {
            Ok(end) => {
                let (staging, unpacked) = arrival.finish().await?;
                if let Some(End { nonce, live }) = end
                    && unpacked == Arrived::Whole
                {
                    claim.references.retain(|reference| *reference != file.reference);
                    if let Some(nonce) = nonce {
                        // The server keeps the file for half an hour otherwise; nothing else depends on it.
                        let conclusion = Pull::conclude(&file.reference, Conclusion::Success { nonce });
                        live.connection.notify(pull_request(&claim.source, &conclusion)).await;
                    }
                }
                Ok((staging, unpacked))
            }
            Err(broken) => {
                // What is left of it is gone before anybody hears of it.
                arrival.abandon().await;
                Err(broken)
            }
        }
    }

    /// Hands on the pieces of a file to its end, or until they are not wanted any more.
    async fn pull(
        &mut self,
        file: &OfferedFile,
        arrival: &Arrival,
        least: u64,
        claim: &mut Claim,
        total: &mut u64,
    ) -> Result<Option<End>, Broken> {
        let mut received = 0;
        let mut answered = self.piece(&claim.source, &file.reference, received).await;
        loop {
            let (reply, live) = match answered {
                Err(Broken::Forgotten) => {
                    claim.references.clear();
                    return Err(Broken::Forgotten);
                }
                answered => answered?,
            };
            match reply {
                PullReply::Data { data, received: end, cancel_capable } => {
                    claim.is_cancellable |= cancel_capable;
                    if data.is_empty() || end != received + data.len() as u64 {
                        return Err(violation("a piece of a file does not fit behind the one before").into());
                    }
                    received = end;
                    *total += data.len() as u64;
                    // The next piece is on its way while this one is written.
                    let (is_taken, next) =
                        tokio::join!(arrival.push(data), self.piece(&claim.source, &file.reference, received));
                    if !is_taken {
                        return Ok(None);
                    }
                    answered = next;
                    if let Some(listener) = &mut self.listener {
                        listener(Progress { transferred: *total, total: None });
                    }
                }
                // For this server the first time was the only one.
                PullReply::Eof { .. } if received < least => return Err(Broken::Forgotten),
                PullReply::Eof { nonce } => return Ok(Some(End { nonce, live })),
                PullReply::Error { .. } => {
                    return Err(Error::new(ErrorKind::ServerFault, "the server cannot read the file on").into());
                }
            }
        }
    }

    /// Asks for the piece after the first `received` bytes, as often as it takes: the answer to the same request is the
    /// same.
    async fn piece(
        &self,
        source: &str,
        reference: &str,
        received: u64,
    ) -> Result<(PullReply, std::sync::Arc<Live>), Broken> {
        let patience = self.session.inner.kit.download_progress_timeout();
        let mut pauses = Pauses::until(self.session.give_up_time());
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let live = self.session.live_at_active(&mut pauses).await?;
            let request = pull_request(source, &Pull::piece(reference, received));
            let fault = match live.connection.request(request, patience).await {
                Ok(response) => {
                    let reply = PullReply::from_payload(&response.payload).map_err(unreadable)?.map_err(unreadable)?;
                    return Ok((reply, live));
                }
                Err(fault) => fault,
            };
            match fault {
                Fault::Answered { code: ReturnCode::InvalidRequest, .. } => return Err(Broken::Forgotten),
                Fault::TimedOut { .. } if attempt < MAX_ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                fault if matches!(fault, Fault::Lost(_)) || fault.is_absence() => {
                    if !pauses.pause().await {
                        return Err(verdict::of_fault(fault, Phase::Download).into());
                    }
                }
                Fault::Offline(_) | Fault::Expired(_) | Fault::Moved => {
                    Box::pin(self.session.renew(&live, &mut pauses)).await?
                }
                fault => return Err(verdict::of_fault(fault, Phase::Download).into()),
            }
        }
    }
}

/// What a server says at the end of a file.
struct End {
    /// What it wants to hear when the file has arrived.
    nonce: Option<String>,
    live: std::sync::Arc<Live>,
}

/// Why a download does not go on.
enum Broken {
    /// The server does not know the references any more, and has to be asked for new ones.
    Forgotten,
    Failed(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The files that the server holds ready. When the download does not come to its end the server is told that nobody wants
/// them any more, as far as that costs nothing: it gives them up by itself after half an hour.
struct Claim {
    session: Session,
    source: String,
    references: Vec<String>,
    /// The server understands it.
    is_cancellable: bool,
}

impl Claim {
    fn of(session: &Session, offer: &DownloadOffer) -> Self {
        let references = offer.files.iter().map(|file| file.reference.clone()).collect();
        Self { session: session.clone(), source: offer.source.clone(), references, is_cancellable: false }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_cancellable {
            return;
        }
        let live = std::sync::Arc::clone(&self.session.inner.live());
        for reference in &self.references {
            let cancellation = Pull::conclude(reference, Conclusion::Cancel);
            live.connection.try_notify(pull_request(&self.source, &cancellation));
        }
    }
}

fn pull_request(source: &str, pull: &Pull) -> OutgoingRequest {
    OutgoingRequest {
        destination: source.to_owned(),
        payload: pull.to_payload(),
        streamed: true,
        ..OutgoingRequest::plain(download::CHANNEL, download::TOPIC)
    }
}

fn violation(message: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, message)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    violation("the answer to a download cannot be read").with_source(error)
}

/// A path that a server gives a file, if it stays below the folder of the download.
fn inner_path(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    // Windows separators and drives mean nothing here, and would elsewhere.
    if name.is_empty() || !stays || name.contains(['\\', '\0', ':']) {
        return Err(violation(&format!("the server offers a file with the name {name:?}, which leaves its folder")));
    }
    Ok(path)
}

impl IntoFuture for Download {
    type Output = Result<PathBuf>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<PathBuf>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("job_id", &self.job_id).field("what", &self.what).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_folder_are_taken() {
        for name in ["job.zip", "a/b.txt", "..a", "ERRORLOG_site-1"] {
            assert_eq!(inner_path(name).unwrap(), PathBuf::from(name), "{name}");
        }
        for name in ["", "..", "../x", "a/../../x", "/etc/passwd", "a\\..\\b", "c:x", "a\0b"] {
            assert_eq!(inner_path(name).unwrap_err().kind(), ErrorKind::ProtocolViolation, "{name:?}");
        }
    }
}
