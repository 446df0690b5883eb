//! Hedging: attempts of one call that run at once (H1). The first success is the call's, and so is a failure that may not be
//! tried again; of the others, the last that fails is. Whoever still runs then is lost: recorded as cancelled, here and now,
//! whatever becomes of it.
//!
//! In virtual time attempts run one after the other, each from its own beginning: the clock goes back to where the next one
//! begins, and what they bring is told in the order in which they would have ended.

use super::*;

impl Call {
    /// The number of the attempt that ended last: of several that ran at once, whose value or error the call ends with.
    pub const fn ended(&self) -> u32 {
        self.ended as u32
    }

    /// H1: whether another attempt begins now, beside those that run.
    pub(crate) fn hedge(&mut self, rules: Rules<'_>, now: Nanos) -> Hedge {
        match self.hedge_at(rules, now) {
            NEVER => Hedge::Never,
            at if now < at => Hedge::At(at),
            // Asked late.
            _ if now >= self.deadline(rules.policy) => Hedge::Never,
            _ if self.begin_hedge(rules, now) => Hedge::Run,
            _ => Hedge::Never,
        }
    }

    /// When the next one begins.
    fn hedge_at(&self, rules: Rules<'_>, now: Nanos) -> Nanos {
        let Rules { policy, state, .. } = rules;
        // C1: a hedge is an attempt.
        let may = |max: u32| u32::from(self.hedges) < max && self.attempt < policy.max_retries;
        let Some(hedge) = policy.hedge.filter(|hedge| self.phase == Phase::Running && may(hedge.max)) else {
            return NEVER;
        };
        let after = match hedge.after {
            After::Fixed(length) => Some(length),
            After::Quantile(hundredths) => state.quantile(hundredths, now),
        };
        let at = after.map_or(NEVER, |after| self.started.saturating_add(after));
        if at < self.deadline(policy) { at } else { NEVER }
    }

    /// One begins, unless the breaker or the budget is against it; then none does beside the attempts that run.
    fn begin_hedge(&mut self, rules: Rules<'_>, now: Nanos) -> bool {
        let Rules { policy, shared, state } = rules;
        let Ok(permit) = ask_the_breaker(rules, now) else {
            self.hedges = NO_MORE;
            return false;
        };
        let no_more = |call: &mut Call| {
            permit.into_iter().for_each(|permit| state.breaker.let_go(permit));
            call.hedges = NO_MORE;
            false
        };
        let choice = match state.endpoints.is_on() {
            true => state.choose(shared, self.tried, self.key, now),
            false => Choice::There(Place::NONE),
        };
        let Choice::There(place) = choice else { return no_more(self) };
        // R5
        if shared.budget.as_ref().is_some_and(|budget| !state.budget.take(budget, now)) {
            state.endpoints.let_go(place);
            return no_more(self);
        }
        if self.race == 0 {
            let first = Racer { permit: self.permit.take(), ..self.newest() };
            self.race = state.races.begin(first);
        }
        self.place = place;
        self.tried |= if place.is_none() { 0 } else { place.bit() };
        let after = now.saturating_sub(self.started);
        self.attempt += 1;
        self.hedges += 1;
        self.started = now;
        self.until = bound(policy, self.entered, now);
        state.races.with(self.race, |race| race.racers.push(Racer { permit, ..self.newest() }));
        state.hedges.fetch_add(1, Relaxed);
        state.tell(Level::DEBUG, || Event::Hedge { attempt: self.attempt, after });
        true
    }

    /// The newest attempt, without the breaker's leave.
    #[inline]
    pub(super) fn newest(&self) -> Racer {
        let Call { attempt: number, started, until, place, .. } = *self;
        Racer { number, started, until, permit: None, place, ended: None }
    }

