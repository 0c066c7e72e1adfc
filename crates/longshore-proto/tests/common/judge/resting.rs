//! What holds when a session waits, and how often it may be woken.
//!
//! Not inside: what holds at each line and each output.

use longshore_proto::limits::{URGENT_EXTRA_FACTOR, WAITING_LIMIT_BYTES, WAITING_LIMIT_COMMANDS};
use longshore_proto::server::{Moment, Session, Takes};
use longshore_proto::verbs::Verb;

use super::super::known::Asked;
use super::Judge;

impl Judge {
    /// All outputs were taken and all that could be answered was: the session waits.
    pub fn rest(&mut self, session: &Session) {
        if let Some(verb) = self.overtaker.take() {
            self.violations.push(format!("{} was not answered at once", verb.name()));
        }
        let must_release = std::mem::take(&mut self.must_release);
        self.demand(!must_release, || "a refused upload left the data connection open".to_owned());
        let gone = self.farewell.is_none() || self.closed;
        self.demand(gone, || "a 421 without Close".to_owned());
        let closed = self.closed;
        self.demand(closed == session.is_closed(), || format!("Close was said: {closed}"));
        if closed {
            self.demand(session.deadline().is_none(), || "a deadline after Close".to_owned());
            return;
        }
        let busy = !self.unanswered.is_empty();
        self.demand(busy || !self.drained, || "goes on although the server drains".to_owned());
        let banned = self.banned;
        self.demand(!banned, || "goes on although its address is banned".to_owned());
        if self.under_way.is_empty() {
            let deadline = session.deadline();
            self.demand(deadline.is_some(), || "waits for nothing, for ever".to_owned());
            let held_back =
                self.unanswered.front().is_some_and(|front| front.asked == Asked::Verb(Verb::Pass));
            let idle = self.unanswered.is_empty() || held_back || self.held;
            let unanswered = self.unanswered.len();
            self.demand(idle, || format!("{unanswered} commands wait for nothing"));
        }
        self.check_back_pressure(session);
    }

    fn check_back_pressure(&mut self, session: &Session) {
        let commands = self.unanswered.len().saturating_sub(1);
        let bytes: usize = self.unanswered.iter().skip(1).map(|waiting| waiting.bytes).sum();
        let factor = if self.urgent { URGENT_EXTRA_FACTOR } else { 1 };
        // While held the first of them may not have begun either.
        let first = self.unanswered.front().filter(|_| self.held);
        let most = commands + usize::from(first.is_some());
        let most_bytes = bytes + first.map_or(0, |first| first.bytes);
        let few = most < WAITING_LIMIT_COMMANDS && most_bytes < WAITING_LIMIT_BYTES;
        let many = commands >= WAITING_LIMIT_COMMANDS * factor || bytes >= WAITING_LIMIT_BYTES * factor;
        let takes = session.takes() == Takes::Lines;
        if self.guard.begins() {
            return self.demand(!takes, || "takes lines while TLS begins".to_owned());
        }
        let ending = self.quitting || self.lost;
        self.demand(!few || takes, || format!("takes nothing, though only {commands} of {bytes} bytes wait"));
        self.demand(!many || !takes || ending, || {
            format!("takes lines, though {commands} of {bytes} bytes wait")
        });
    }

    /// A time-out is about to be handed in.
    pub fn wake(&mut self) {
        self.waking = true;
        self.guard.woken = self.guard.begins();
    }

    /// A time-out was handed in and all that came of it carried out.
    pub fn woken(&mut self, session: &Session, now: Moment) {
        self.waking = false;
        self.guard.woken = false;
        // One time-out may make another due, but a driver must not turn in circles.
        let late = session.deadline().filter(|at| *at <= now);
        self.wakes = if late.is_some() { self.wakes + 1 } else { 0 };
        let turns = self.wakes >= 3;
        self.demand(!turns, || format!("after three time-outs at {now:?} the next is due at {late:?}"));
    }
}
