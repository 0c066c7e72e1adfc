//! What `[tls]`, `[[certificate]]` and `[[listener]]` mean, and the rules about TLS that accounts have too.
//!
//! Not inside: reading certificates and keys ([`crate::tls`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use longshore_accounts::{CertificateRule, DataPeer, DataSession, TlsNeed, TlsRules, UploadEnd};
use longshore_server::tls::{CertificateFiles, Version};
use longshore_server::{ListenerOptions, ListenerTls};

use super::convert::{Value, absolute, flag, list, parsed, put};
use super::keys::{CERTIFICATE, LISTENER, TLS};
use super::reader::{Converted, Reader, Root, View, Wrong};

/// `[tls]` with the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) offer: bool,
    /// The first one is the default. Where there are none, the server makes its own.
    pub(crate) certificates: Vec<CertificateFiles>,
    pub(crate) minimum_version: Version,
    /// All of them say something.
    pub(crate) rules: TlsRules,
    pub(crate) allow_ccc: bool,
    pub(crate) clients: Clients,
    pub(crate) authorities: Option<PathBuf>,
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    Off,
    Request,
    Require,
}

/// An address that is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) options: ListenerOptions,
}

impl Listener {
    /// One that no table speaks of.
    pub(crate) fn new(address: SocketAddr, tls: ListenerTls) -> Listener {
        Listener { address, options: ListenerOptions { tls, ..ListenerOptions::default() } }
    }

    /// How much must be protected here, where `tls` is what `[tls]` asks for.
    pub(crate) fn need(&self, tls: TlsNeed) -> TlsNeed {
        self.options.rules.need.unwrap_or(tls)
    }

    /// Whether other machines may say a password here before TLS, as far as the listener goes.
    pub(crate) fn hears_clear_passwords(&self, tls: TlsNeed) -> bool {
        let clear = self.options.tls != ListenerTls::Implicit && self.need(tls) == TlsNeed::Nothing;
        clear && !self.address.ip().is_loopback()
    }
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            offer: true,
            certificates: Vec::new(),
            minimum_version: Version::default(),
            rules: TlsRules {
                need: Some(TlsNeed::default()),
                data_session: Some(DataSession::default()),
                data_peer: Some(DataPeer::default()),
                upload_end: Some(UploadEnd::default()),
            },
            allow_ccc: false,
            clients: Clients::Off,
            authorities: None,
        }
    }
}

impl Tls {
    pub(super) fn read(&mut self, root: &Root<'_>, reader: &mut Reader<'_>) {
        let view = reader.view(root, &TLS);
        put(&mut self.offer, reader.get(&view, "offer", flag));
        let chain = reader.get(&view, "certificate", absolute);
        let key = reader.get(&view, "key", absolute);
        if key.is_some() && chain.is_none() && !view.has("certificate") {
            reader.note(view.place("key"), "tls.key needs tls.certificate beside it".to_owned());
        }
        self.certificates.extend(chain.map(|chain| files(chain, key, Vec::new())));
        for table in reader.views(root, &CERTIFICATE) {
            let chain = reader.get(&table, "file", absolute);
            let key = reader.get(&table, "key", absolute);
            let names = reader.get(&table, "names", |value| list(value, host));
            self.certificates.extend(chain.map(|chain| files(chain, key, names.unwrap_or_default())));
        }
        put(&mut self.minimum_version, reader.get(&view, "minimum_version", version));
        self.rules = rules(&view, reader, "require").over(self.rules);
        put(&mut self.allow_ccc, reader.get(&view, "allow_ccc", flag));
        let clients = |text: &str| match text {
            "off" => Some(Clients::Off),
            "request" => Some(Clients::Request),
            "require" => Some(Clients::Require),
            _ => None,
        };
        put(&mut self.clients, reader.get(&view, "client_certificates", |value| parsed(value, clients)));
        self.authorities = reader.get(&view, "client_authorities", absolute);
        let asked = self.clients != Clients::Off;
        if asked && self.authorities.is_none() && !view.has("client_authorities") {
            let what = "tls.client_certificates needs tls.client_authorities beside it";
            reader.note(view.place("client_certificates"), what.to_owned());
        } else if !asked && self.authorities.is_some() && !view.has("client_certificates") {
            let what = "tls.client_authorities is for nothing without tls.client_certificates beside it";
            reader.note(view.place("client_authorities"), what.to_owned());
        }
        if !self.offer && self.rules.need > Some(TlsNeed::Nothing) {
            let what = "tls.require asks for what tls.offer = false refuses: nobody could log in";
            reader.note(view.place("require"), what.to_owned());
        }
    }
}

