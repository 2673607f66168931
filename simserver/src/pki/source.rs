//! Where keys come from.
//!
//! Making an RSA key takes tens of milliseconds, which is most of what starting a simulated server costs; so
//! keys are made on all cores at once, only when something needs them, and can be kept.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use super::{KeyPair, PkiError};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRequest<'a> {
    /// The key of the project's root authority.
    Root,
    /// The key of the participant of this name.
    Participant(&'a str),
    /// One key for all sites.
    Sites,
}

/// Where keys come from.
#[derive(Debug, Clone, Default)]
pub enum KeySource {
    /// A new root key each time; the keys of participants are shared by all servers of this process.
    ///
    /// So two servers never accept each other's kits, and only the root key is made anew. The default.
    #[default]
    Process,
    /// Every key is made when it is needed and used once, as real provisioning does.
    Generate,
    /// Keys are kept as files in this directory and found there the next time, also by other processes.
    ///
    /// The root key is kept as well, so servers with the same project name accept each other's kits.
    Directory(PathBuf),
    /// Keys from a pool that several servers can share, root key included.
    Pool(KeyPool),
}

impl KeySource {
    /// The keys for `requests`, in their order. Those that do not exist yet are made on all cores.
    ///
    /// # Errors
    /// When a key cannot be made, or a kept one cannot be read or written.
    pub fn provide(&self, requests: &[KeyRequest<'_>]) -> Result<Vec<KeyPair>, PkiError> {
        match self {
            Self::Process => {
                static SHARED: LazyLock<KeyPool> = LazyLock::new(KeyPool::new);
                let (roots, others): (Vec<_>, Vec<_>) =
                    requests.iter().partition(|request| **request == KeyRequest::Root);
                let (mut roots, mut others) =
                    (generate(roots.len())?.into_iter(), SHARED.provide(&others)?.into_iter());
                let next = |request: &KeyRequest<'_>| match request {
                    KeyRequest::Root => roots.next(),
                    KeyRequest::Participant(_) | KeyRequest::Sites => others.next(),
                };
                Ok(requests.iter().filter_map(next).collect())
            }
            Self::Generate => generate(requests.len()),
            Self::Directory(directory) => provide_cached(directory, requests),
            Self::Pool(pool) => pool.provide(requests),
        }
    }

    /// The key for one request.
    ///
    /// # Errors
    /// As [`KeySource::provide`].
    pub fn provide_one(&self, request: KeyRequest<'_>) -> Result<KeyPair, PkiError> {
        Ok(self.provide(&[request])?.remove(0))
    }
}

/// Keys that are kept in memory: what was supplied is used first, what is missing is made and kept.
///
/// The same request always gets the same key, so servers that share a pool share root and participants.
#[derive(Debug, Clone, Default)]
pub struct KeyPool {
    state: Arc<Mutex<PoolState>>,
}

#[derive(Debug, Default)]
struct PoolState {
    unused: Vec<KeyPair>,
    root: Option<KeyPair>,
    sites: Option<KeyPair>,
    participants: HashMap<String, KeyPair>,
}

impl KeyPool {
    /// An empty pool: it grows with what is asked of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A pool that hands out `keys` before it makes new ones.
    #[must_use]
    pub fn with_keys(keys: Vec<KeyPair>) -> Self {
        Self { state: Arc::new(Mutex::new(PoolState { unused: keys, ..PoolState::default() })) }
    }

    fn provide(&self, requests: &[KeyRequest<'_>]) -> Result<Vec<KeyPair>, PkiError> {
        // Held while keys are made, so that two servers that start together do not make the same keys twice.
        // A panic leaves nothing half done here, so a poisoned pool is as good as another.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<KeyPair>> = requests.iter().map(|request| state.take(*request)).collect();
        let mut made = generate(found.iter().filter(|key| key.is_none()).count())?.into_iter();
        let keys = found.into_iter().zip(requests).map(|(key, request)| {
            key.unwrap_or_else(|| {
                let key = made.next().expect("as many keys were made as were missing");
                state.keep(*request, &key);
                key
            })
        });
        Ok(keys.collect())
    }
}

impl PoolState {
    fn take(&mut self, request: KeyRequest<'_>) -> Option<KeyPair> {
        let kept = match request {
            KeyRequest::Root => self.root.clone(),
            KeyRequest::Sites => self.sites.clone(),
            KeyRequest::Participant(name) => self.participants.get(name).cloned(),
        };
        kept.or_else(|| {
            let key = self.unused.pop()?;
            self.keep(request, &key);
            Some(key)
        })
    }

