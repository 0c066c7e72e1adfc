//! The life of an arranged data connection: arranged, used up, expired, closed by a refusal.
//!
//! Not inside: sockets and ports, which the driver holds, and the transfer itself. Every way from one state to the
//! next is a method here, and each says whether the driver must let go of what it holds.

use std::net::SocketAddr;

use super::Moment;
use crate::reply::Situation;

/// How the data connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The client connects to this port of ours.
    Passive {
        /// The reserved port.
        port: u16,
    },
    /// We connect to the client.
    Active {
        /// Where PORT or EPRT said.
        to: SocketAddr,
    },
}

/// What is arranged for the next transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// Nothing since the last one was used up: 503.
    #[default]
    Nothing,
    /// Ready to be used.
    Arranged {
        route: Route,
        /// When a passive port that nobody used is closed.
        expires: Option<Moment>,
    },
    /// The transfer before has left its data connection open (block and compressed mode).
    Kept {
        route: Route,
        /// When a connection that nobody uses is closed.
        expires: Moment,
    },
    /// It was there and is gone, which is no mistake of the client's: 425.
    Gone(Gone),
}

/// Why an arrangement is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    Expired,
    ClosedByRefusal,
    /// A connection that was to stay was cut within a transfer.
    Cut,
}

/// Whether the driver holds a port or connection that it must now close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Held {
    Release,
    Nothing,
}

impl Arrangement {
    /// PASV, EPSV, PORT or EPRT succeeded. The driver has already replaced an older passive port by a newer one,
    /// but knows nothing of PORT.
    pub(super) fn arrange(&mut self, route: Route, expires: Option<Moment>) -> Held {
        let held = match (self.held(), route) {
            (Held::Release, Route::Active { .. }) => Held::Release,
            _ => Held::Nothing,
        };
        *self = Arrangement::Arranged { route, expires };
        held
    }

    /// What the next transfer uses; else why it cannot.
    pub(super) fn route(&self) -> Result<Route, Situation> {
        match self {
            Arrangement::Arranged { route, .. } | Arrangement::Kept { route, .. } => Ok(*route),
            Arrangement::Nothing => Err(Situation::NothingArranged),
            Arrangement::Gone(Gone::Expired) => Err(Situation::ArrangementExpired),
            Arrangement::Gone(Gone::ClosedByRefusal) => Err(Situation::ClosedByRefusal),
            Arrangement::Gone(Gone::Cut) => Err(Situation::ConnectionCut),
        }
    }