/// `[[listener]]`.
pub(super) fn read_listeners(root: &Root<'_>, reader: &mut Reader<'_>, tls: &Tls) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for view in reader.views(root, &LISTENER) {
        let address = reader.get(&view, "address", |value| parsed(value, |text| text.parse().ok()));
        let begins = |text: &str| match text {
            "explicit" => Some(ListenerTls::Explicit),
            "implicit" => Some(ListenerTls::Implicit),
            "off" => Some(ListenerTls::Off),
            _ => None,
        };
        let begins = reader.get(&view, "tls", |value| parsed(value, begins)).unwrap_or_default();
        let rules = rules(&view, reader, "require");
        if begins == ListenerTls::Implicit && !tls.offer {
            let what = "listener.tls is \"implicit\", and tls.offer is false";
            reader.note(view.place("tls"), what.to_owned());
        }
        let needed = rules.over(tls.rules).need > Some(TlsNeed::Nothing);
        if needed && (begins == ListenerTls::Off || (!tls.offer && rules.need.is_some())) {
            let what = format!(
                "nobody could log in here: TLS is required (by {}) and not offered",
                if rules.need.is_some() { "listener.require" } else { "tls.require" }
            );
            reader.note(view.place(if rules.need.is_some() { "require" } else { "tls" }), what);
        }
        let Some(address) = address else { continue };
        if listeners.iter().any(|other| other.address == address) {
            reader.note(view.place("address"), format!("there are two listeners for {address}"));
        }
        listeners.push(Listener { address, options: ListenerOptions { tls: begins, rules } });
    }
    listeners
}

/// What a table says about TLS; `need` is the key of how much is needed.
pub(super) fn rules(view: &View<'_, '_>, reader: &mut Reader<'_>, need: &'static str) -> TlsRules {
    let needs = |text: &str| match text {
        "nothing" => Some(TlsNeed::Nothing),
        "login" => Some(TlsNeed::Login),
        "data" => Some(TlsNeed::Data),
        _ => None,
    };
    let data_session = |text: &str| match text {
        "prefer" => Some(DataSession::Prefer),
        "require" => Some(DataSession::Require),
        "off" => Some(DataSession::Off),
        _ => None,
    };
    let data_peer = |text: &str| match text {
        "address" => Some(DataPeer::Address),
        "address-or-proof" => Some(DataPeer::AddressOrProof),
        _ => None,
    };
    let upload_end = |text: &str| match text {
        "accept" => Some(UploadEnd::Accept),
        "refuse" => Some(UploadEnd::Refuse),
        _ => None,
    };
    TlsRules {
        need: reader.get(view, need, |value| parsed(value, needs)),
        data_session: reader.get(view, "data_session", |value| parsed(value, data_session)),
        data_peer: reader.get(view, "data_peer", |value| parsed(value, data_peer)),
        upload_end: reader.get(view, "upload_end_without_close_notify", |value| parsed(value, upload_end)),
    }
}

/// A certificate of a client: its fingerprint or its subject.
pub(super) fn certificate_rule(value: &Value<'_>) -> Converted<CertificateRule> {
    let text = value.get_ref().as_str().ok_or_else(|| Wrong::at(value))?;
    let Some(digits) = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("SHA256:")) else {
        let subject = text.contains('=') && !text.chars().any(char::is_control);
        return subject.then(|| CertificateRule::Subject(text.to_owned())).ok_or_else(|| {
            Wrong::because(value, format!("{text:?} is neither a subject nor a fingerprint"))
        });
    };
    let digits: String = digits.chars().filter(|&letter| letter != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Wrong::because(value, "a fingerprint by SHA-256 has 64 hexadecimal digits"));
    }
    Ok(CertificateRule::Fingerprint(digits.to_ascii_uppercase()))
}

/// As text or as a number, which is what it looks like in the environment.
fn version(value: &Value<'_>) -> Converted<Version> {
    let given = value.get_ref();
    let text = given.as_str().or_else(|| given.as_float().map(|number| number.as_str()));
    match text {
        Some("1.2") => Ok(Version::Tls12),
        Some("1.3") => Ok(Version::Tls13),
        _ => Err(Wrong::at(value)),
    }
}

fn files(chain: PathBuf, key: Option<PathBuf>, names: Vec<String>) -> CertificateFiles {
    let key = key.unwrap_or_else(|| chain.clone());
    CertificateFiles { names, ..CertificateFiles::new(chain, key) }
}

fn host(value: &Value<'_>) -> Converted<String> {
    parsed(value, |text| {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
    })
}
