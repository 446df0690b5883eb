//! How long a target's attempts take: a histogram over the last half to whole minute, for hedges that begin after a quantile
//! (H1). Cells of a log-linear scale, sixteen to an octave, as HdrHistogram has: a quantile is never told too short, and too long
//! by a sixteenth at most.
//!
//! Two halves of 30 s each: the present one counts, the one before is still looked at, and whoever counts first in a new half
//! clears its cells. What two threads count at that moment may be lost; a quantile does not notice.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::clock::{MILLISECOND, Nanos, SECOND};
use crate::sync::AtomicU64;

const HALF: Nanos = 30 * SECOND;
/// How many attempts must be known before there is a quantile.
const LEAST: u64 = 20;
/// A quantile that is known is looked at anew so often at most: it is asked for at every attempt.
const FRESH_FOR: Nanos = 100 * MILLISECOND;

const SUB_BITS: u32 = 4;
/// Up to 2^42 ns, more than an hour; what takes longer counts as that.
const LONGEST: Nanos = (1 << 42) - 1;
const CELLS: usize = cell_of(LONGEST) + 1;

/// Which cell a length of time is counted in.
const fn cell_of(length: Nanos) -> usize {
    let octave = (63 - (length | 1 << SUB_BITS).leading_zeros()) - SUB_BITS;
    ((octave as usize) << SUB_BITS) + (length >> octave) as usize
}

/// The longest length of time that is counted in a cell.
const fn longest_of(cell: usize) -> Nanos {
    let octave = (cell >> SUB_BITS).saturating_sub(1);
    (((cell - (octave << SUB_BITS)) as Nanos + 1) << octave) - 1
}

/// The cells of one target; made when the first proxy asks for a quantile.
#[derive(Debug)]
pub(crate) struct Cells {
    halves: [Box<[AtomicU64]>; 2],
    /// Which half of the clock's is the present one.
    latest: AtomicU64,
    /// Of each quantile that may be asked for: when it was looked at, and what it was.
    known: [(AtomicU64, AtomicU64); 100],
}

impl Default for Cells {
    fn default() -> Cells {
        let half = || (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Cells {
            halves: [half(), half()],
            latest: AtomicU64::new(0),
            known: std::array::from_fn(|_| (AtomicU64::new(0), AtomicU64::new(0))),
        }
    }
}

impl Cells {
    /// An attempt took so long; of one that was cut short, at least so long.
    pub fn count(&self, took: Nanos, now: Nanos) {
        let half = self.move_to(now);
        self.halves[half][cell_of(took.min(LONGEST))].fetch_add(1, Relaxed);
    }

    /// The present half; whoever comes first in a new one clears what is too old.
    fn move_to(&self, now: Nanos) -> usize {
        let epoch = now / HALF;
        let latest = self.latest.load(Acquire);
        if epoch > latest && self.latest.compare_exchange(latest, epoch, AcqRel, Acquire).is_ok() {
            let stale = if epoch - latest == 1 {
                &self.halves[(epoch % 2) as usize..=(epoch % 2) as usize]
            } else {
                &self.halves[..]
            };
            stale.iter().flat_map(|half| half.iter()).for_each(|cell| cell.store(0, Relaxed));
        }
        (epoch % 2) as usize
    }

    /// What that many hundredths of the attempts took at most; `None` while too few are known.
    pub fn quantile(&self, hundredths: u8, now: Nanos) -> Option<Nanos> {
        let (looked_at, known) = &self.known[usize::from(hundredths) % 100];
        let (since, last) = (looked_at.load(Acquire), known.load(Relaxed));
        if since != 0 && now.saturating_sub(since) < FRESH_FOR && last != 0 {
            return Some(last);
        }
        let found = self.look(hundredths, now);
        known.store(found.unwrap_or(0), Relaxed);
        looked_at.store(now, Release);
        found
    }

    fn look(&self, hundredths: u8, now: Nanos) -> Option<Nanos> {
        self.move_to(now);
        let counts = || (0..CELLS).map(|cell| self.halves.iter().map(|half| half[cell].load(Relaxed)).sum::<u64>());
        let all: u64 = counts().sum();
        if all < LEAST {
            return None;
        }
        let rank = (all * u64::from(hundredths)).div_ceil(100).max(1);
        let mut seen = 0;
        counts()
            .position(|count| {
                seen += count;
                seen >= rank
            })
            .map(longest_of)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const T0: Nanos = 3000 * SECOND;

    #[test]
    fn a_cell_is_a_sixteenth_wide_at_most() {
        for length in
            (0..5000).chain((5..42).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 12_345 % (1 << bit)]))
        {
            let longest = longest_of(cell_of(length));
            assert!(length <= longest && longest - length <= length / 16, "{length}: {longest}");
            assert_eq!(cell_of(longest), cell_of(length));
            assert_eq!(cell_of(longest + 1), cell_of(length) + 1);
        }
    }

    #[test]
    fn a_quantile_is_what_so_many_attempts_took_at_most() {
        let cells = Cells::default();
        for ms in 1..=100 {
            cells.count(ms * MILLISECOND, T0);
        }
        for (hundredths, ms) in [(50, 50), (90, 90), (95, 95), (99, 99)] {
            let exact = ms * MILLISECOND;
            let told = cells.quantile(hundredths, T0).unwrap();
            assert!(told >= exact && told <= exact + exact / 16, "p{hundredths} is {told}");
        }
    }

    #[test]
    fn too_few_attempts_have_no_quantile() {
        let cells = Cells::default();
        for _ in 0..LEAST - 1 {
            cells.count(MILLISECOND, T0);
        }
        assert_eq!(cells.quantile(95, T0), None);
        cells.count(MILLISECOND, T0);
        assert!(cells.quantile(95, T0).is_some());
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let cells = Cells::default();
        for _ in 0..LEAST {
            cells.count(SECOND, T0);
        }
        assert!(cells.quantile(95, T0 + HALF).is_some());
        assert_eq!(cells.quantile(95, T0 + 2 * HALF), None);
        for _ in 0..LEAST {
            cells.count(MILLISECOND, T0 + 2 * HALF);
        }
        assert_eq!(cells.quantile(95, T0 + 2 * HALF), Some(longest_of(cell_of(MILLISECOND))));
    }
}
