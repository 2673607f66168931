//! Signatures that are made while the rest of a job is read, on all processors: one takes far longer than a small file.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use flare_wire::{PrivateKey, Randomness, SignatureError, TextHash};

/// A hash that is to be signed: which one it is, and where its salt comes from.
type Task = (usize, TextHash, Randomness);
type Done = (usize, Result<String, SignatureError>);

/// Signs what it is given, in threads that end with it.
pub(crate) struct Signer {
    tasks: Sender<Task>,
    done: Receiver<Done>,
    random: Randomness,
    count: usize,
}

impl Signer {
    /// Starts the threads.
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, '_>, key: &'scope PrivateKey, random: Randomness) -> Self {
        let (tasks, to_do) = channel();
        let (send_done, done) = channel();
        let to_do = Arc::new(Mutex::new(to_do));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (to_do, done) = (Arc::clone(&to_do), send_done.clone());
            scope.spawn(move || work(key, &to_do, &done));
        }
        Self { tasks, done, random, count: 0 }
    }

    /// Has a hash signed; gives the place of its signature.
    pub(crate) fn sign(&mut self, hash: TextHash) -> usize {
        let place = self.count;
        self.count += 1;
        // Nobody ends before this does.
        let _ = self.tasks.send((place, hash, self.random.fork()));
        place
    }

    /// All signatures, base64.
    pub(crate) fn finish(self) -> Result<Vec<String>, SignatureError> {
        drop(self.tasks);
        let mut signatures = vec![String::new(); self.count];
        for (place, signature) in self.done {
            signatures[place] = signature?;
        }
        Ok(signatures)
    }
}

/// Signs until there is nothing more, or nobody wants it.
fn work(key: &PrivateKey, to_do: &Mutex<Receiver<Task>>, done: &Sender<Done>) {
    loop {
        let next = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, hash, mut random)) = next else { return };
        if done.send((place, key.sign_hash_base64(&mut random, hash))).is_err() {
            return;
        }
    }
}
