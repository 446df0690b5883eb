//! Random numbers from a seed: the same seed gives the same numbers on every machine. For plans and models; the waits between
//! attempts are drawn by the core itself.

use ambassador_core::clock::Nanos;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Dice {
    /// Those of that seed and that number: of a request, a client, a run.
    pub fn of(seed: u64, number: u64) -> Dice {
        // The seed goes through the mixer first: neighbouring seeds must not give the same numbers shifted by one.
        let mut seeded = Dice(seed);
        Dice(seeded.bits() ^ number.wrapping_mul(GAMMA))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A length of time as between events that know nothing of each other, of that mean.
    pub fn exponential(&mut self, mean: f64) -> Nanos {
        (-self.above_zero().ln() * mean) as Nanos
    }

    /// A length of time around `mean`, as a bell curve has it; never below zero.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> Nanos {
        // Box and Muller, 1958.
        let (radius, angle) = ((-2.0 * self.above_zero().ln()).sqrt(), self.above_zero() * std::f64::consts::TAU);
        (mean + deviation * radius * angle.cos()).abs() as Nanos
    }

    /// Above 0, at most 1: a logarithm can be taken of it.
    fn above_zero(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation of many.
    fn measured(mut draw: impl FnMut() -> Nanos) -> (f64, f64) {
        let drawn: Vec<f64> = (0..100_000).map(|_| draw() as f64).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn lengths_have_the_mean_and_the_spread_that_was_asked_for() {
        let mut dice = Dice::of(1, 1);
        let (mean, deviation) = measured(|| dice.exponential(50e6));
        assert!((mean / 50e6 - 1.0).abs() < 0.02 && (deviation / 50e6 - 1.0).abs() < 0.02, "{mean} {deviation}");
        let (mean, deviation) = measured(|| dice.normal(10e6, 2e6));
        assert!((mean / 10e6 - 1.0).abs() < 0.02 && (deviation / 2e6 - 1.0).abs() < 0.02, "{mean} {deviation}");
    }
}
