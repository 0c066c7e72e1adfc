//! The service manager, where one started us: sockets that it has opened, and what it is told (sd_notify).
//!
//! Not inside: when what is told. Without a manager nothing here does anything. Nothing waits for one that does not
//! listen: what cannot be told is not told.

use std::net::TcpListener;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::Failure;
use crate::limits::{MANAGER_QUEUE, STATUS_INTERVAL};

/// A listener that was handed over.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: TcpListener,
    /// What the unit calls it (`FileDescriptorName=`), or the name of the unit.
    pub(crate) name: Option<String>,
}

/// The listeners that were handed over; none where none were. Takes `LISTEN_FDS` out of the environment, so it comes
/// before any thread.
pub(crate) fn sockets() -> Result<Vec<Socket>, Failure> {
    // Taken away together with `LISTEN_FDS`.
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        let refused = |why: String| {
            Failure::new(format!(
                "socket {index} of those that the service manager handed over is of no use: {why}"
            ))
            .hint("ListenStream= with a TCP port and Accept=no is what longshore takes")
        };
        let listener = given.take_tcp_listener(index).map_err(|error| refused(error.to_string()))?;
        let Some(listener) = listener else { continue };
        match rustix::net::sockopt::socket_acceptconn(&listener) {
            Ok(true) => {
                let name = names.get(index).map(|&name| name.to_owned());
                listeners.push(Socket { listener, name });
            }
            Ok(false) => return Err(refused("nothing listens on it".to_owned())),
            Err(errno) => return Err(refused(errno.to_string())),
        }
    }
    Ok(listeners)
}

/// Whoever started us and wants to be told.
pub(crate) struct Manager {
    /// To a thread of its own, for its socket may be full.
    told: SyncSender<Vec<String>>,
    watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn new() -> Manager {
        let (told, messages) = sync_channel::<Vec<String>>(MANAGER_QUEUE);
        // Without a manager there is nobody at the other end, and what is told goes nowhere.
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            std::thread::spawn(move || {
                for message in messages {
                    let states: Vec<_> = message.iter().map(|state| NotifyState::Custom(state)).collect();
                    let _ = sd_notify::notify(&states);
                }
            });
        }
        Manager { told, watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often [`alive`](Manager::alive) is to be called.
    pub(crate) fn interval(&self) -> Duration {
        // Twice within the time after which the manager gives us up.
        self.watchdog.map_or(STATUS_INTERVAL, |limit| limit / 2).max(Duration::from_millis(1))
    }

    /// Serving, at first or again.
    pub(crate) fn ready(&self, sessions: usize, remark: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status(sessions, remark))]);
    }

    /// Reading the configuration again; [`ready`](Manager::ready) must follow.
    pub(crate) fn reloading(&self) {
        let Ok(now) = NotifyState::monotonic_usec_now() else { return };
        self.tell(&[NotifyState::Reloading, now]);
    }

    /// Ending, which may take so long.
    pub(crate) fn stopping(&self, sessions: usize, most: Duration) {
        let most = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
        let status = status(sessions, "ending");
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(most),
            NotifyState::Status(&status),
        ]);
    }

    /// Nothing new, but for the number of sessions.
    pub(crate) fn alive(&self, sessions: usize, remark: &str) {
        let status = status(sessions, remark);
        match self.watchdog {
            Some(_) => self.tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]),
            None => self.tell(&[NotifyState::Status(&status)]),
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let _ = self.told.try_send(states.iter().map(ToString::to_string).collect());
    }
}

fn status(sessions: usize, remark: &str) -> String {
    let sessions = if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") };
    if remark.is_empty() { sessions } else { format!("{sessions}; {remark}") }
}
