//! How long things take (S2): a histogram that every call records in, over all time and over the last seconds. A log-linear scale, sixteen
//! cells to an octave, as HdrHistogram has; a quantile is at most a thirty-second wrong.
//!
//! Cells only grow. Each [stripe](crate::stripes) has its own, made with its first record, so that what was never called is small.
//! Windows cost no second count: whoever records first in a new epoch of 5 s notes what all cells hold at that moment, and who asks
//! for the last minute takes what they held then from what they hold now.

use std::ops::AddAssign;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    fence,
};

use once_cell::race::OnceBox;

use crate::clock::{NEVER, Nanos, SECOND};
use crate::stripes::OnDemand;

/// How finely windows begin.
const EPOCH: Nanos = 5 * SECOND;
/// The longest window that may be asked for.
pub(crate) const LONGEST_WINDOW: Nanos = 60 * SECOND;
/// So many epochs begin within the longest window.
const NOTES: usize = (LONGEST_WINDOW / EPOCH) as usize + 1;

/// The scale's finest step is 64 ns: as long as it takes to look at the clock.
const UNIT_BITS: u32 = 6;
const SUB_BITS: u32 = 4;
/// Cells of an octave; the first octave is linear, from 0 on.
const SUBS: usize = 1 << SUB_BITS;
/// Up to 2^42 ns, more than an hour; what takes longer counts as that.
const LONGEST: Nanos = (1 << 42) - 1;
const CELLS: usize = cell_of(LONGEST) + 1;
const OCTAVES: usize = CELLS / SUBS;

/// Which cell a length of time is counted in.
#[inline]
const fn cell_of(length: Nanos) -> usize {
    let units = (if length < LONGEST { length } else { LONGEST }) >> UNIT_BITS;
    let octave = (63 - (units | 1 << SUB_BITS).leading_zeros()) - SUB_BITS;
    ((octave as usize) << SUB_BITS) + (units >> octave) as usize
}

/// The longest length of time that is counted in a cell.
const fn longest_of(cell: usize) -> Nanos {
    let octave = (cell >> SUB_BITS).saturating_sub(1);
    (((cell - (octave << SUB_BITS)) as Nanos + 1) << octave << UNIT_BITS) - 1
}

/// Lengths of time, counted.
#[derive(Debug)]
pub(crate) struct Durations {
    stripes: OnDemand<Cells>,
    /// When the present epoch began.
    epoch: AtomicU64,
    notes: [Note; NOTES],
    /// What cells held, by octave; none of those in which nothing was counted.
    columns: [OnceBox<Column>; OCTAVES],
}

/// No epoch has begun: of no instant of the clock's is it the present one.
const UNBEGUN: Nanos = 1 << 63;

/// What one stripe counts.
#[derive(Debug)]
struct Cells {
    sum_ns: AtomicU64,
    cells: [AtomicU64; CELLS],
}

impl Default for Cells {
    fn default() -> Cells {
        Cells { sum_ns: AtomicU64::new(0), cells: [const { AtomicU64::new(0) }; CELLS] }
    }
}

/// What was known when an epoch began.
#[derive(Debug)]
struct Note {
    /// When it did; [`NEVER`] while there is nothing to read.
    begun: AtomicU64,
    sum_ns: AtomicU64,
}

/// What the cells of an octave held at each note: the low half of it, for a window holds less than that can say.
type Column = [[AtomicU32; SUBS]; NOTES];

impl Default for Durations {
    fn default() -> Durations {
        Durations {
            stripes: OnDemand::default(),
            epoch: AtomicU64::new(UNBEGUN),
            notes: [const { Note { begun: AtomicU64::new(NEVER), sum_ns: AtomicU64::new(0) } }; NOTES],
            columns: [const { OnceBox::new() }; OCTAVES],
        }
    }
}

impl Durations {
    /// Something took so long, and ends now.
    #[inline]
    pub fn record(&self, took: Nanos, now: Nanos) {
        if now.wrapping_sub(self.epoch.load(Relaxed)) >= EPOCH {
            self.enter_epoch(now);
        }
        let mine = self.stripes.mine();
        mine.raise(|mine| &mine.sum_ns, took);
        mine.raise(|mine| &mine.cells[cell_of(took)], 1);
    }

