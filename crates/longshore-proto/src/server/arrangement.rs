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
    /// The transfer before has left its data connection open (block and compressed mode, and MODE Z by OPTS).
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

    /// MODE, PROT, OPTS MODE Z KEEP 0: a connection that was kept does not fit any more.
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
    /// When what expires does.
    const THEN: Moment = Moment(Duration::from_secs(60));

    fn active_route() -> Route {
        Route::Active { to: "192.0.2.1:2000".parse().expect("an address") }
    }

    /// Every state there is, each on either route.
    fn states() -> [(&'static str, Arrangement); 8] {
        let arranged = |route, expires| Arrangement::Arranged { route, expires };
        let kept = |route| Arrangement::Kept { route, expires: THEN };
        [
            ("nothing", Arrangement::Nothing),
            ("passive", arranged(PASSIVE, Some(THEN))),
            ("active", arranged(active_route(), None)),
            ("kept", kept(PASSIVE)),
            ("kept active", kept(active_route())),
            ("expired", Arrangement::Gone(Gone::Expired)),
            ("refused", Arrangement::Gone(Gone::ClosedByRefusal)),
            ("cut", Arrangement::Gone(Gone::Cut)),
        ]
    }

    /// Every state under every event: what comes of it, by the name of a state, and whether something is let go.
    #[test]
    fn the_whole_table() {
        type Step<'a> = &'a dyn Fn(&mut Arrangement) -> Held;
        let just = |step: fn(&mut Arrangement)| {
            move |arrangement: &mut Arrangement| {
                step(arrangement);
                Held::Nothing
            }
        };
        let (use_up, cut) = (just(Arrangement::use_up), just(Arrangement::cut));
        let (close_by_refusal, keep) =
            (just(Arrangement::close_by_refusal), just(|arrangement| arrangement.keep(PASSIVE, THEN)));
        let stays = "nothing passive active kept keptactive expired refused cut";
        // For each state in the order above what it becomes; `!` where the driver lets go of what it holds.
        let table: [(&str, Step<'_>, &str); 12] = [
            (
                "refuse_upload",
                &Arrangement::refuse_upload,
                "nothing refused! refused refused! refused! expired refused cut",
            ),
            (
                "close",
                &Arrangement::close,
                "nothing nothing! nothing nothing! nothing! nothing nothing nothing",
            ),
            (
                "close_kept",
                &Arrangement::close_kept,
                "nothing passive active nothing! nothing! expired refused cut",
            ),
            ("use_up", &use_up, "nothing nothing nothing nothing nothing nothing nothing nothing"),
            ("keep", &keep, "kept kept kept kept kept kept kept kept"),
            ("cut", &cut, "cut cut cut cut cut cut cut cut"),
            (
                "close_by_refusal",
                &close_by_refusal,
                "refused refused refused refused refused refused refused refused",
            ),
            (
                "expire early",
                &|one: &mut Arrangement| one.expire(Moment(Duration::from_millis(59_999))),
                stays,
            ),
            (
                "expire",
                &|one: &mut Arrangement| one.expire(THEN),
                "nothing expired! active expired! expired! expired refused cut",
            ),
            (
                "expire late",
                &|one: &mut Arrangement| one.expire(Moment(Duration::from_secs(99))),
                "nothing expired! active expired! expired! expired refused cut",
            ),
            (
                "passive",
                &|one: &mut Arrangement| one.arrange(PASSIVE, Some(THEN)),
                "passive passive passive passive passive passive passive passive",
            ),
            (
                "active",
                &|one: &mut Arrangement| one.arrange(active_route(), None),
                "active active! active active! active! active active active",
            ),
        ];
        for (event, step, outcomes) in table {
            let outcomes: Vec<&str> = outcomes.split(' ').collect();
            assert_eq!(outcomes.len(), states().len(), "{event}");
            for ((name, before), outcome) in states().into_iter().zip(outcomes) {
                let (outcome, held) = match outcome.strip_suffix('!') {
                    Some(outcome) => (outcome, Held::Release),
                    None => (outcome, Held::Nothing),
                };
                let mut arrangement = before;
                assert_eq!(step(&mut arrangement), held, "{event} of {name}");
                let became = states().into_iter().find(|(_, state)| *state == arrangement);
                let became = became.map(|(name, _)| name.replace(' ', ""));
                assert_eq!(became.as_deref(), Some(outcome), "{event} of {name}");
            }
        }
    }

    /// What the next transfer is told in each state, and when somebody must be woken.
    #[test]
    fn what_the_next_transfer_uses() {
        use Situation::{ArrangementExpired, ClosedByRefusal, ConnectionCut, NothingArranged};
        let table = [
            (Err(NothingArranged), None),
            (Ok(PASSIVE), Some(THEN)),
            (Ok(active_route()), None),
            (Ok(PASSIVE), Some(THEN)),
            (Ok(active_route()), Some(THEN)),
            (Err(ArrangementExpired), None),
            (Err(ClosedByRefusal), None),
            (Err(ConnectionCut), None),
        ];
        for ((name, arrangement), (route, deadline)) in states().into_iter().zip(table) {
            assert_eq!(arrangement.route(), route, "{name}");
            assert_eq!(arrangement.deadline(), deadline, "{name}");
            assert_eq!(arrangement.is_kept(), name.starts_with("kept"), "{name}");
        }
    }
}
