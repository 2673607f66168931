//! What was verified once and need not be again.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Verified things that are kept, so that not every message costs an RSA operation: more than there are connections
/// at a time. When there are more, the oldest is verified again at its next use.
const MAX_REMEMBERED: usize = 4096;

/// Things whose signature was found good, with what was read from them.
pub(super) struct Remembered<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    /// What is known of `key`, or what `check` finds; nothing is kept when it finds nothing.
    pub(super) fn get_or_check<Q>(&mut self, key: &Q, check: impl FnOnce(&Q) -> Option<V>) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if !self.known.contains_key(key) {
            let value = check(key)?;
            if self.order.len() >= MAX_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(oldest.borrow());
            }
            self.known.insert(key.to_owned(), value);
            self.order.push_back(key.to_owned());
        }
        self.known.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_is_checked_again() {
        let mut remembered: Remembered<usize, usize> = Remembered::default();
        for number in 0..=MAX_REMEMBERED {
            assert_eq!(remembered.get_or_check(&number, |number| Some(number + 1)), Some(&(number + 1)));
        }
        assert_eq!(remembered.get_or_check(&0, |_| None), None);
        assert_eq!(remembered.get_or_check(&1, |_| None), Some(&2));
        assert_eq!(remembered.get_or_check(&MAX_REMEMBERED, |_| None), Some(&(MAX_REMEMBERED + 1)));
    }
}