    /// The first record of an epoch, or of a thread that was held up since an earlier one.
    #[cold]
    fn enter_epoch(&self, now: Nanos) {
        let present = self.epoch.load(Acquire);
        let begun = now - now % EPOCH;
        // Clocks that stand for time in tests may be set back; anything else is a thread that was held up.
        let is_set_back = present != UNBEGUN && present > begun;
        if present == begun || is_set_back && present - begun <= LONGEST_WINDOW {
            return;
        }
        if self.epoch.compare_exchange(present, begun, AcqRel, Relaxed).is_err() {
            return;
        }
        if is_set_back {
            self.notes.iter().for_each(|note| note.begun.store(NEVER, Relaxed));
        }
        self.note(begun);
    }

    /// What cells hold now is what they held when the epoch began. Who reads the note meanwhile sees that it is being written.
    fn note(&self, begun: Nanos) {
        let place = (begun / EPOCH) as usize % NOTES;
        let note = &self.notes[place];
        note.begun.store(NEVER, Relaxed);
        fence(Release);
        note.sum_ns.store(self.stripes.sum(|stripe| &stripe.sum_ns), Relaxed);
        for (octave, column) in self.columns.iter().enumerate() {
            let held: [u64; SUBS] =
                std::array::from_fn(|sub| self.stripes.sum(|stripe| &stripe.cells[octave * SUBS + sub]));
            if column.get().is_some() || held.iter().any(|&count| count > 0) {
                let column = column.get_or_init(|| Box::new([const { [const { AtomicU32::new(0) }; SUBS] }; NOTES]));
                for (cell, count) in column[place].iter().zip(held) {
                    cell.store(count as u32, Relaxed);
                }
            }
        }
        note.begun.store(begun, Release);
    }

    /// All that was ever recorded.
    pub fn read(&self) -> Distribution {
        let cells: Box<[u64]> = (0..CELLS).map(|cell| self.stripes.sum(|stripe| &stripe.cells[cell])).collect();
        Distribution { count: cells.iter().sum(), sum_ns: self.stripes.sum(|stripe| &stripe.sum_ns), cells }
    }

    /// What was recorded within the last `window`, of a minute at most, but for an epoch that began before it: the last 5 to 10 s
    /// of ten, the last 55 to 60 s of a minute.
    pub fn since(&self, window: Nanos, now: Nanos) -> Distribution {
        let begins = now.saturating_sub(window.min(LONGEST_WINDOW));
        loop {
            let begun = |note: &Note| Some(note.begun.load(Acquire)).filter(|&begun| begins <= begun && begun <= now);
            let first = self
                .notes
                .iter()
                .filter_map(|note| begun(note).map(|begun| (begun, note)))
                .min_by_key(|&(begun, _)| begun);
            let Some((begun, note)) = first else { return Distribution::default() };
            let place = (begun / EPOCH) as usize % NOTES;
            let sum_before = note.sum_ns.load(Relaxed);
            let before: Vec<u32> = self
                .columns
                .iter()
                .flat_map(|column| match column.get() {
                    Some(column) => column[place].each_ref().map(|cell| cell.load(Relaxed)),
                    None => [0; SUBS],
                })
                .collect();
            fence(Acquire);
            if note.begun.load(Relaxed) != begun {
                continue;
            }
            let mut since = self.read();
            since.sum_ns = since.sum_ns.wrapping_sub(sum_before);
            for (count, before) in since.cells.iter_mut().zip(before) {
                *count = (*count as u32).wrapping_sub(before).into();
            }
            since.count = since.cells.iter().sum();
            return since;
        }
    }
}

/// Lengths of time as they were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// How many.
    pub count: u64,
    /// All of them together, in nanoseconds.
    pub sum_ns: u64,
    cells: Box<[u64]>,
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { count: 0, sum_ns: 0, cells: vec![0; CELLS].into() }
    }
}

