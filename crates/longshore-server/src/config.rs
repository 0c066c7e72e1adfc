//! What a server is made of. No file format and no command line in here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use longshore_accounts::{Account, Authenticator, Network, TlsRules, TreeName};
use longshore_proto::reply::{English, Texts};
use longshore_proto::server::Policy;
use longshore_proto::transmission::{ExpansionLimit, Level};
use longshore_storage::{Backend, Durability};
use longshore_tls::ServerTls;

use crate::events::{Observer, Silent};
use crate::limits;

/// What a server is made of.
pub struct Config {
    /// Who may come in.
    pub accounts: Arc<dyn Authenticator>,
    /// The files they see.
    pub trees: Trees,
    /// Time-outs and the like. Its passive ports are set from `passive_ports`.
    pub policy: Policy,
    /// The ports for data connections that clients make.
    pub passive_ports: RangeInclusive<u16>,
    /// Whether passwords may come in clear from beyond this machine.
    pub clear_passwords: bool,
    /// Whether there is TLS, and by which rules.
    pub tls: TlsOffer,
    /// How MODE Z is offered; `None` without it. Some clients compress everything once they see it, and compressing
    /// costs far more than sending.
    pub deflate: Option<Deflate>,
    /// How many, how fast and how long.
    pub limits: Limits,
    /// Which addresses are this machine itself: by default those of the loopback. For them, passwords in clear are no
    /// danger, and PASV names the address that they came to.
    pub is_home: fn(IpAddr) -> bool,
    /// What must have reached the disk before an upload is answered with 226.
    pub durability: Durability,
    /// The language of replies.
    pub texts: Arc<dyn Texts>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
}

impl Config {
    /// A server of these accounts and trees, with the defaults of [`limits`](crate::limits).
    pub fn new(accounts: impl Authenticator, trees: Trees) -> Config {
        Config {
            accounts: Arc::new(accounts),
            trees,
            policy: Policy::default(),
            passive_ports: limits::PASSIVE_PORTS,
            clear_passwords: false,
            tls: TlsOffer::default(),
            deflate: None,
            limits: Limits::default(),
            is_home: |address| address.is_loopback(),
            durability: Durability::default(),
            texts: Arc::new(English),
            observer: Arc::new(Silent),
        }
    }
}

impl Config {
    /// What holds where neither a listener nor an account says otherwise.
    pub(crate) fn tls_rules(&self) -> TlsRules {
        match &self.tls {
            TlsOffer::On(tls) => tls.rules,
            TlsOffer::NoCertificate | TlsOffer::Off => TlsRules::default(),
        }
    }
}

/// Whether there is TLS.
#[derive(Clone, Debug, Default)]
pub enum TlsOffer {
    /// There is no certificate: AUTH is answered with 431.
    #[default]
    NoCertificate,
    /// The operator does not want it: AUTH is answered with 534.
    Off,
    /// There is.
    On(Tls),
}

/// How TLS is offered.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates, versions, and what is asked of clients' certificates.
    pub server: Arc<ServerTls>,
    /// What holds where neither a listener nor an account says otherwise.
    pub rules: TlsRules,
    /// Whether CCC may end the protection of a control connection. Whoever can change packets can then give commands
    /// in the client's name, so it is for NAT devices that must read PORT.
    pub allow_ccc: bool,
}

/// How MODE Z is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflate {
    /// How hard downloads are compressed where the client does not say.
    pub level: Level,
    /// How much larger than what came an upload may become.
    pub expansion: ExpansionLimit,
}

/// How many, how fast and how long; see [`limits`](crate::limits) for the defaults.
///
/// What is counted by address counts IPv6 by the network of 64 bits, for that is what one customer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once.
    pub sessions: usize,
    /// Sessions at once from one address.
    pub sessions_per_address: usize,
    /// New connections per second from one address; 0 counts as 1.
    pub connections_per_second_per_address: u32,
    /// Logins from one address that may fail within `failed_login_window`; the next one bans it.
    pub failed_logins_per_address: u32,
    /// How long a failed login counts.
    pub failed_login_window: Duration,
    /// How long a banned address stays so.
    pub ban: Duration,
    /// Where none of the limits by address count: by default the loopback.
    pub exempt: Vec<Network>,
    /// Bytes per second, in all and by session. At least 1 each.
    pub rates: Rates,
    /// How long transfers may go on when the server drains.
    pub drain_grace: Duration,
}

/// Bytes per second; `None` is without limit. Accounts have limits of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// All uploads of the server together.
    pub upload: Option<NonZeroU64>,
    /// All downloads and listings of the server together.
    pub download: Option<NonZeroU64>,
    /// The uploads of each session.
    pub session_upload: Option<NonZeroU64>,
    /// The downloads and listings of each session.
    pub session_download: Option<NonZeroU64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sessions: limits::SESSIONS,
            sessions_per_address: limits::SESSIONS_PER_ADDRESS,
            connections_per_second_per_address: limits::CONNECTIONS_PER_SECOND_PER_ADDRESS,
            failed_logins_per_address: limits::FAILED_LOGINS_PER_ADDRESS,
            failed_login_window: limits::FAILED_LOGIN_WINDOW,
            ban: limits::BAN,
            exempt: Network::loopback(),
            rates: Rates::default(),
            drain_grace: limits::DRAIN_GRACE,
        }
    }
}

/// The trees of files that accounts name.
#[derive(Clone, Default)]
pub struct Trees {
    trees: HashMap<TreeName, Arc<dyn Backend>>,
}

impl Trees {
    /// One tree.
    pub fn one(name: &str, backend: impl Backend) -> Trees {
        Trees::default().with(name, backend)
    }

    /// These and one more; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, backend: impl Backend) -> Trees {
        self.trees.insert(TreeName(name.to_owned()), Arc::new(backend));
        self
    }

    pub(crate) fn of(&self, account: &Account) -> Option<Arc<dyn Backend>> {
        self.trees.get(&account.tree).cloned()
    }
}
