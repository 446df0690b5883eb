//! A call and the endpoints of its target: where its attempts go (E1, E2), and what it does while there are none to choose from
//! (E4). Who is chosen, [`balance`](crate::balance) says.

use super::*;

impl Call {
    /// The same, with what its endpoint is found by where that is chosen by a key (E1).
    pub(crate) fn keyed(self, key: &[u8]) -> Call {
        Call { key: hash(key).max(1), ..self }
    }

    /// Where the running attempt goes, of several the newest.
    #[inline]
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Which number it waits under for the first endpoints.
    pub(crate) fn seeking_number(&self) -> Option<u64> {
        (self.phase == Phase::Seeking).then_some(self.number)
    }

    /// Where the attempt of that number goes, while it runs.
    pub(crate) fn place_of(&self, state: &State, number: u32) -> Place {
        if number == self.attempt {
            return self.place;
        }
        let place = |race: &mut Race| race.racers.iter().find(|racer| racer.number == number).map(|racer| racer.place);
        state.races.with(self.race, place).flatten().unwrap_or_default()
    }

    /// E4: the first endpoints are being looked for, and are waited for as long as an attempt may take.
    #[cold]
    pub(super) fn seek(&mut self, rules: Rules<'_>, now: Nanos) -> Decision {
        let until = bound(rules.policy, self.entered, now);
        self.wait(Phase::Seeking, rules.state.endpoints.await_set(), until)
    }

    /// O2: where the attempt goes that begins now. `false` when it can go nowhere; then the breaker's leave is given back.
    pub(super) fn find_endpoint(&mut self, rules: Rules<'_>, now: Nanos) -> bool {
        match rules.state.choose(rules.shared, self.tried, self.key, now) {
            Choice::There(place) => {
                // E2: all have been tried, and another round begins.
                if self.tried & place.bit() != 0 {
                    self.tried = 0;
                }
                self.place = place;
                self.tried |= place.bit();
                true
            }
            Choice::Nowhere => {
                self.permit.take().into_iter().for_each(|permit| rules.state.breaker.let_go(permit));
                false
            }
        }
    }
}