impl AddAssign<&Distribution> for Distribution {
    fn add_assign(&mut self, more: &Distribution) {
        self.count += more.count;
        self.sum_ns = self.sum_ns.wrapping_add(more.sum_ns);
        self.cells.iter_mut().zip(&more.cells).for_each(|(sum, more)| *sum += more);
    }
}

impl Distribution {
    /// What that share of them took at most, to a thirty-second, or to 32 ns where that is more; `None` of nothing.
    pub fn quantile(&self, share: f64) -> Option<Nanos> {
        let cell = self.cell_at(share)?;
        let shortest = cell.checked_sub(1).map_or(0, |before| longest_of(before) + 1);
        Some(shortest + (longest_of(cell) - shortest) / 2)
    }

    /// The same, never told too short, and too long by a sixteenth at most.
    pub fn quantile_or_longer(&self, share: f64) -> Option<Nanos> {
        self.cell_at(share).map(longest_of)
    }

    fn cell_at(&self, share: f64) -> Option<usize> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        self.cells.iter().position(|&count| {
            seen += count;
            seen >= rank
        })
    }

    /// How many took that long at most. Those of the cell in which the bound lies are counted when it is the cell's end.
    pub fn at_most(&self, bound: Nanos) -> u64 {
        let end = cell_of(bound.saturating_add(1).min(LONGEST));
        let whole = if bound >= LONGEST { CELLS } else { end };
        self.cells[..whole].iter().sum()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::thread;

    use super::*;
    use crate::clock::MILLISECOND;

    const T0: Nanos = 3000 * SECOND;
    const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

    #[test]
    fn a_cell_is_a_sixteenth_wide_at_most() {
        for bit in 10..42 {
            for length in [1 << bit, (1 << bit) + 12_345 % (1 << bit), (2 << bit) - 1] {
                let longest = longest_of(cell_of(length));
                assert!(length <= longest && longest - length <= length / 16, "{length}: {longest}");
                assert_eq!(cell_of(longest), cell_of(length));
                assert!(longest == LONGEST || cell_of(longest + 1) == cell_of(length) + 1);
            }
        }
        assert_eq!((cell_of(0), cell_of(63), cell_of(64), cell_of(NEVER)), (0, 0, 1, CELLS - 1));
    }

    #[test]
    fn a_quantile_is_at_most_a_twentieth_wrong() {
        // Lengths that spread over six orders of magnitude, as those of calls do.
        let lengths: Vec<Nanos> =
            (0..10_000).map(|n| (1_500.0 * 1.002_f64.powi(n)) as Nanos).filter(|&ns| ns < 3600 * SECOND).collect();
        let durations = Durations::default();
        lengths.iter().for_each(|&length| durations.record(length, T0));
        let told = durations.read();
        for share in (1..1000).map(|n| f64::from(n) / 1000.0) {
            let exact = lengths[(lengths.len() as f64 * share).ceil() as usize - 1] as f64;
            let (middle, longer) =
                (told.quantile(share).unwrap() as f64, told.quantile_or_longer(share).unwrap() as f64);
            assert!((middle - exact).abs() <= exact / 20.0, "{share}: {middle} for {exact}");
            assert!(longer >= exact && longer <= exact * 17.0 / 16.0, "{share}: {longer} for {exact}");
        }
        assert_eq!((told.count, told.sum_ns), (lengths.len() as u64, lengths.iter().sum()));
    }

    #[test]
    fn of_nothing_there_is_no_quantile() {
        let nothing = Durations::default();
        assert_eq!(nothing.read(), Distribution::default());
        assert_eq!(nothing.since(LONGEST_WINDOW, T0), Distribution::default());
        assert_eq!(nothing.read().quantile(0.5), None);
    }

    #[test]
    fn the_quantiles_of_one_are_that_one() {
        let durations = Durations::default();
        durations.record(20 * MILLISECOND, T0);
        let told = durations.read();
        for share in [0.0, 0.5, 0.999, 1.0] {
            assert_eq!(told.quantile(share), told.quantile(1.0));
        }
    }

    #[test]
    fn those_below_a_bound_are_counted_by_whole_cells() {
        let durations = Durations::default();
        for length in [MILLISECOND, 2 * MILLISECOND, 3 * MILLISECOND, NEVER] {
            durations.record(length, T0);
        }
        let told = durations.read();
        let cells_end = longest_of(cell_of(2 * MILLISECOND));
        for (bound, count) in
            [(0, 0), (2 * MILLISECOND, 1), (cells_end, 2), (SECOND, 3), (LONGEST - 1, 3), (LONGEST, 4), (NEVER, 4)]
        {
            assert_eq!(told.at_most(bound), count, "{bound}");
        }
    }

    #[test]
    fn a_window_begins_with_an_epoch() {
        let durations = Durations::default();
        for second in 0..100 {
            durations.record(MILLISECOND << (second / 50), T0 + second * SECOND);
            let now = T0 + second * SECOND;
            let (ten, minute) = (durations.since(10 * SECOND, now).count, durations.since(LONGEST_WINDOW, now).count);
            assert!(ten == second + 1 || (6..=11).contains(&ten), "{ten} after {second} s");
            assert!(minute == second + 1 || (56..=61).contains(&minute), "{minute} after {second} s");
        }
        // Within the last minute, forty were of 2 ms.
        let minute = durations.since(LONGEST_WINDOW, T0 + 99 * SECOND);
        assert_eq!(
            SHARES.map(|share| minute.quantile(share)),
            [durations.since(10 * SECOND, T0 + 99 * SECOND).quantile(0.5); 4]
        );
        assert!(minute.sum_ns < 2 * MILLISECOND * minute.count && durations.read().count == 100);
    }

    #[test]
    fn what_is_older_than_a_window_is_not_in_it() {
        let durations = Durations::default();
        durations.record(SECOND, T0);
        assert_eq!(durations.since(10 * SECOND, T0 + 10 * SECOND).count, 1);
        assert_eq!(durations.since(10 * SECOND, T0 + 10 * SECOND + 1).count, 0);
        assert_eq!(durations.since(LONGEST_WINDOW, T0 + 60 * SECOND).count, 1);
        assert_eq!(durations.since(LONGEST_WINDOW, T0 + 60 * SECOND + 1).count, 0);
        // After hours in which nothing came, whatever place its note has.
        for hours in 1..20 {
            let now = T0 + hours * (3600 + 5) * SECOND;
            durations.record(MILLISECOND, now);
            assert_eq!(durations.since(LONGEST_WINDOW, now).count, 1);
        }
    }

    #[test]
    fn who_was_held_up_is_counted_and_moves_nothing() {
        let durations = Durations::default();
        durations.record(SECOND, T0);
        durations.record(SECOND, T0 + 5 * SECOND);
        durations.record(SECOND, T0 + 2 * SECOND);
        assert_eq!(durations.since(5 * SECOND, T0 + 5 * SECOND).count, 3);
        assert_eq!(durations.since(5 * SECOND, T0 + 6 * SECOND).count, 2);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let durations = Durations::default();
        durations.record(SECOND, T0);
        durations.record(SECOND, SECOND);
        assert_eq!((durations.since(10 * SECOND, 2 * SECOND).count, durations.read().count), (1, 2));
    }

    #[test]
    fn many_threads_record_exactly_and_windows_lose_nothing() {
        let durations = Durations::default();
        thread::scope(|scope| {
            for thread in 0..8 {
                let durations = &durations;
                scope.spawn(move || {
                    for n in 0..20_000 {
                        durations.record((thread + 1) * 1000, T0 + n / 1000 * SECOND);
                    }
                });
            }
            // Who reads meanwhile sees no more than there is.
            for n in 0..200 {
                assert!(durations.since(10 * SECOND, T0 + n / 10 * SECOND).count <= 160_000);
            }
        });
        let all = durations.read();
        assert_eq!((all.count, all.sum_ns), (160_000, 20_000 * 1000 * 36));
        assert_eq!(durations.since(LONGEST_WINDOW, T0 + 20 * SECOND), all);
    }

    #[test]
    fn what_nothing_was_recorded_in_is_small() {
        assert!(size_of::<Durations>() <= 640, "{}", size_of::<Durations>());
    }
}
