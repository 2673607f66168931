//! Files that a session may download: each under a reference, until all that were offered with it are done or nobody asks
//! any more.
//!
//! What was done is remembered for the files of one offer together: until the last of them is done, each can be read
//! again, and who cancels one has given up all.
//!
//! Source: `reference/wire-protocol.md` section 9; what a live 2.9.0 server says about references that are done
//! (`fuel/f3/streaming/download_service.py`).

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
    /// A file that was downloaded before, or was not and is not offered any more.
    Over {
        /// All of it arrived.
        arrived: bool,
    },
}

/// The files on offer.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    entries: HashMap<String, Entry>,
    offers: u64,
}

#[derive(Debug)]
struct Entry {
    session: String,
    /// Which offer it belongs to.
    offer: u64,
    file: Download,
    /// Whether it arrived, when its client has said so.
    arrived: Option<bool>,
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
        self.offers += 1;
        let of = self.offers;
        files
            .into_iter()
            .map(|file| {
                while self.entries.len() >= MAX_OFFERS {
                    let Some(oldest) = self.oldest() else { break };
                    self.entries.remove(&oldest);
                }
                let offer = Offer { name: file.name().to_owned(), reference: format!("R{}", random.uuid()) };
                let (session, file) = (session.to_owned(), Download::File(file));
                let entry = Entry { session, offer: of, file, arrived: None, last: now };
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

    /// A client is done with a file, which arrived or not. When it is done with the whole offer, nothing but that is
    /// remembered.
    pub(super) fn finish(&mut self, now: Moment, reference: &str, arrived: bool) {
        let Some(entry) = self.entries.get_mut(reference) else { return };
        entry.arrived.get_or_insert(arrived);
        let offer = entry.offer;
        self.settle(now, offer);
    }

    /// A client does not want a file any more, nor any other of the same offer.
    pub(super) fn cancel(&mut self, now: Moment, reference: &str) {
        let Some(offer) = self.entries.get(reference).map(|entry| entry.offer) else { return };
        for entry in self.entries.values_mut().filter(|entry| entry.offer == offer) {
            entry.arrived.get_or_insert(false);
        }
        self.settle(now, offer);
    }

    fn settle(&mut self, now: Moment, offer: u64) {
        let mut files: Vec<&mut Entry> = self.entries.values_mut().filter(|entry| entry.offer == offer).collect();
        if files.iter().any(|entry| entry.arrived.is_none()) {
            return;
        }
        for entry in &mut files {
            if matches!(entry.file, Download::File(_)) {
                let arrived = entry.arrived == Some(true);
                (entry.file, entry.last) = (Download::Over { arrived }, now);
            }
        }
    }

    /// Nothing is remembered of a file.
    pub(super) fn forget(&mut self, reference: &str) {
        self.entries.remove(reference);
    }

    /// How many files are offered and neither downloaded nor given up.
    pub(super) fn open(&self) -> usize {
        self.entries.values().filter(|entry| entry.arrived.is_none()).count()
    }

    /// A session has ended, and with it what was offered to it.
    pub(super) fn end_session(&mut self, session: &str) {
        self.entries.retain(|_, entry| entry.session != session);
    }
}

impl Entry {
    fn is_over(&self, now: Moment) -> bool {
        let lifetime = if matches!(self.file, Download::Over { .. }) { REMEMBERED } else { LIFETIME };
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
        downloads.finish(at(10), &reference, true);
        assert_eq!(downloads.look_up(at(1810), &reference).unwrap().0, Download::Over { arrived: true });
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
        downloads.cancel(at(0), &reference);
        assert_eq!(downloads.look_up(at(0), &reference).unwrap().0, Download::Over { arrived: false });
        downloads.forget(&reference);
        assert_eq!(downloads.look_up(at(0), &reference), None);
    }

    #[test]
    fn files_of_one_offer_are_over_together() {
        let mut downloads = Downloads::default();
        let files = || vec![DownloadFile::Meta("a".to_owned()), DownloadFile::Meta("b".to_owned())];
        let mut random = Randomness::from_number(3);
        let mut offered = |downloads: &mut Downloads| -> Vec<String> {
            downloads.offer(at(0), "s", files(), &mut random).into_iter().map(|offer| offer.reference).collect()
        };
        let is_file = |downloads: &mut Downloads, reference: &str| {
            matches!(downloads.look_up(at(1), reference), Some((Download::File(_), _)))
        };
        let [first, second] = offered(&mut downloads).try_into().unwrap();
        downloads.finish(at(1), &first, true);
        assert!(is_file(&mut downloads, &first), "until the other is done");
        downloads.finish(at(1), &second, false);
        let now = |downloads: &mut Downloads, reference: &str| downloads.look_up(at(1), reference).unwrap().0;
        assert_eq!(now(&mut downloads, &first), Download::Over { arrived: true });
        assert_eq!(now(&mut downloads, &second), Download::Over { arrived: false });

        let [first, second] = offered(&mut downloads).try_into().unwrap();
        assert_eq!(downloads.open(), 2);
        downloads.cancel(at(1), &first);
        assert_eq!(downloads.open(), 0);
        assert_eq!(now(&mut downloads, &second), Download::Over { arrived: false });
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
