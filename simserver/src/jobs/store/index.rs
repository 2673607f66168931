//! The jobs of one study by time, id, name and submitter.

use std::collections::{BTreeMap, BTreeSet};

use flare_wire::Moment;

use super::query::ListQuery;
use crate::jobs::meta::JobMeta;

/// Matches of a prefix that are looked at before a query with a limit goes by time instead: a prefix that fits so
/// many jobs fits every few of them, so walking by time soon finds enough.
const MAX_PREFIX_MATCHES: usize = 1024;

/// A job's place in time; jobs of the same moment follow each other as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) submitted: Moment,
    pub(super) arrival: u64,
}

/// What a filter compares.
#[derive(Debug, Clone)]
struct Entry {
    id: String,
    lower_id: String,
    lower_name: String,
    submitter: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StudyIndex {
    by_time: BTreeMap<Key, Entry>,
    by_id: BTreeSet<(String, Key)>,
    by_name: BTreeSet<(String, Key)>,
    by_submitter: BTreeMap<String, BTreeSet<Key>>,
}

impl StudyIndex {
    pub(super) fn insert(&mut self, key: Key, meta: &JobMeta) {
        let entry = Entry::of(meta);
        self.by_id.insert((entry.lower_id.clone(), key));
        self.by_name.insert((entry.lower_name.clone(), key));
        self.by_submitter.entry(entry.submitter.clone()).or_default().insert(key);
        self.by_time.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: Key, meta: &JobMeta) {
        let entry = Entry::of(meta);
        self.by_time.remove(&key);
        self.by_id.remove(&(entry.lower_id, key));
        self.by_name.remove(&(entry.lower_name, key));
        if let Some(keys) = self.by_submitter.get_mut(&entry.submitter) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_submitter.remove(&entry.submitter);
            }
        }
    }

    /// True when the filters fit any job, whatever the limit.
    pub(super) fn has_match(&self, query: &ListQuery) -> bool {
        !self.find(&ListQuery { limit: 1, ..query.clone() }).is_empty()
    }

    /// Ids of the jobs that a query asks for, in its order.
    pub(super) fn find(&self, query: &ListQuery) -> Vec<&str> {
        let mut keys = self.newest_first(query);
        if let Ok(left_out) = usize::try_from(query.limit.saturating_neg()) {
            keys.truncate(keys.len().saturating_sub(left_out));
        }
        if !query.reverse {
            keys.reverse();
        }
        keys.into_iter().filter_map(|key| Some(self.by_time.get(&key)?.id.as_str())).collect()
    }

    /// Keys of the matching jobs; of the newest ones only, when there is a limit.
    fn newest_first(&self, query: &ListQuery) -> Vec<Key> {
        let (id_prefix, name_prefix) = query.prefixes();
        let fits = |key: &Key| {
            self.by_time.get(key).is_some_and(|entry| {
                id_prefix.as_ref().is_none_or(|prefix| entry.lower_id.starts_with(prefix))
                    && name_prefix.as_ref().is_none_or(|prefix| entry.lower_name.starts_with(prefix))
                    && query.submitter.as_ref().is_none_or(|name| entry.submitter == *name)
            })
        };
        let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0);
        let indexed = match (&id_prefix, &name_prefix) {
            (Some(prefix), _) => Some(starting_with(&self.by_id, prefix)),
            (None, Some(prefix)) => Some(starting_with(&self.by_name, prefix)),
            (None, None) => None,
        };
        if let Some(indexed) = indexed {
            let most = if limit.is_some() { MAX_PREFIX_MATCHES + 1 } else { usize::MAX };
            let mut keys: Vec<Key> = indexed.take(most).collect();
            if keys.len() <= MAX_PREFIX_MATCHES || limit.is_none() {
                keys.retain(fits);
                keys.sort_unstable_by(|left, right| right.cmp(left));
                keys.truncate(limit.unwrap_or(usize::MAX));
                return keys;
            }
        }
        let most = limit.unwrap_or(usize::MAX);
        match &query.submitter {
            Some(name) => {
                let keys = self.by_submitter.get(name);
                keys.into_iter()
                    .flat_map(|keys| keys.iter().rev())
                    .filter(|key| fits(key))
                    .take(most)
                    .copied()
                    .collect()
            }
            None => self.by_time.keys().rev().filter(|key| fits(key)).take(most).copied().collect(),
        }
    }
}

impl Entry {
    fn of(meta: &JobMeta) -> Self {
        Self {
            id: meta.job_id().to_owned(),
            lower_id: meta.job_id().to_lowercase(),
            lower_name: meta.name().to_lowercase(),
            submitter: meta.submitter().name,
        }
    }
}

/// The keys of the texts that start with `prefix`.
fn starting_with<'a>(set: &'a BTreeSet<(String, Key)>, prefix: &'a str) -> impl Iterator<Item = Key> + 'a {
    let first = Key { submitted: Moment::default(), arrival: 0 };
    set.range((prefix.to_owned(), first)..).take_while(move |(text, _)| text.starts_with(prefix)).map(|(_, key)| *key)
}
