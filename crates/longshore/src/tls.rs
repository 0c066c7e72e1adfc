//! The TLS of a server that runs: certificates and authorities out of files, and their exchange when the files change.
//!
//! Not inside: TLS itself (`longshore-tls`), who asks for a look, and where what is found is told
//! ([`life`](crate::life)).

mod check;
mod own;
mod watch;

#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use longshore_server::tls::{
    Authorities, CertificateError, CertificateFiles, CertificateInfo, CertificateSet, Certificates,
    ClientCertificates, Policy, ServerTls,
};
use longshore_server::{ListenerTls, Tls, TlsOffer};

use crate::config::{self, Clients, Listener, Settings};
use crate::limits::{CERTIFICATE_WARNING, CERTIFICATE_WARNING_INTERVAL, OWN_CERTIFICATE_LEFT};
use crate::privileges::Identity;
use crate::{Failure, state};
pub(crate) use check::check;
use own::Place;
use watch::{Found, Watch};

/// The TLS that is in force, and what it was read from.
#[derive(Debug)]
pub(crate) struct InForce {
    settings: config::Tls,
    certificates: Arc<Certificates>,
    origin: Origin,
    chains: Watch,
    authorities: Option<(Authorities, Watch)>,
    /// When the operator was last told that a certificate ends soon.
    warned: SystemTime,
}

/// Where the certificates are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The settings name them.
    Configured(Vec<CertificateFiles>),
    /// The server's own, kept in this file; beside it a copy for clients.
    Kept { file: PathBuf, public: Option<PathBuf> },
    /// The server's own, kept nowhere.
    InMemory,
}

/// What the settings name, read.
#[derive(Debug)]
pub(crate) struct Named {
    settings: config::Tls,
    /// `None` where they name no certificate.
    read: Option<Read>,
    authorities: Option<(Authorities, Watch)>,
    notes: Vec<String>,
}

/// Certificates and where they are from.
#[derive(Debug)]
struct Read {
    /// Without them, those in force go on.
    set: Option<CertificateSet>,
    origin: Origin,
    /// Begun before they were read.
    watch: Watch,
}

/// What was read, and is not in force yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    in_force: InForce,
    /// What takes the place of the certificates in force.
    pending: Option<CertificateSet>,
    offer: TlsOffer,
    notes: Vec<String>,
}

/// What a look at the files has found.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// For the log.
    pub(crate) notes: Vec<String>,
    /// What new sessions are to be offered from now on, if that is another.
    pub(crate) offer: Option<TlsOffer>,
}

/// What is read beside the settings, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    place: Place,
    /// An address that is listened to for TLS from the first byte on.
    implicit: Option<SocketAddr>,
}

impl Surroundings {
    /// `endpoints` are those that are listened to until the end; `owner` is whom root becomes.
    pub(crate) fn new(settings: &Settings, endpoints: &[Listener], owner: Option<&Identity>) -> Surroundings {
        let addresses: Vec<SocketAddr> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let implicit = endpoints.iter().find(|endpoint| endpoint.options.tls == ListenerTls::Implicit);
        let place = Place {
            directory: state::directory(settings.server.state_directory.as_deref()),
            owner: owner.map(|owner| (owner.user, owner.group)),
            names: own_names(&addresses, settings),
        };
        Surroundings { place, implicit: implicit.map(|endpoint| endpoint.address) }
    }

    /// Makes the place of the server's own certificate, as root and for whom root becomes.
    pub(crate) fn give(&self) {
        self.place.give();
    }
}

impl Named {
    /// Reads the files that the settings name, which may be for root alone; `None` where they want no TLS.
    pub(crate) fn read(
        settings: &config::Tls,
        surroundings: &Surroundings,
        before: Option<&InForce>,
        now: SystemTime,
    ) -> Result<Option<Named>, Failure> {
        if !settings.offer {
            return surroundings.implicit.map_or(Ok(None), |address| {
                Err(Failure::new(format!(
                    "tls.offer is false, and {address} is listened to for TLS from the first byte on: \
                     to listen there no more takes a restart"
                )))
            });
        }
        let (mut wrong, mut notes) = (Vec::new(), Vec::new());
        let files = &settings.certificates;
        let chains = Watch::begin(files_of(files));
        let read =
            (!files.is_empty()).then(|| configured(files, before, now, &mut notes, &mut wrong)).flatten();
        let authorities = authorities(settings, before, &mut notes, &mut wrong);
        if !wrong.is_empty() {
            return Err(
                Failure::new(wrong.join("\n")).hint("`longshore check FILE` looks at them without serving")
            );
        }
        let read = read.map(|(set, origin)| Read { set, origin, watch: chains });
        Ok(Some(Named { settings: settings.clone(), read, authorities, notes }))
    }