    /// Whether the data connection of the transfer before stands for the next one.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Arrangement::Kept { .. })
    }

    /// The transfer is complete and its connection stays.
    pub(super) fn keep(&mut self, route: Route, expires: Moment) {
        *self = Arrangement::Kept { route, expires };
    }

    /// A connection that was to stay was cut: what waits for it is told so.
    pub(super) fn cut(&mut self) {
        *self = Arrangement::Gone(Gone::Cut);
    }

    /// An upload has failed within it: what waits for it is told so.
    pub(super) fn close_by_refusal(&mut self) {
        *self = Arrangement::Gone(Gone::ClosedByRefusal);
    }

    /// MODE, PROT: a connection that was kept does not fit any more.
    pub(super) fn close_kept(&mut self) -> Held {
        if self.is_kept() { self.close() } else { Held::Nothing }
    }

    /// A transfer has said its mark: from here on the connection is the transfer's.
    pub(super) fn use_up(&mut self) {
        *self = Arrangement::Nothing;
    }

    /// An upload was refused: bytes for it may be under way and must never become another file.
    pub(super) fn refuse_upload(&mut self) -> Held {
        let held = self.held();
        if let Arrangement::Arranged { .. } | Arrangement::Kept { .. } = self {
            *self = Arrangement::Gone(Gone::ClosedByRefusal);
        }
        held
    }

    /// ABOR, REIN: nothing is arranged any more.
    pub(super) fn close(&mut self) -> Held {
        let held = self.held();
        *self = Arrangement::Nothing;
        held
    }

    /// Closes a passive port whose time is over.
    pub(super) fn expire(&mut self, now: Moment) -> Held {
        match *self {
            Arrangement::Arranged { expires: Some(at), .. } | Arrangement::Kept { expires: at, .. }
                if at <= now =>
            {
                *self = Arrangement::Gone(Gone::Expired);
                Held::Release
            }
            _ => Held::Nothing,
        }
    }

    /// When [`expire`](Arrangement::expire) will have something to do.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match *self {
            Arrangement::Arranged { expires, .. } => expires,
            Arrangement::Kept { expires, .. } => Some(expires),
            _ => None,
        }
    }

    fn held(&self) -> Held {
        match self {
            Arrangement::Arranged { route: Route::Passive { .. }, .. } | Arrangement::Kept { .. } => {
                Held::Release
            }
            _ => Held::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PASSIVE: Route = Route::Passive { port: 30000 };

    fn passive() -> Arrangement {
        Arrangement::Arranged { route: PASSIVE, expires: Some(Moment(Duration::from_secs(60))) }
    }

    fn active() -> Arrangement {
        let to = "192.0.2.1:2000".parse().expect("an address");
        Arrangement::Arranged { route: Route::Active { to }, expires: None }
    }

    /// Every state under every event: what comes of it, what the next transfer is told, what is let go.
    #[test]
    fn the_whole_table() {
        type Step = fn(&mut Arrangement) -> Held;
        type Case = (&'static str, Arrangement, Step, Result<(), Situation>, Held);
        let used_up: Step = |arrangement| {
            arrangement.use_up();
            Held::Nothing
        };
        let expired = |arrangement: &mut Arrangement| arrangement.expire(Moment(Duration::from_secs(60)));
        let early = |arrangement: &mut Arrangement| arrangement.expire(Moment(Duration::from_millis(59_999)));
        let gone = Arrangement::Gone(Gone::ClosedByRefusal);
        let late = Arrangement::Gone(Gone::Expired);
        use Situation::{ArrangementExpired, ClosedByRefusal, NothingArranged};
        let table: &[Case] = &[
            ("unused", Arrangement::Nothing, |_| Held::Nothing, Err(NothingArranged), Held::Nothing),
            ("used", passive(), used_up, Err(NothingArranged), Held::Nothing),
            ("refused", passive(), Arrangement::refuse_upload, Err(ClosedByRefusal), Held::Release),
            ("refused active", active(), Arrangement::refuse_upload, Err(ClosedByRefusal), Held::Nothing),
            (
                "refused nothing",
                Arrangement::Nothing,
                Arrangement::refuse_upload,
                Err(NothingArranged),
                Held::Nothing,
            ),
            ("refused again", gone, Arrangement::refuse_upload, Err(ClosedByRefusal), Held::Nothing),
            ("refused late", late, Arrangement::refuse_upload, Err(ArrangementExpired), Held::Nothing),
            ("closed", passive(), Arrangement::close, Err(NothingArranged), Held::Release),
            ("closed active", active(), Arrangement::close, Err(NothingArranged), Held::Nothing),
            ("closed gone", gone, Arrangement::close, Err(NothingArranged), Held::Nothing),
            ("in time", passive(), early, Ok(()), Held::Nothing),
            ("too late", passive(), expired, Err(ArrangementExpired), Held::Release),
            ("active stays", active(), expired, Ok(()), Held::Nothing),
        ];
        for (name, before, step, expected, held) in table {
            let mut arrangement = *before;
            assert_eq!(step(&mut arrangement), *held, "{name}");
            assert_eq!(arrangement.route().map(|_| ()), *expected, "{name}");
        }
    }

    #[test]
    fn a_new_arrangement_ends_the_old_one() {
        let to = "192.0.2.1:2000".parse().expect("an address");
        let mut arrangement = passive();
        assert_eq!(arrangement.arrange(PASSIVE, None), Held::Nothing, "the driver replaces ports itself");
        assert_eq!(arrangement.arrange(Route::Active { to }, None), Held::Release);
        assert_eq!(arrangement.arrange(PASSIVE, None), Held::Nothing);
        let mut gone = Arrangement::Gone(Gone::ClosedByRefusal);
        assert_eq!(gone.arrange(PASSIVE, None), Held::Nothing);
        assert_eq!(gone.route(), Ok(PASSIVE));
    }
}