    /// An attempt of a call that may be hedged has ended.
    pub(crate) fn settle_hedged(
        &mut self,
        rules: Rules<'_>,
        number: u32,
        now: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> Decision {
        if testing::instant().is_some() && number == self.attempt {
            self.settle_in_virtual_time(rules, now, outcome, hint)
        } else if self.race != 0 {
            self.settle_racer(rules, number, now, outcome, hint)
        } else if number == self.attempt {
            self.settle(rules, now, outcome, hint)
        } else {
            Decision::Await
        }
    }

    /// One of the attempts that run at once has.
    fn settle_racer(
        &mut self,
        rules: Rules<'_>,
        number: u32,
        now: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> Decision {
        let state = rules.state;
        let Some(racer) = state.races.with(self.race, |race| take(&mut race.racers, number)).flatten() else {
            // It was recorded before; the others are waited for.
            return Decision::Await;
        };
        let late = is_late(racer.until, now, outcome);
        if late {
            state.late.fetch_add(1, Relaxed);
        }
        self.last = if late || outcome == Outcome::Overdue { Outcome::Timeout } else { outcome };
        self.ended = number as u8;
        self.record_timed(rules, &racer, self.last, now);
        match self.last {
            Outcome::Ok => self.win(rules, now, Give::Value, Stop::Ok),
            Outcome::Fail => self.win(rules, now, Give::LastError, Stop::NotRetryable),
            Outcome::Cancelled => self.win(rules, now, Give::LastError, Stop::Cancelled),
            Outcome::Timeout if outcome == Outcome::Overdue => {
                let (give, stop) = self.overdue(rules.policy, now);
                self.win(rules, now, give, stop)
            }
            _ => {
                let hint = hint.filter(|_| !late).unwrap_or(0);
                let others = state.races.with(self.race, |race| {
                    race.hint = race.hint.max(hint);
                    !race.racers.is_empty()
                });
                if others == Some(true) {
                    return Decision::Await;
                }
                let race = state.races.end(std::mem::take(&mut self.race));
                self.place = Place::NONE;
                self.after_failure(rules, now, Some(race.hint))
            }
        }
    }

    fn win(&mut self, rules: Rules<'_>, now: Nanos, give: Give, stop: Stop) -> Decision {
        let last = self.last;
        let lost = self.lose_others(rules, now);
        // They would have taken longer still. What its caller stops says nothing of the target.
        if last != Outcome::Cancelled {
            for racer in &lost {
                let ran = now.saturating_sub(racer.started);
                rules.state.took(ran, now);
                rules.state.endpoints.raise(racer.place, ran, now);
            }
        }
        self.last = last;
        self.finish(rules, now, give, stop)
    }

    /// Whoever still runs is recorded as cancelled; who that was.
    pub(super) fn lose_others(&mut self, rules: Rules<'_>, now: Nanos) -> Vec<Racer> {
        let lost = rules.state.races.end(std::mem::take(&mut self.race)).racers;
        for racer in &lost {
            self.record_timed(rules, racer, Outcome::Cancelled, now);
        }
        self.place = Place::NONE;
        self.last = Outcome::Cancelled;
        lost
    }

    /// In virtual time, the newest attempt of a call that may be hedged has run to its end, perhaps beyond the instant at which
    /// another would have begun beside it: then that one runs now, from that instant on.
    fn settle_in_virtual_time(
        &mut self,
        rules: Rules<'_>,
        now: Nanos,
        outcome: Outcome,
        hint: Option<Nanos>,
    ) -> Decision {
        let is_alone = self.race == 0;
        let is_late = is_late(self.until, now, outcome);
        // T1: whoever waits for it goes on at its bound.
        let end = if is_late { self.until } else { now };
        if is_alone && self.hedge_at(rules, now) >= end {
            return self.settle(rules, now, outcome, hint);
        }
        let outcome = if is_late { Outcome::Timeout } else { outcome };
        let ended = Some(Ended { at: end, outcome, hint: hint.filter(|_| !is_late).unwrap_or(0), is_late });
        if is_alone {
            self.race = rules.state.races.begin(Racer { permit: self.permit.take(), ended, ..self.newest() });
        } else {
            rules.state.races.with(self.race, |race| {
                race.racers
                    .iter_mut()
                    .filter(|racer| racer.number == self.attempt)
                    .for_each(|racer| racer.ended = ended);
            });
        }
        self.tell_in_order(rules)
    }

    /// What happens next in virtual time, until the host has something to do.
    fn tell_in_order(&mut self, rules: Rules<'_>) -> Decision {
        loop {
            let first = rules.state.races.with(self.race, |race| {
                race.racers
                    .iter()
                    .filter_map(|racer| Some((racer.ended?, racer.number)))
                    .min_by_key(|(ended, _)| ended.at)
            });
            let Some((ended, number)) = first.flatten() else { return Decision::Await };
            let at = self.hedge_at(rules, self.started);
            if at < ended.at {
                testing::go_back(at);
                if self.begin_hedge(rules, at) {
                    return Decision::Run;
                }
                continue;
            }
            testing::go_back(ended.at);
            if ended.is_late {
                rules.state.late.fetch_add(1, Relaxed);
            }
            let decision = self.settle_racer(rules, number, ended.at, ended.outcome, Some(ended.hint));
            if decision != Decision::Await {
                return decision;
            }
        }
    }
}

fn take(racers: &mut Vec<Racer>, number: u32) -> Option<Racer> {
    racers.iter().position(|racer| racer.number == number).map(|at| racers.remove(at))
}
