//! A server that runs: signals, reloads, and what a service manager is told.
//!
//! Not inside: what draining and ending mean for sessions (`longshore-server`), and how the settings are read
//! ([`source`](crate::source)). A reload builds everything new before it changes anything.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_accounts::Authenticator;
use longshore_server::limits::SHUTDOWN_GRACE;
use longshore_server::{Config, Control, Event, EventKind, Observer};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::config::{Server, Settings};
use crate::limits::END_MARGIN;
use crate::log::{Log, Opened};
use crate::manager::Manager;
use crate::source::Source;
use crate::stores::Stores;
use crate::{Failure, serve};

/// The signals that are not left to the system, from now on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// All that is needed to change or end a server that runs.
pub(crate) struct Life {
    source: Source,
    /// What cannot be changed any more.
    begun_with: Server,
    stores: Mutex<Stores>,
    /// Of a server without a configuration file, whose password was asked for once.
    authenticator: Arc<dyn Authenticator>,
    control: Control,
    log: Log,
    manager: Manager,
    is_ending: AtomicBool,
    /// How long transfers may take at the end.
    grace: Mutex<Duration>,
    /// For the service manager: how the last reload ended, where it did not end well.
    remark: Mutex<&'static str>,
}

impl Signals {
    pub(crate) fn receive() -> Result<Signals, Failure> {
        let receive =
            |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be received: {error}")));
        Ok(Signals {
            interrupt: receive(SignalKind::interrupt())?,
            terminate: receive(SignalKind::terminate())?,
            hangup: receive(SignalKind::hangup())?,
        })
    }
}

impl Life {
    pub(crate) fn new(
        source: Source,
        settings: &Settings,
        stores: Stores,
        authenticator: Arc<dyn Authenticator>,
        control: Control,
        log: Log,
    ) -> Life {
        Life {
            source,
            begun_with: settings.server.clone(),
            stores: Mutex::new(stores),
            authenticator,
            control,
            log,
            manager: Manager::new(),
            is_ending: AtomicBool::new(false),
            grace: Mutex::new(settings.limits.drain_grace),
            remark: Mutex::new(""),
        }
    }

    /// Answers signals for as long as the runtime runs.
    pub(crate) async fn watch(self, mut signals: Signals) {
        let life = Arc::new(self);
        let (ask, asked) = tokio::sync::mpsc::channel(1);
        tokio::spawn(reload_when_asked(life.clone(), asked));
        let mut ends = 0;
        let mut beat = tokio::time::interval(life.manager.interval());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        life.manager.ready(life.control.sessions(), "");
        loop {
            tokio::select! {
                _ = signals.hangup.recv() => {
                    if life.hangup_ends() {
                        life.end(&mut ends);
                    } else {
                        // One that waits already will read what is there by then.
                        let _ = ask.try_send(());
                    }
                }
                _ = signals.interrupt.recv() => life.end(&mut ends),
                _ = signals.terminate.recv() => life.end(&mut ends),
                _ = beat.tick() => life.beat(),
            }
        }
    }

    /// Without a file there is nothing to reload: whoever was tried out in a terminal ends with it.
    fn hangup_ends(&self) -> bool {
        self.source.arguments.config.is_none() && std::io::stdin().is_terminal()
    }

    fn end(&self, ends: &mut u32) {
        *ends += 1;
        match ends {
            1 => {
                self.is_ending.store(true, Ordering::SeqCst);
                let grace = *self.grace.lock().unwrap_or_else(PoisonError::into_inner);
                self.manager.stopping(self.control.sessions(), grace + SHUTDOWN_GRACE + END_MARGIN);
                self.control.drain();
            }
            2 => self.control.end(),
            _ => exit_at_once(),
        }
    }

    fn beat(&self) {
        let remark = if self.is_ending.load(Ordering::SeqCst) { "ending" } else { self.remark() };
        self.manager.alive(self.control.sessions(), remark);
    }

    fn remark(&self) -> &'static str {
        *self.remark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the settings anew. Whatever fails, nothing has changed then.
    fn reload(&self) {
        let refused = self.try_reload().err();
        if let Some(failure) = &refused {
            let kind = EventKind::ReloadRefused { why: failure.what.clone() };
            self.log.observe(&Event { session: None, kind });
        }
        let remark = if refused.is_some() { "the last reload was refused, the log says why" } else { "" };
        *self.remark.lock().unwrap_or_else(PoisonError::into_inner) = remark;
    }

    fn try_reload(&self) -> Result<(), Failure> {
        let settings = self.source.read()?;
        let accounts = match self.source.arguments.config {
            Some(_) => Arc::new(serve::configured(&settings)?),
            None => self.authenticator.clone(),
        };
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let (opened, trees) = stores.open(&settings)?;
        let files = Opened::open(&settings.log)?;
        let config = Config { accounts, ..serve::configuration(&settings, trees, &self.log) };
        self.control.reload(config).map_err(|error| Failure::new(error.to_string()))?;
        // Nothing fails any more.
        *stores = opened;
        *self.grace.lock().unwrap_or_else(PoisonError::into_inner) = settings.limits.drain_grace;
        self.control.trace(settings.log.trace.clone());
        self.log.exchange(files);
        for note in not_reloaded(&self.begun_with, &settings.server) {
            self.log.note(&note);
        }
        if let Some(note) = serve::descriptors_note(&settings, &self.control) {
            self.log.note(&note);
        }
        Ok(())
    }
}

/// One reload after the other, none of them on a thread that serves.
async fn reload_when_asked(life: Arc<Life>, mut asked: tokio::sync::mpsc::Receiver<()>) {
    while asked.recv().await.is_some() {
        if life.is_ending.load(Ordering::SeqCst) {
            continue;
        }
        life.manager.reloading();
        let reloading = life.clone();
        // A panic in there has been told on standard error, and what it was about to change has not changed.
        let _ = tokio::task::spawn_blocking(move || reloading.reload()).await;
        if !life.is_ending.load(Ordering::SeqCst) {
            life.manager.ready(life.control.sessions(), life.remark());
        }
    }
}

/// What is different and takes a restart.
fn not_reloaded(begun_with: &Server, now: &Server) -> Vec<String> {
    let changed = [
        ("listen", begun_with.listen != now.listen),
        ("user", begun_with.user != now.user),
        ("group", begun_with.group != now.group),
    ];
    let keys = changed.into_iter().filter(|(_, changed)| *changed);
    keys.map(|(key, _)| format!("server.{key} has changed and takes a restart: the one before still holds"))
        .collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "asked for three times; a part that is cut here is kept as after a crash"
)]
fn exit_at_once() -> ! {
    // 128 and the number of SIGINT, as shells report it.
    std::process::exit(130)
}
