//! A decision on its way out of the [guard](crate::fault::guard): as two numbers, which are handed over in registers. A
//! [`Decision`] is written part by part; read as a whole right after that, it is waited for, and that takes longer than to decide.

use super::{Code, Decision, Give, Stop};

#[derive(Clone, Copy)]
pub(crate) struct Flat(u64, u32);

impl Flat {
    #[inline]
    pub fn of(decision: Decision) -> Flat {
        match decision {
            Decision::Run => Flat(0, 0),
            Decision::Await => Flat(0, 1),
            Decision::WaitUntil(at) => Flat(at, 2),
            Decision::Finish(Give::Value, stop) => Flat(0, 3 | (stop as u32) << 8),
            Decision::Finish(Give::LastError, stop) => Flat(1, 3 | (stop as u32) << 8),
            Decision::Finish(Give::Error(code), stop) => Flat(2 + code as u64, 3 | (stop as u32) << 8),
        }
    }

    #[inline]
    pub fn decision(self) -> Decision {
        let Flat(number, kind) = self;
        match kind as u8 {
            0 => Decision::Run,
            1 => Decision::Await,
            2 => Decision::WaitUntil(number),
            _ => {
                let give = match number {
                    0 => Give::Value,
                    1 => Give::LastError,
                    code => Give::Error(Code::ALL[code as usize - 2]),
                };
                Decision::Finish(give, Stop::ALL[(kind >> 8) as usize])
            }
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn every_decision_comes_out_as_it_went_in() {
        let gives = Code::ALL.iter().map(|&code| Give::Error(code)).chain([Give::Value, Give::LastError]);
        let ends = gives.flat_map(|give| Stop::ALL.map(|stop| Decision::Finish(give, stop)));
        let waits = [0, 1, u64::MAX].map(Decision::WaitUntil);
        for decision in ends.chain(waits).chain([Decision::Run, Decision::Await]) {
            assert_eq!(Flat::of(decision).decision(), decision);
        }
    }
}