    /// Whether the server needs a certificate of its own, which only whoever serves reads and makes.
    pub(crate) fn needs_own(&self) -> bool {
        self.read.is_none()
    }

    /// Adds what the settings do not name. Nothing is opened as root but where root serves.
    pub(crate) fn complete(
        self,
        surroundings: &Surroundings,
        before: Option<&InForce>,
        now: SystemTime,
    ) -> Result<Prepared, Failure> {
        let Named { settings, read, authorities, mut notes } = self;
        let read = match read {
            Some(read) => read,
            None => own(&surroundings.place, before, now, &mut notes)?,
        };
        let Read { set, origin, watch: chains } = read;
        notes.extend(set.iter().flat_map(|set| warnings(set, &origin, now)));
        let (certificates, pending) = match (before, set) {
            (None, Some(set)) => (Arc::new(Certificates::new(set)), None),
            (Some(before), set) => (before.certificates.clone(), set),
            (None, None) => return Err(Failure::new("TLS needs a certificate, and there is none")),
        };
        let in_force = InForce { settings, certificates, origin, chains, authorities, warned: now };
        let offer = in_force.offer()?;
        Ok(Prepared { in_force, pending, offer, notes })
    }
}

impl Prepared {
    /// Reads what the settings ask for; `None` where they want no TLS. With `before`, those who read it go on to be
    /// served by it until [`commit`](Prepared::commit).
    pub(crate) fn read(
        settings: &config::Tls,
        surroundings: &Surroundings,
        before: Option<&InForce>,
        now: SystemTime,
    ) -> Result<Option<Prepared>, Failure> {
        let named = Named::read(settings, surroundings, before, now)?;
        named.map(|named| named.complete(surroundings, before, now)).transpose()
    }

    /// What new sessions are to be offered.
    pub(crate) fn offer(&self) -> TlsOffer {
        self.offer.clone()
    }

    /// Puts the certificates in force, and says what is to be known of them.
    pub(crate) fn commit(mut self, notes: &mut Vec<String>) -> InForce {
        notes.append(&mut self.notes);
        if let Some(set) = self.pending {
            self.in_force.certificates.exchange(set);
        }
        self.in_force
    }
}

impl InForce {
    /// Whether a certificate in use is valid for less than that.
    fn ends_within(&self, left: Duration, now: SystemTime) -> bool {
        self.infos().iter().any(|info| info.not_after.duration_since(now).map_or(true, |valid| valid < left))
    }

