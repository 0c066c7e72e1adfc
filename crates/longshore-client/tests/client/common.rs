//! A server of this project in the same runtime, and what the tests share. What other servers say is played by
//! [`scripted`](crate::scripted).

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use longshore_accounts::{Account, DataSession, MemoryAccounts, Permissions, TlsRules};
use longshore_client::{Client, ClientTls, Event, Loss, Observer, Options, Setup, Trust, Version, connect};
use longshore_server::tls::{CertificateSet, Certificates, Policy, ServerTls, self_signed};
use longshore_server::{Config, Deflate, Listeners, Tls, TlsOffer, Trees};
use longshore_storage::memory::Memory as Store;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take before the test fails. Not a measure of anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const USER: &str = "anna";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const NAME: &str = "ftp.example";

/// A running server; it ends with this value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    /// Of its certificate.
    pub(crate) fingerprint: String,
    _stop: oneshot::Sender<()>,
    _claims: Vec<UdpSocket>,
}

impl Server {
    /// One that offers all modes, and TLS whose data connections must resume the session of their control connection.
    pub(crate) fn start() -> Server {
        let store = Store::new();
        let account = Account { permissions: Permissions::ALL, ..Account::new(USER, "files") };
        let accounts = MemoryAccounts::new().with_account(account, PASSWORD);
        let mut config = Config::new(accounts, Trees::one("files", store.clone()));
        config.limits.drain_grace = Duration::ZERO;
        config.deflate = Some(Deflate::default());
        let pair = self_signed(&[NAME.to_owned()], SystemTime::now()).expect("a name of a host");
        let (chain, key) = (pair.certificate_pem.as_bytes(), pair.key_pem.as_bytes());
        let set = CertificateSet::from_pem(chain, key, SystemTime::now()).expect("a pair");
        let fingerprint = set.infos().next().expect("one certificate").fingerprint.clone();
        let tls = ServerTls::new(Arc::new(Certificates::new(set)), &Policy::default()).expect("a policy");
        let rules = TlsRules { data_session: Some(DataSession::Require), ..TlsRules::default() };
        config.tls = TlsOffer::On(Tls { server: Arc::new(tls), rules, allow_ccc: false });
        let (ports, claims) = claim_ports(8);
        config.passive_ports = ports;
        let mut listeners = Listeners::new();
        let address = listeners.listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("any port will do");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        tokio::spawn(async move {
            longshore_server::run(listeners, config, shutdown).await.expect("the configuration is sound");
        });
        Server { address, store, fingerprint, _stop: stop, _claims: claims }
    }

    /// A client that has logged in, and the end of its connection.
    pub(crate) async fn client(&self, options: Options) -> (Client, JoinHandle<Loss>, Transcript) {
        let (client, running, transcript) = begin(self.address, Setup { options, ..Setup::default() }).await;
        client.login(USER, PASSWORD).await.expect("the login is right");
        (client, running, transcript)
    }

    /// The same under TLS.
    pub(crate) async fn secured(
        &self,
        options: Options,
        version: Version,
    ) -> (Client, JoinHandle<Loss>, Transcript) {
        let trust = Trust::Fingerprint(self.fingerprint.clone());
        let tls = ClientTls::new(&trust, version).expect("a fingerprint").session(NAME).expect("a name");
        let setup = Setup { options, tls: Some(tls), ..Setup::default() };
        let (client, running, transcript) = begin(self.address, setup).await;
        client.start_tls().await.expect("TLS is offered");
        client.login(USER, PASSWORD).await.expect("the login is right");
        (client, running, transcript)
    }
}

/// Connects, and writes down what is said.
pub(crate) async fn begin(address: SocketAddr, setup: Setup) -> (Client, JoinHandle<Loss>, Transcript) {
    let transcript = Transcript::default();
    let setup = Setup { observer: Some(Box::new(transcript.clone())), ..setup };
    let (client, connection) = connect(address, setup).await.expect("somebody listens");
    (client, tokio::spawn(connection.run()), transcript)
}

/// What was said, a line each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many lines begin so.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(beginning)).count()
    }
}

impl Observer for Transcript {
    fn sent(&mut self, command: &[u8]) {
        self.push(format!("> {}", String::from_utf8_lossy(command)));
    }

    fn received(&mut self, line: &[u8]) {
        self.push(format!("< {}", String::from_utf8_lossy(line)));
    }

    fn noticed(&mut self, event: &Event) {
        self.push(format!("! {event:?}"));
    }
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it does not hang")
}

/// Octets that differ everywhere, so that a piece which is lost, doubled or moved shows.
pub(crate) fn octets(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut octets = Vec::with_capacity(count + 8);
    while octets.len() < count {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        octets.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    octets.truncate(count);
    octets
}

/// Passive ports that no other test uses while the sockets live, below those that the kernel takes for outgoing
/// connections. The claim is a UDP socket on each, which does not get in the way of TCP.
fn claim_ports(count: u16) -> (std::ops::RangeInclusive<u16>, Vec<UdpSocket>) {
    static PROBING: Mutex<()> = Mutex::new(());
    let _alone = PROBING.lock().unwrap_or_else(PoisonError::into_inner);
    for start in (20_000..30_000 - count).step_by(usize::from(count)) {
        let range = start..=start + count - 1;
        let claims: Result<Vec<_>, _> =
            range.clone().map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port))).collect();
        let free = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if let Ok(claims) = claims
            && range.clone().all(free)
        {
            return (range, claims);
        }
    }
    panic!("no {count} free ports in a row between 20000 and 30000");
}
