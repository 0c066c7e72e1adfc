//! What a server is made of. No file format and no command line in here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use longshore_accounts::{Account, Authenticator, TreeName};
use longshore_proto::reply::{English, Texts};
use longshore_proto::server::Policy;
use longshore_storage::{Backend, Durability};

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
    /// Sessions at once.
    pub max_sessions: usize,
    /// Sessions at once from one address; addresses of this machine itself are not counted.
    pub max_sessions_per_address: usize,
    /// Which addresses are this machine itself: by default those of the loopback. For them, passwords in clear are no
    /// danger, the limit per address does not count, and PASV names the address that they came to.
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
            max_sessions: limits::SESSIONS,
            max_sessions_per_address: limits::SESSIONS_PER_ADDRESS,
            is_home: |address| address.is_loopback(),
            durability: Durability::default(),
            texts: Arc::new(English),
            observer: Arc::new(Silent),
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