    /// The certificates in use, the default first.
    pub(crate) fn infos(&self) -> Vec<CertificateInfo> {
        self.certificates.current().infos().cloned().collect()
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// One line for each certificate.
    pub(crate) fn described(&self) -> Vec<String> {
        let of = match self.origin {
            Origin::Configured(_) => "certificate",
            Origin::Kept { .. } | Origin::InMemory => "self-signed certificate",
        };
        self.infos().iter().map(|info| format!("{of}: {}", describe(info))).collect()
    }

    /// Which files can be read no more, by whoever we are now: what is put there later will not be seen.
    pub(crate) fn unreadable(&self, user: &str) -> Vec<String> {
        let authorities = self.authorities.iter().flat_map(|(_, watch)| watch.files());
        let files = self.chains.files().iter().chain(authorities);
        let refused = files.filter_map(|file| Some((file, own::open_to_read(file).err()?)));
        refused
            .map(|(file, error)| {
                let file = file.display();
                format!("{file} cannot be read as {user} ({error}): a renewed one will not be seen until a restart")
            })
            .collect()
    }

    /// Looks whether files have changed, reads those that have, and uses what is good. It blocks on the disk.
    pub(crate) fn look(&mut self, now: SystemTime) -> Looked {
        let mut looked = Looked::default();
        self.look_at_certificates(now, &mut looked);
        self.look_at_authorities(&mut looked);
        if now.duration_since(self.warned).is_ok_and(|since| since >= CERTIFICATE_WARNING_INTERVAL) {
            self.warned = now;
            looked.notes.extend(warnings(&self.certificates.current(), &self.origin, now));
        }
        looked
    }

    fn look_at_certificates(&mut self, now: SystemTime, looked: &mut Looked) {
        let files = match &self.origin {
            Origin::Configured(files) => files.clone(),
            Origin::Kept { file, .. } => vec![CertificateFiles::new(file, file)],
            Origin::InMemory => return,
        };
        match self.chains.look(|| CertificateSet::load(&files, now)) {
            Found::Nothing => {}
            Found::Good { what: set, again } => {
                let before = self.certificates.current();
                let known = |info: &&CertificateInfo| {
                    before.infos().any(|other| other.fingerprint == info.fingerprint)
                };
                let new: Vec<String> = set.infos().filter(|info| !known(info)).map(describe).collect();
                looked.notes.extend(new.iter().map(|new| format!("certificate exchanged: {new}")));
                if new.is_empty() && again {
                    looked.notes.push("certificates: the files are in order again".to_owned());
                }
                looked.notes.extend(warnings(&set, &self.origin, now));
                self.certificates.exchange(set);
                if let Origin::Kept { file, public } = &mut self.origin {
                    *public = own::publish(file).map_err(|why| looked.notes.push(why)).ok();
                }
            }
            Found::Bad(error) => {
                looked.notes.push(format!("{error}; the certificate before goes on being used"));
            }
        }
    }

    fn look_at_authorities(&mut self, looked: &mut Looked) {
        let (Some((authorities, watch)), Some(file)) = (&mut self.authorities, &self.settings.authorities)
        else {
            return;
        };
        match watch.look(|| Authorities::load(file)) {
            Found::Nothing => return,
            Found::Good { what, .. } => *authorities = what,
            Found::Bad(error) => {
                looked.notes.push(format!("{error}; the authorities before go on being trusted"));
                return;
            }
        }
        match self.offer() {
            Ok(offer) => {
                looked.notes.push(format!("authorities for clients exchanged: {}", file.display()));
                looked.offer = Some(offer);
            }
            Err(failure) => looked.notes.push(failure.what),
        }
    }

    fn offer(&self) -> Result<TlsOffer, Failure> {
        let client_certificates = match (self.settings.clients, &self.authorities) {
            (Clients::Request, Some((authorities, _))) => ClientCertificates::Request(authorities.clone()),
            (Clients::Require, Some((authorities, _))) => ClientCertificates::Require(authorities.clone()),
            _ => ClientCertificates::Off,
        };
        let policy = Policy { minimum_version: self.settings.minimum_version, client_certificates };
        let server = ServerTls::new(self.certificates.clone(), &policy)
            .map_err(|error| Failure::new(format!("TLS cannot be offered: {error}")))?;
        Ok(TlsOffer::On(Tls {
            server: Arc::new(server),
            rules: self.settings.rules,
            allow_ccc: self.settings.allow_ccc,
        }))
    }
}

fn configured(
    files: &[CertificateFiles],
    before: Option<&InForce>,
    now: SystemTime,
    notes: &mut Vec<String>,
    wrong: &mut Vec<String>,
) -> Option<(Option<CertificateSet>, Origin)> {
    let origin = Origin::Configured(files.to_vec());
    let error = match CertificateSet::load(files, now) {
        Ok(set) => return Some((Some(set), origin)),
        Err(error) => error,
    };
    // Keys are often for root alone, who is gone by the time of a reload.
    if before.is_some_and(|before| before.origin == origin) && is_forbidden(&error) {
        notes.push(format!("{error}; the certificate before goes on being used"));
        return Some((None, origin));
    }
    wrong.extend(mistakes(files, now));
    if wrong.is_empty() {
        wrong.push(error.to_string());
    }
    None
}

/// What is wrong with each of these, not only with the first that has a mistake.
fn mistakes(files: &[CertificateFiles], now: SystemTime) -> Vec<String> {
    let load = |one: &CertificateFiles| CertificateSet::load(std::slice::from_ref(one), now);
    files.iter().filter_map(|one| load(one).err()).map(|error| error.to_string()).collect()
}

fn own(
    place: &Place,
    before: Option<&InForce>,
    now: SystemTime,
    notes: &mut Vec<String>,
) -> Result<Read, Failure> {
    let before = before.filter(|before| !matches!(before.origin, Origin::Configured(_)));
    let keep = |before: &InForce| {
        let (origin, watch) = (before.origin.clone(), Watch::begin(before.chains.files().to_vec()));
        Read { set: None, origin, watch }
    };
    if let Some(before) = before {
        let kept = place.file().filter(|_| before.origin != Origin::InMemory);
        match kept.map(|file| (own::open_regular(&file).err(), file)) {
            // What was never kept would be another one.
            None if !before.ends_within(OWN_CERTIFICATE_LEFT, now) => return Ok(keep(before)),
            // For root alone, perhaps, who is gone.
            Some((Some(error), file)) if error.kind() == ErrorKind::PermissionDenied => {
                let file = file.display();
                notes.push(format!(
                    "{file}: cannot be read: {error}; the certificate before goes on being used"
                ));
                return Ok(keep(before));
            }
            _ => {}
        }
    }
    let mut own = place.take(now)?;
    notes.append(&mut own.notes);
    let origin = match (own.file, before) {
        (Some(file), _) => Origin::Kept { file, public: own.public },
        // A good one is in use, and one made now would be forgotten too.
        (None, Some(before)) if !before.ends_within(OWN_CERTIFICATE_LEFT, now) => {
            notes.push("the certificate before goes on being used".to_owned());
            return Ok(keep(before));
        }
        (None, _) => Origin::InMemory,
    };
    Ok(Read { set: Some(own.set), origin, watch: own.watch })
}

fn authorities(
    settings: &config::Tls,
    before: Option<&InForce>,
    notes: &mut Vec<String>,
    wrong: &mut Vec<String>,
) -> Option<(Authorities, Watch)> {
    let file = settings.authorities.as_ref().filter(|_| settings.clients != Clients::Off)?;
    let watch = Watch::begin(vec![file.clone()]);
    match Authorities::load(file) {
        Ok(authorities) => Some((authorities, watch)),
        Err(error) => {
            let same = before.filter(|before| before.settings.authorities.as_ref() == Some(file));
            match same.and_then(|before| before.authorities.as_ref()) {
                Some((authorities, _)) if is_forbidden(&error) => {
                    notes.push(format!("{error}; the authorities before go on being trusted"));
                    Some((authorities.clone(), watch))
                }
                _ => {
                    wrong.push(error.to_string());
                    None
                }
            }
        }
    }
}

fn is_forbidden(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Unreadable { why, .. } if why.kind() == ErrorKind::PermissionDenied)
}

