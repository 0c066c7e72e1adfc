//! A server that runs: signals, reloads, and what a service manager is told.
//!
//! Not inside: what draining and ending mean for sessions (`longshore-server`), and how the settings are read
//! ([`source`](crate::source)). A reload builds everything new before it changes anything.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use longshore_accounts::Authenticator;
use longshore_server::limits::SHUTDOWN_GRACE;
use longshore_server::{Config, Control, Event, EventKind, Observer, TlsOffer, Trees};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::config::{Server, Settings};
use crate::limits::{CERTIFICATE_INTERVAL, END_MARGIN};
use crate::log::{Log, Opened};
use crate::manager::Manager;
use crate::source::Source;
use crate::stores::Stores;
use crate::tls::{InForce, Prepared, Surroundings};
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
    surroundings: Surroundings,
    tls: Mutex<Option<InForce>>,
    applied: Mutex<Applied>,
    control: Control,
    log: Log,
    manager: Manager,
    is_ending: AtomicBool,
    /// How long transfers may take at the end.
    grace: Mutex<Duration>,
    /// For the service manager: how the last reload ended, where it did not end well.
    remark: Mutex<&'static str>,
}

/// What is in force but for TLS.
pub(crate) struct Applied {
    pub(crate) settings: Settings,
    pub(crate) trees: Trees,
    pub(crate) accounts: Arc<dyn Authenticator>,
}

impl Applied {
    /// The whole of it for the server.
    pub(crate) fn configuration(&self, tls: TlsOffer, log: &Log) -> Config {
        let accounts = self.accounts.clone();
        Config { accounts, tls, ..serve::configuration(&self.settings, self.trees.clone(), log) }
    }
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
        surroundings: Surroundings,
        applied: Applied,
        stores: Stores,
        tls: Option<InForce>,
        control: Control,
        log: Log,
    ) -> Life {
        Life {
            source,
            begun_with: applied.settings.server.clone(),
            stores: Mutex::new(stores),
            surroundings,
            tls: Mutex::new(tls),
            control,
            log,
            manager: Manager::new(),
            is_ending: AtomicBool::new(false),
            grace: Mutex::new(applied.settings.limits.drain_grace),
            applied: Mutex::new(applied),
            remark: Mutex::new(""),
        }
    }

    /// Answers signals for as long as the runtime runs.
    pub(crate) async fn watch(self, mut signals: Signals) {
        let life = Arc::new(self);
        let (ask, asked) = tokio::sync::mpsc::channel(1);
        tokio::spawn(reload_when_asked(life.clone(), asked));
        tokio::spawn(look_at_certificates(life.clone()));
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
            None => self.applied.lock().unwrap_or_else(PoisonError::into_inner).accounts.clone(),
        };
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let prepared = Prepared::read(&settings.tls, &self.surroundings, tls.as_ref(), now)?;
        let offer = prepared.as_ref().map_or(TlsOffer::Off, Prepared::offer);
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let (opened, trees) = stores.open(&settings)?;
        let files = Opened::open(&settings.log)?;
        let applied = Applied { settings: settings.clone(), trees, accounts };
        let config = applied.configuration(offer, &self.log);
        self.control.reload(config).map_err(|error| Failure::new(error.to_string()))?;
        // Nothing fails any more.
        let mut notes = Vec::new();
        let before = tls.as_ref().map(InForce::described).unwrap_or_default();
        *tls = prepared.map(|prepared| prepared.commit(&mut notes));
        let described = tls.iter().flat_map(InForce::described);
        notes.extend(described.filter(|line| !before.contains(line)));
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = applied;
        *stores = opened;
        *self.grace.lock().unwrap_or_else(PoisonError::into_inner) = settings.limits.drain_grace;
        self.control.trace(settings.log.trace.clone());
        self.log.exchange(files);
        notes.extend(not_reloaded(&self.begun_with, &settings.server));
        notes.extend(serve::descriptors_note(&settings, &self.control));
        notes.iter().for_each(|note| self.log.note(note));
        Ok(())
    }

    /// Looks whether certificates or authorities have been replaced.
    fn look_at_certificates(&self) {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(looked) = tls.as_mut().map(|tls| tls.look(SystemTime::now())) else { return };
        if let Some(offer) = looked.offer {
            let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.control.reload(applied.configuration(offer, &self.log)) {
                self.log.note(&error.to_string());
            }
        }
        looked.notes.iter().for_each(|note| self.log.note(note));
    }
}

/// Without end, and never on a thread that serves.
async fn look_at_certificates(life: Arc<Life>) {
    let mut interval = tokio::time::interval(CERTIFICATE_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let life = life.clone();
        // A panic in there has been told on standard error; the next look begins anew.
        let _ = tokio::task::spawn_blocking(move || life.look_at_certificates()).await;
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
        ("server.listen or a [listener]", begun_with.listen != now.listen),
        ("server.user", begun_with.user != now.user),
        ("server.group", begun_with.group != now.group),
        ("server.state_directory", begun_with.state_directory != now.state_directory),
    ];
    let keys = changed.into_iter().filter(|(_, changed)| *changed);
    keys.map(|(key, _)| format!("{key} has changed and takes a restart: the one before still holds"))
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
