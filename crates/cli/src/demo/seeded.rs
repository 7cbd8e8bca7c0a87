//! A small generator of numbers that are the same in every run (`SplitMix64`).
//!
//! It makes sample rows and nothing else: never keys, never ids of calls.

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    state: u64,
}

impl Seeded {
    /// A generator whose numbers follow from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number from 0 to `bound - 1`; 0 if `bound` is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u32::try_from(high).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `from`, each as likely as another; the default of `T` if there is none.
    pub(super) fn pick<T: Clone + Default>(&mut self, from: &[T]) -> T {
        let at = self.below(u32::try_from(from.len()).unwrap_or(u32::MAX));
        usize::try_from(at).ok().and_then(|at| from.get(at)).cloned().unwrap_or_default()
    }

    /// One of `from`, each as often as its weight says.
    pub(super) fn weighted(&mut self, from: &[(&'static str, u32)]) -> &'static str {
        let mut left = self.below(from.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in from {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        ""
    }

    /// Brings `items` into an order that follows from the seed (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            items.swap(last, usize::try_from(self.below(bound)).unwrap_or(last));
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reference implementation yields first for the seed 1234567.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut seeded = Seeded::new(1_234_567);
        let numbers: Vec<u64> = std::iter::repeat_with(|| seeded.next()).take(3).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_both_ends() {
        let mut seeded = Seeded::new(7);
        let numbers: Vec<u32> = std::iter::repeat_with(|| seeded.between(3, 5)).take(200).collect();
        assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&3), Some(&5)));
        assert_eq!(seeded.below(0), 0);
    }

    #[test]
    fn a_weight_of_nothing_is_never_picked() {
        let mut seeded = Seeded::new(7);
        for _ in 0..100 {
            assert_eq!(seeded.weighted(&[("never", 0), ("always", 1)]), "always");
        }
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<u32> = (0..50).collect();
        Seeded::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