fn files_of(certificates: &[CertificateFiles]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for file in certificates.iter().flat_map(|one| [&one.chain, &one.key]) {
        if !files.contains(file) {
            files.push(file.clone());
        }
    }
    files
}

/// What to think about: what `longshore-tls` has found, and certificates that end soon.
fn warnings(set: &CertificateSet, origin: &Origin, now: SystemTime) -> Vec<String> {
    let remedy = match origin {
        Origin::Configured(_) => "renew it",
        Origin::Kept { .. } | Origin::InMemory => "restart or reload longshore, which makes another",
    };
    let mut warnings: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    for info in set.infos() {
        let Ok(left) = info.not_after.duration_since(now) else {
            // It may have been valid when it was read.
            let told = format!("{}: the certificate was valid until", shown(info));
            if !warnings.iter().any(|warning| warning.starts_with(&told)) {
                warnings.push(format!("{told} {}; clients will refuse it: {remedy}", day(info.not_after)));
            }
            continue;
        };
        if left < CERTIFICATE_WARNING {
            let days = left.as_secs() / 86_400;
            let (file, until) = (shown(info), day(info.not_after));
            warnings
                .push(format!("{file}: the certificate is valid until {until}, {days} days more: {remedy}"));
        }
    }
    warnings
}

fn shown(info: &CertificateInfo) -> String {
    info.file.as_deref().map_or("certificate".to_owned(), |file| file.display().to_string())
}

fn describe(info: &CertificateInfo) -> String {
    let file = info.file.as_deref().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    format!("{}{file}, valid until {}, SHA-256 {}", info.subject, day(info.not_after), info.fingerprint)
}

/// A date for people, in UTC.
fn day(at: SystemTime) -> String {
    Timestamp::try_from(at)
        .map_or("a day beyond all calendars".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// For which hosts a certificate of our own is made: this machine, and where it is reached.
fn own_names(addresses: &[SocketAddr], settings: &Settings) -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let mut names: Vec<String> = if fits { vec![host.to_ascii_lowercase()] } else { Vec::new() };
    let fixed = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let listened = addresses.iter().map(|address| address.ip()).filter(|address| !address.is_unspecified());
    let public = settings.server.public_address.map(|address| address.to_string());
    for name in fixed.into_iter().chain(listened.map(|address| address.to_string())).chain(public) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
