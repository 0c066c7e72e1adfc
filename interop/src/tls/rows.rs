//! The clients as the table of TLS asks them, and what they cannot do there, with the reason.
//!
//! Not inside: what they are asked, which is in `suite`.

use std::fmt;

use super::{Policy, Version};
use crate::clients::Client;

/// A client, and what it does with sessions: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecureClient {
    /// The client.
    pub client: Client,
    /// Whether data connections try to resume the session of the control connection.
    pub resumes: bool,
    name: &'static str,
}

/// What becomes of a cell that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Each transfer is refused with 522, and nothing is stored.
    Refused,
    /// A download, then an upload in one session go well; more need not.
    Few,
    /// All goes well, but not every data connection resumes.
    Unproved,
}

/// Some cells that are not whole.
pub(crate) struct SecureGap {
    pub(crate) clients: &'static [SecureClient],
    pub(crate) versions: &'static [Version],
    pub(crate) policies: &'static [Policy],
    pub(crate) outcome: Outcome,
    /// A sentence about these clients, without their names.
    pub(crate) reason: &'static str,
}

const fn row(client: Client, resumes: bool, name: &'static str) -> SecureClient {
    SecureClient { client, resumes, name }
}

impl SecureClient {
    /// By itself: it resumes.
    pub const CURL: SecureClient = row(Client::Curl, true, "curl");
    /// With the option that forgets sessions.
    pub const CURL_FRESH: SecureClient = row(Client::Curl, false, "curl --no-sessionid");
    /// By itself: it resumes.
    pub const LFTP: SecureClient = row(Client::Lftp, true, "lftp");
    /// With the setting that does not copy the session.
    pub const LFTP_FRESH: SecureClient = row(Client::Lftp, false, "lftp, ftp:ssl-copy-sid no");
    /// By itself, with its cache of sessions.
    pub const RCLONE: SecureClient = row(Client::Rclone, true, "rclone");
    /// By itself: it does not resume.
    pub const FTPLIB: SecureClient = row(Client::Ftplib, false, "ftplib");
    /// With a subclass that hands the session on.
    pub const FTPLIB_RESUMING: SecureClient = row(Client::Ftplib, true, "ftplib, session handed on");
    /// By itself: it does not resume.
    pub const COMMONS_NET: SecureClient = row(Client::CommonsNet, false, "commons-net");
    /// With a subclass that hands the session on.
    pub const COMMONS_NET_RESUMING: SecureClient =
        row(Client::CommonsNet, true, "commons-net, session handed on");
    /// By itself: it resumes.
    pub const BASIC_FTP: SecureClient = row(Client::BasicFtp, true, "basic-ftp");
    /// With the session in a file.
    pub const OPENSSL: SecureClient = row(Client::Openssl, true, "openssl s_client");
    /// With the session in memory.
    pub const RUSTLS: SecureClient = row(Client::Rustls, true, "rustls");

    /// All of them, in the order of the table.
    pub const ALL: &[SecureClient] = &[
        SecureClient::CURL,
        SecureClient::CURL_FRESH,
        SecureClient::LFTP,
        SecureClient::LFTP_FRESH,
        SecureClient::RCLONE,
        SecureClient::FTPLIB,
        SecureClient::FTPLIB_RESUMING,
        SecureClient::COMMONS_NET,
        SecureClient::COMMONS_NET_RESUMING,
        SecureClient::BASIC_FTP,
        SecureClient::OPENSSL,
        SecureClient::RUSTLS,
    ];

    /// Its name in results and tables.
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl fmt::Display for SecureClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// The policies that do without a resumed session.
const PREFERRED: &[Policy] = &[Policy::Explicit, Policy::Implicit, Policy::Required];

const CURL_KEEPS_ONE: &str = "keeps only the newest ticket of TLS 1.3 and uses it once (7.88), and an upload brings none: \
    what follows one resumes nothing";
const JAVA_READS_NONE: &str = "uses each ticket of TLS 1.3 once and reads none while it sends: after eight uploads it \
    resumes nothing";

const fn gap(
    clients: &'static [SecureClient],
    versions: &'static [Version],
    policies: &'static [Policy],
    outcome: Outcome,
    reason: &'static str,
) -> SecureGap {
    SecureGap { clients, versions, policies, outcome, reason }
}

/// Every gap.
pub(crate) const SECURE_GAPS: &[SecureGap] = &[
    gap(
        &[
            SecureClient::CURL_FRESH,
            SecureClient::LFTP_FRESH,
            SecureClient::FTPLIB,
            SecureClient::COMMONS_NET,
        ],
        &Version::ALL,
        &[Policy::Resumed],
        Outcome::Refused,
        "resumes no session: each transfer is answered 522, and nothing is stored",
    ),
    gap(&[SecureClient::CURL], &[Version::Tls13], &[Policy::Resumed], Outcome::Few, CURL_KEEPS_ONE),
    gap(&[SecureClient::CURL], &[Version::Tls13], PREFERRED, Outcome::Unproved, CURL_KEEPS_ONE),
    gap(
        &[SecureClient::COMMONS_NET_RESUMING],
        &[Version::Tls13],
        &[Policy::Resumed],
        Outcome::Few,
        JAVA_READS_NONE,
    ),
    gap(
        &[SecureClient::COMMONS_NET_RESUMING],
        &[Version::Tls13],
        PREFERRED,
        Outcome::Unproved,
        JAVA_READS_NONE,
    ),
];

/// The gap of a cell.
pub(crate) fn secure_gap(
    client: SecureClient,
    policy: Policy,
    version: Version,
) -> Option<&'static SecureGap> {
    SECURE_GAPS.iter().find(|gap| {
        gap.clients.contains(&client) && gap.policies.contains(&policy) && gap.versions.contains(&version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_each_gap_is_explained_once() {
        for (index, client) in SecureClient::ALL.iter().enumerate() {
            let others = &SecureClient::ALL[index + 1..];
            assert!(others.iter().all(|other| other.name() != client.name()), "{client}");
            for (policy, version) in super::super::cells() {
                let is_it = |gap: &&SecureGap| {
                    gap.clients.contains(client)
                        && gap.policies.contains(&policy)
                        && gap.versions.contains(&version)
                };
                let gaps: Vec<_> = SECURE_GAPS.iter().filter(is_it).collect();
                assert!(gaps.len() <= 1, "{client}, {policy}, {version}");
                assert!(gaps.iter().all(|gap| gap.reason.len() > 10 && !gap.reason.ends_with('.')));
            }
        }
    }
}
