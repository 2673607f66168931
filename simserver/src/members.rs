//! Which connection is reachable under which endpoint name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flare_wire::endpoint::{Answer, OutgoingRequest};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::core::Ticket;

/// What a connection is told, beside the answers it gets at once.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A late answer.
    Answer {
        /// Which request it is for.
        ticket: Ticket,
        /// The answer.
        answer: Answer,
    },
    /// A message that wants no answer.
    Notify(OutgoingRequest),
    /// Another connection has taken the endpoint name.
    Evicted,
}

/// Connections by endpoint name: one for each, the latest.
#[derive(Debug, Default)]
pub(crate) struct Members {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_name: HashMap<String, Entry>,
    joined: u64,
}

#[derive(Debug)]
struct Entry {
    /// Distinguishes this connection from one that takes the name later.
    number: u64,
    mailbox: mpsc::Sender<Mail>,
}

impl Members {
    /// Makes a connection reachable until the result is dropped. One that had the name is told to end.
    pub(crate) fn join(self: &Arc<Self>, name: &str, mailbox: mpsc::Sender<Mail>) -> Membership {
        let mut state = self.lock();
        state.joined += 1;
        let number = state.joined;
        if let Some(before) = state.by_name.insert(name.to_owned(), Entry { number, mailbox }) {
            tell(name, &before.mailbox, Mail::Evicted);
        }
        Membership { members: Arc::clone(self), name: name.to_owned(), number }
    }

    /// Tells the connection of this name something; nobody of that name is no error, for peers come and go.
    pub(crate) fn send(&self, name: &str, mail: Mail) {
        if let Some(entry) = self.lock().by_name.get(name) {
            tell(name, &entry.mailbox, mail);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(name: &str, mailbox: &mpsc::Sender<Mail>, mail: Mail) {
    if let Err(TrySendError::Full(_)) = mailbox.try_send(mail) {
        tracing::warn!(name, "a connection does not read its mail");
    }
}

/// A connection's place among the [`Members`]; dropping it gives the name up.
#[derive(Debug)]
pub(crate) struct Membership {
    members: Arc<Members>,
    name: String,
    number: u64,
}

impl Membership {
    /// The endpoint name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.members.lock();
        if state.by_name.get(&self.name).is_some_and(|entry| entry.number == self.number) {
            state.by_name.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_connection_of_a_name_is_the_one_that_counts() {
        let members = Arc::new(Members::default());
        let (first_box, mut first_mail) = mpsc::channel(4);
        let (second_box, mut second_mail) = mpsc::channel(4);
        let first = members.join("a", first_box);
        let second = members.join("a", second_box);
        assert!(matches!(first_mail.try_recv(), Ok(Mail::Evicted)));

        drop(first);
        members.send("a", Mail::Evicted);
        assert!(matches!(second_mail.try_recv(), Ok(Mail::Evicted)), "the first must not take the second with it");

        drop(second);
        members.send("a", Mail::Evicted);
        assert!(second_mail.try_recv().is_err());
    }
}
