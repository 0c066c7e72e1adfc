//! How a session ends: the client leaves or is gone, or the server wants to end; and the last words.
//!
//! Not inside: what QUIT answers ([`commands`](super::commands)), and the moments at which patience ends
//! ([`timers`](super::timers)).

use std::time::Duration;

use super::session::{Session, Stage};
use super::transfer::Stop;
use super::waiting::Waiting;
use super::{Ending, Event, Output};
use crate::limits::LOST_CONTROL_GRACE_SECONDS;
use crate::reply::{Reply, Situation};

/// What is left of the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Open {
        first_line: bool,
    },
    /// QUIT was read: what waits is finished, what follows is not looked at.
    Quitting,
    /// The client closed without QUIT, or the connection broke.
    Lost(Ending),
}

impl Session {
    /// The client is gone, or will at least say nothing more.
    pub(super) fn lose_control(&mut self, ending: Ending) {
        // Whoever said QUIT has said all: what was asked before it is finished, heard or not.
        if self.control == Control::Quitting {
            return;
        }
        if let Control::Lost(_) = self.control {
            if ending == Ending::Reset {
                self.waiting.clear();
                self.stop_transfer(Stop::ControlLost);
            }
            return;
        }
        self.control = Control::Lost(ending);
        if ending == Ending::Closed {
            // It may still read: what it asked for is done, transfers that have not begun excepted.
            self.waiting.abort();
        } else {
            self.waiting.clear();
        }
        let Stage::Transfer(transfer) = &self.stage else {
            return;
        };
        // Cameras close both connections at once, some before they have read the mark: an upload may still end in
        // order.
        if ending == Ending::Closed && transfer.receives() {
            self.timers.grace_ends = Some(self.now + Duration::from_secs(LOST_CONTROL_GRACE_SECONDS));
        } else {
            self.stop_transfer(Stop::ControlLost);
        }
    }

    pub(super) fn handle_shutdown(&mut self) {
        self.waiting.clear();
        // Whoever is gone already is not told.
        if !matches!(self.control, Control::Lost(_)) {
            self.control = Control::Lost(Ending::Said(Situation::Shutdown));
        }
        self.stop_transfer(Stop::Shutdown);
    }

    pub(super) fn close_if_done(&mut self) {
        let ending = match self.control {
            Control::Lost(ending) => ending,
            // Whoever was read is answered; what comes from now on finds the 421.
            Control::Open { .. } if self.draining => Ending::Said(Situation::Shutdown),
            Control::Open { .. } | Control::Quitting => return,
        };
        let done = match &self.stage {
            Stage::Idle => self.waiting.is_empty(),
            // A passive port or a login that is on its way answers nobody who is gone; a client that has only said its
            // last, and one that the server only wants to be rid of, may still hear.
            Stage::AwaitTls { .. } => true,
            Stage::AwaitLogin { .. } | Stage::AwaitDelay { .. } | Stage::AwaitReservation { .. } => {
                matches!(self.control, Control::Lost(Ending::Reset | Ending::Said(_)))
            }
            // What storage was told to do is done; its outcome is waited for, so that nothing is left half-way.
            Stage::AwaitStorage { .. } | Stage::Transfer(_) | Stage::Closed => false,
        };
        match ending {
            _ if !done => {}
            Ending::Said(situation) => self.say_goodbye(Reply::new(situation)),
            _ => self.close(ending),
        }
    }

    /// Says a 421 and ends.
    pub(super) fn say_goodbye(&mut self, reply: Reply) {
        let situation = reply.situation;
        // While TLS begins nobody could read it.
        if !matches!(self.stage, Stage::AwaitTls { .. }) {
            self.push(Output::Reply(reply));
        }
        self.close(Ending::Said(situation));
    }

    pub(super) fn close(&mut self, why: Ending) {
        let held = self.arrangement.close();
        self.let_go(held);
        self.stage = Stage::Closed;
        self.waiting = Waiting::default();
        self.push(Output::Event(Event::Ended { why }));
        self.push(Output::Close);
    }
}
