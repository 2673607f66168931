//! Files that a session may download: each under a reference, until it is done or nobody asks any more.
//!
//! Source: `reference/wire-protocol.md` section 9.

use std::collections::HashMap;
use std::time::Duration;

use flare_wire::{Moment, Randomness};

use crate::blob::Blob;
use crate::jobs::lifecycle::DownloadFile;

/// How long a file is kept for a client that does not ask any more: what the real server adds to its time-outs.
const LIFETIME: Duration = Duration::from_secs(1805);

/// How long it is known of a file that it was downloaded, so that a repeated last request is answered in the same way.
const REMEMBERED: Duration = Duration::from_secs(1800);

/// Files that are offered at the same time; those that were asked for least recently make room. Each costs little
/// until somebody asks for it.
const MAX_OFFERS: usize = 16_384;

/// A file under its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// The reference.
    pub reference: String,
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Download {
    /// A file.
    File(DownloadFile<Blob>),
    /// A file that was downloaded before.
    Finished,
}

/// The files on offer.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    session: String,
    file: Download,
    last: Moment,
}

impl Downloads {
    /// Offers files to a session.
    pub(super) fn offer(
        &mut self,
        now: Moment,
        session: &str,
        files: Vec<DownloadFile<Blob>>,
        random: &mut Randomness,
    ) -> Vec<Offer> {
        self.entries.retain(|_, entry| !entry.is_over(now));
        files
            .into_iter()
            .map(|file| {
                while self.entries.len() >= MAX_OFFERS {
                    let Some(oldest) = self.oldest() else { break };
                    self.entries.remove(&oldest);
                }
                let offer = Offer { name: file.name().to_owned(), reference: format!("R{}", random.uuid()) };
                let entry = Entry { session: session.to_owned(), file: Download::File(file), last: now };
                self.entries.insert(offer.reference.clone(), entry);
                offer
            })
            .collect()
    }

    fn oldest(&self) -> Option<String> {
        self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(reference, _)| reference.clone())
    }

    /// What a reference leads to, with the session that it was offered to; this keeps it alive.
    pub(super) fn look_up(&mut self, now: Moment, reference: &str) -> Option<(Download, String)> {
        let entry = self.entries.get_mut(reference).filter(|entry| !entry.is_over(now))?;
        if matches!(entry.file, Download::File(_)) {
            entry.last = now;
        }
        Some((entry.file.clone(), entry.session.clone()))
    }

    /// A file was downloaded: nothing but that is remembered.
    pub(super) fn finish(&mut self, now: Moment, reference: &str) {
        if let Some(entry) = self.entries.get_mut(reference) {
            (entry.file, entry.last) = (Download::Finished, now);
        }
    }

    /// How many files are offered and neither downloaded nor given up.
    pub(super) fn open(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.file, Download::File(_))).count()
    }

    /// A client does not want a file any more.
    pub(super) fn cancel(&mut self, reference: &str) {
        self.entries.remove(reference);
    }

    /// A session has ended, and with it what was offered to it.
    pub(super) fn end_session(&mut self, session: &str) {
        self.entries.retain(|_, entry| entry.session != session);
    }
}

impl Entry {
    fn is_over(&self, now: Moment) -> bool {
        let lifetime = if self.file == Download::Finished { REMEMBERED } else { LIFETIME };
        now.since(self.last) > lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_unix(Duration::from_secs(1_795_308_284 + seconds))
    }

    fn offered(downloads: &mut Downloads, session: &str) -> String {
        let files = vec![DownloadFile::Meta("{}".to_owned())];
        let mut offers = downloads.offer(at(0), session, files, &mut Randomness::from_number(1));
        let offer = offers.pop().unwrap();
        assert_eq!(offer.name, "meta.json");
        assert!(offer.reference.starts_with('R') && flare_wire::is_uuid4(&offer.reference[1..]));
        offer.reference
    }

    #[test]
    fn a_file_lives_as_long_as_it_is_asked_for() {
        let mut downloads = Downloads::default();
        let reference = offered(&mut downloads, "s");
        for seconds in [0, 1805, 3610] {
            assert!(downloads.look_up(at(seconds), &reference).is_some(), "{seconds}");
        }
        assert_eq!(downloads.look_up(at(3610 + 1806), &reference), None);
    }

    #[test]
    fn a_finished_file_is_remembered_for_a_while() {
        let mut downloads = Downloads::default();
        let reference = offered(&mut downloads, "s");
        downloads.finish(at(10), &reference);
        assert_eq!(downloads.look_up(at(1810), &reference).unwrap().0, Download::Finished);
        assert_eq!(downloads.look_up(at(1811), &reference), None);
    }

    #[test]
    fn files_go_when_they_are_cancelled_and_with_their_session() {
        let mut downloads = Downloads::default();
        let reference = offered(&mut downloads, "s");
        downloads.end_session("other");
        assert!(downloads.look_up(at(0), &reference).is_some());
        downloads.end_session("s");
        assert_eq!(downloads.look_up(at(0), &reference), None);
        let reference = offered(&mut downloads, "s");
        downloads.cancel(&reference);
        assert_eq!(downloads.look_up(at(0), &reference), None);
    }

    #[test]
    fn what_was_asked_for_least_recently_makes_room() {
        let mut downloads = Downloads::default();
        let mut random = Randomness::from_number(2);
        let mut offer = |downloads: &mut Downloads, seconds| {
            let files = vec![DownloadFile::Meta(String::new())];
            downloads.offer(at(seconds), "s", files, &mut random).pop().unwrap().reference
        };
        let first = offer(&mut downloads, 0);
        let second = offer(&mut downloads, 1);
        for _ in 2..MAX_OFFERS {
            offer(&mut downloads, 2);
        }
        assert!(downloads.look_up(at(3), &first).is_some());
        offer(&mut downloads, 3);
        assert!(downloads.look_up(at(3), &first).is_some());
        assert_eq!(downloads.look_up(at(3), &second), None);
    }
}
