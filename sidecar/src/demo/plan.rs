//! Which request meets which misbehaviour. A plan is a pure function of its seed and the request's number, so the same seed
//! gives the same plan however the clients' requests interleave. What an act does on the wire is in `api.rs` and `server.rs`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::dice::Dice;

/// What becomes of one request for a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Charged and answered.
    Answer,
    /// Charged at once, answered only after that time.
    Slow(Duration),
    /// Not charged: 503, perhaps with `Retry-After` in seconds.
    Unavailable(Option<u32>),
    /// The connection is reset in the middle of the response. If charged, a retry under another key would charge twice.
    Reset {
        /// Whether the order was charged before the answer was lost.
        charged: bool,
    },
    /// No answer ever comes.
    Hang {
        /// Whether the order was charged before the server fell silent.
        charged: bool,
    },
    /// Not charged: the connection is reset, and new ones are refused for that time.
    Refuse(Duration),
}

/// How many of a hundred requests meet each misbehaviour; the rest are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    slow: u8,
    unavailable: u8,
    reset: u8,
    hang: u8,
    refuse: u8,
}

impl Mix {
    /// Every request is answered at once.
    pub const CALM: Mix = Mix { slow: 0, unavailable: 0, reset: 0, hang: 0, refuse: 0 };
}

impl Default for Mix {
    /// About one request in four fails: enough for a retry every few calls, and for six attempts to succeed practically always.
    fn default() -> Mix {
        Mix { slow: 8, unavailable: 7, reset: 6, hang: 3, refuse: 1 }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mix { slow, unavailable, reset, hang, refuse } = self;
        write!(f, "slow={slow},unavailable={unavailable},reset={reset},hang={hang},refuse={refuse}")
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `slow=8,reset=6`: percent of requests; kinds not named are off.
    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix = Mix::CALM;
        for part in text.split(',') {
            let (kind, percent) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form kind=percent"))?;
            let share = match kind.trim() {
                "slow" => &mut mix.slow,
                "unavailable" => &mut mix.unavailable,
                "reset" => &mut mix.reset,
                "hang" => &mut mix.hang,
                "refuse" => &mut mix.refuse,
                _ => {
                    return Err(format!(
                        "`{kind}` is no misbehaviour; there are slow, unavailable, reset, hang and refuse"
                    ));
                }
            };
            *share =
                percent.trim().parse().ok().filter(|percent| *percent <= 100).ok_or_else(|| {
                    format!("{kind}: `{percent}` is not allowed; expected a whole number from 0 to 100")
                })?;
        }
        let sum: u32 = mix.shares().iter().map(|share| u32::from(*share)).sum();
        if sum > 100 {
            return Err(format!("the percentages come to {sum}; expected at most 100 together"));
        }
        Ok(mix)
    }
}

impl Mix {
    fn shares(self) -> [u8; 5] {
        [self.slow, self.unavailable, self.reset, self.hang, self.refuse]
    }
}

/// A seeded plan.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    seed: u64,
    mix: Mix,
}

impl Plan {
    /// The plan of that seed.
    pub fn new(seed: u64, mix: Mix) -> Plan {
        Plan { seed, mix }
    }

    /// What becomes of request `number`, counted from 1.
    pub fn act(&self, number: u64) -> Act {
        let mut dice = Dice::of(self.seed, number);
        let mut roll = dice.below(100);
        let shares = self.mix.shares();
        let kind = shares.iter().position(|share| {
            let share = u64::from(*share);
            let hit = roll < share;
            roll = roll.saturating_sub(share);
            hit
        });
        match kind {
            // Some within a client's patience of 400 ms, some beyond it.
            Some(0) => Act::Slow(Duration::from_millis(100 + dice.below(601))),
            Some(1) => Act::Unavailable(match dice.below(8) {
                0..4 => None,
                4..7 => Some(0),
                _ => Some(1),
            }),
            Some(2) => Act::Reset { charged: dice.below(2) == 0 },
            Some(3) => Act::Hang { charged: dice.below(2) == 0 },
            // Short enough that a client with a backoff of some hundred milliseconds outlives it.
            Some(4) => Act::Refuse(Duration::from_millis(80 + dice.below(121))),
            _ => Act::Answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(seed: u64, mix: Mix) -> Vec<Act> {
        (1..=2000).map(|number| Plan::new(seed, mix).act(number)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(acts(1, Mix::default()), acts(1, Mix::default()));
        assert_ne!(acts(1, Mix::default()), acts(2, Mix::default()));
        assert_ne!(acts(1, Mix::default())[1..], acts(2, Mix::default())[..1999], "no plan is another one shifted");
    }

    #[test]
    fn every_misbehaviour_comes_about_as_often_as_asked() {
        let acts = acts(1, Mix::default());
        let percent = |is: fn(&Act) -> bool| acts.iter().filter(|act| is(act)).count() as f64 / 20.0;
        for (found, asked) in [
            (percent(|act| *act == Act::Answer), 75.0),
            (percent(|act| matches!(act, Act::Slow(_))), 8.0),
            (percent(|act| matches!(act, Act::Unavailable(_))), 7.0),
            (percent(|act| matches!(act, Act::Reset { .. })), 6.0),
            (percent(|act| matches!(act, Act::Hang { .. })), 3.0),
            (percent(|act| matches!(act, Act::Refuse(_))), 1.0),
        ] {
            assert!((found - asked).abs() < 2.5, "{found} % found, {asked} % asked");
        }
        for act in [
            Act::Unavailable(None),
            Act::Unavailable(Some(0)),
            Act::Unavailable(Some(1)),
            Act::Reset { charged: true },
            Act::Reset { charged: false },
            Act::Hang { charged: true },
            Act::Hang { charged: false },
        ] {
            assert!(acts.contains(&act), "{act:?} never comes");
        }
    }

    #[test]
    fn a_calm_plan_only_answers() {
        assert!(acts(1, Mix::CALM).iter().all(|act| *act == Act::Answer));
    }

    #[test]
    fn a_kind_not_named_is_off() {
        let all_reset: Mix = "reset=100".parse().unwrap();
        assert!(acts(1, all_reset).iter().all(|act| matches!(act, Act::Reset { .. })));
    }

    #[test]
    fn a_mix_reads_what_it_writes() {
        assert_eq!(Mix::default().to_string().parse(), Ok(Mix::default()));
    }

    #[test]
    fn a_wrong_mix_says_what_is_wrong() {
        for (text, message) in [
            ("slow", "`slow` is not of the form kind=percent"),
            ("rude=1", "`rude` is no misbehaviour"),
            ("slow=101", "slow: `101` is not allowed"),
            ("slow=-1", "slow: `-1` is not allowed"),
            ("slow=60,hang=60", "come to 120"),
        ] {
            let error = text.parse::<Mix>().unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