    fn keep(&mut self, request: KeyRequest<'_>, key: &KeyPair) {
        match request {
            KeyRequest::Root => self.root = Some(key.clone()),
            KeyRequest::Sites => self.sites = Some(key.clone()),
            KeyRequest::Participant(name) => {
                self.participants.insert(name.to_owned(), key.clone());
            }
        }
    }
}

/// Makes `count` keys on all cores.
fn generate(count: usize) -> Result<Vec<KeyPair>, PkiError> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(count);
    if workers <= 1 {
        return (0..count).map(|_| KeyPair::generate()).collect();
    }
    // The time a key takes varies tenfold, so workers take the next one when they are done, not a fixed share.
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = Vec::new();
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        made.push(KeyPair::generate()?);
                    }
                    Ok(made)
                })
            })
            .collect();
        let mut keys = Vec::with_capacity(count);
        for worker in workers {
            let made = worker.join().map_err(|_| PkiError::Generation("a worker panicked".to_owned()))?;
            keys.extend(made?);
        }
        Ok(keys)
    })
}

fn provide_cached(directory: &Path, requests: &[KeyRequest<'_>]) -> Result<Vec<KeyPair>, PkiError> {
    fs::create_dir_all(directory).map_err(|source| PkiError::Cache { path: directory.to_owned(), source })?;
    let paths: Vec<PathBuf> = requests.iter().map(|request| directory.join(file_name(*request))).collect();
    let mut keys = Vec::with_capacity(paths.len());
    for path in &paths {
        keys.push(read_cached(path)?);
    }
    let mut made = generate(keys.iter().filter(|key| key.is_none()).count())?.into_iter();
    keys.into_iter()
        .zip(&paths)
        .map(|(key, path)| match key {
            Some(key) => Ok(key),
            None => write_cached(directory, path, made.next().expect("as many keys were made as were missing")),
        })
        .collect()
}

fn file_name(request: KeyRequest<'_>) -> String {
    match request {
        KeyRequest::Root => "root.pem".to_owned(),
        KeyRequest::Sites => "sites.pem".to_owned(),
        KeyRequest::Participant(name) => format!("participant-{name}.pem"),
    }
}

fn read_cached(path: &Path) -> Result<Option<KeyPair>, PkiError> {
    match fs::read_to_string(path) {
        Ok(pem) => KeyPair::from_pem(&pem).map(Some).map_err(|_| {
            let source = io::Error::new(io::ErrorKind::InvalidData, "the file holds no RSA private key");
            PkiError::Cache { path: path.to_owned(), source }
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::Cache { path: path.to_owned(), source }),
    }
}

/// Keeps `key`, unless another process kept one in the meantime: then that one is used.
fn write_cached(directory: &Path, path: &Path, key: KeyPair) -> Result<KeyPair, PkiError> {
    let failed = |source| PkiError::Cache { path: path.to_owned(), source };
    // A new temporary file is readable by its owner only.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(key.to_pem().as_bytes()).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(read_cached(path)?.unwrap_or(key)),
        Err(error) => Err(failed(error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: [KeyRequest<'static>; 2] = [KeyRequest::Root, KeyRequest::Participant("server")];

    #[test]
    fn servers_of_one_process_share_the_keys_of_participants_but_not_the_root() {
        let [root, server] = KeySource::Process.provide(&REQUESTS).unwrap().try_into().unwrap();
        let [other_root, other_server] = KeySource::Process.provide(&REQUESTS).unwrap().try_into().unwrap();
        assert_ne!(root, other_root);
        assert_eq!(server, other_server);
        assert_ne!(root, server);
    }

    #[test]
    fn a_pool_hands_out_what_was_supplied_and_then_makes_more() {
        let supplied = KeyPair::generate().unwrap();
        let source = KeySource::Pool(KeyPool::with_keys(vec![supplied.clone()]));
        assert_eq!(source.provide_one(KeyRequest::Root).unwrap(), supplied);
        let server = source.provide_one(KeyRequest::Participant("server")).unwrap();
        assert_ne!(server, supplied);
        assert_eq!(source.provide(&REQUESTS).unwrap(), [supplied, server]);
    }

    #[test]
    fn a_directory_keeps_keys_that_only_their_owner_can_read() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let source = KeySource::Directory(directory.path().join("keys"));
        let first = source.provide(&REQUESTS).unwrap();
        assert_eq!(source.provide(&REQUESTS).unwrap(), first);
        let file = directory.path().join("keys/participant-server.pem");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "no key").unwrap();
        assert!(matches!(source.provide(&REQUESTS), Err(PkiError::Cache { .. })));
    }

    #[test]
    fn a_key_survives_its_pem_form_and_is_not_printed() {
        let key = KeyPair::generate().unwrap();
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(KeyPair::from_pem(&pem).unwrap(), key);
        assert_eq!(format!("{key:?}"), "KeyPair(<hidden>)");
        assert!(matches!(KeyPair::from_pem("nonsense"), Err(PkiError::BadKey)));
    }
}
