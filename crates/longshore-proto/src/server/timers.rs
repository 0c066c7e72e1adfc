//! When a session must be woken, and what it does then: idle, slow to log in, or past a moment it waited for.
//!
//! Not inside: a clock. Time comes in with every [`Input`](super::Input).

use super::login::Login;
use super::session::{Session, Stage};
use super::transfer::Stop;
use super::{Ending, Moment};
use crate::reply::{Reply, Situation};

/// Since when, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    pub(super) last_activity: Moment,
    pub(super) login_began: Moment,
    /// When an upload whose control connection is gone must have ended.
    pub(super) grace_ends: Option<Moment>,
    pub(super) failed_logins: u32,
}

impl Session {
    /// When [`Input::Timeout`](super::Input::Timeout) is due, if nothing happens before.
    pub fn deadline(&self) -> Option<Moment> {
        let login = match (&self.login, &self.stage) {
            (_, Stage::Closed) => return None,
            // A refusal that is held back is said before the time is looked at, and TLS has a time of its own.
            (_, Stage::AwaitDelay { .. } | Stage::AwaitTls { .. }) => None,
            (Login::Out { .. }, _) => Some(self.timers.login_began + self.policy.login_timeout),
            (Login::In(_), _) => None,
        };
        let stage = match &self.stage {
            Stage::Idle => Some(self.timers.last_activity + self.policy.idle_timeout),
            Stage::AwaitDelay { until, .. } | Stage::AwaitTls { until, .. } => Some(*until),
            Stage::Transfer(transfer) => transfer.deadline(),
            _ => None,
        };
        let arrangement = if self.arrangement_is_in_use() { None } else { self.arrangement.deadline() };
        [login, stage, arrangement, self.timers.grace_ends].into_iter().flatten().min()
    }

    /// A port in use by the running transfer expires with it, and one that is being replaced by its replacement,
    /// not by their own time.
    fn arrangement_is_in_use(&self) -> bool {
        matches!(self.stage, Stage::Transfer(_) | Stage::AwaitReservation { .. })
    }

    pub(super) fn handle_timeout(&mut self) {
        if self.handshake_is_overdue(self.now) {
            return self.close(Ending::TlsFailed);
        }
        if !self.arrangement_is_in_use() {
            let held = self.arrangement.expire(self.now);
            self.let_go(held);
        }
        if matches!(self.login, Login::Out { .. })
            && self.timers.login_began + self.policy.login_timeout <= self.now
            && !matches!(self.stage, Stage::AwaitDelay { .. } | Stage::AwaitTls { .. })
        {
            let seconds = self.policy.login_timeout.as_secs();
            return self.say_goodbye(Reply::new(Situation::LoginTimeout).with("seconds", seconds));
        }
        match &mut self.stage {
            Stage::Idle if self.timers.last_activity + self.policy.idle_timeout <= self.now => {
                let seconds = self.policy.idle_timeout.as_secs();
                self.say_goodbye(Reply::new(Situation::Idle).with("seconds", seconds));
            }
            Stage::AwaitDelay { until, user } if *until <= self.now => {
                let user = std::mem::take(user);
                self.refuse_login(user);
            }
            Stage::Transfer(_) => {
                if self.timers.grace_ends.is_some_and(|at| at <= self.now) {
                    self.timers.grace_ends = None;
                    self.stop_transfer(Stop::ControlLost);
                }
                self.step_transfer(|transfer, session| transfer.handle_timeout(session));
            }
            _ => {}
        }
    }

    pub(super) fn restart_login_timer(&mut self) {
        self.timers.login_began = self.now;
    }
}
