//! Choices that follow from a seed.

use flare_wire::Randomness;

/// A source of choices. With the same seed and the same questions it gives the same answers.
#[derive(Debug)]
pub(super) struct Dice(Randomness);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Randomness::from_number(seed))
    }

    /// A number below `bound`; 0 when there is none.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        // The bias of the remainder is far below what the choice of lines could show.
        usize::try_from(self.0.number() % bound).unwrap_or_default()
    }

    /// True once in `times` calls on average.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len())).copied()
    }

    /// One of these texts; empty when there is none.
    pub(super) fn word(&mut self, choices: &[&str]) -> String {
        self.pick(choices).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_every_choice() {
        let rolled = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|_| dice.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(rolled(7), rolled(7));
        assert_ne!(rolled(7), rolled(8));
        assert!((0..10).all(|number| rolled(7).contains(&number)));
    }
}
