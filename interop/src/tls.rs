//! How a connection is protected: versions, what the server demands, what the client does with sessions.
//!
//! Not inside: handshakes; the clients have their own, and the suite's is in `secure`.

mod rows;
mod suite;
pub(crate) mod table;

use std::fmt;
use std::path::PathBuf;

pub use rows::SecureClient;
pub(crate) use suite::TLS;
pub use suite::check_secure;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What a server offers and demands: the columns of the table of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// AUTH TLS; a data connection need not resume the session of its control connection.
    Explicit,
    /// TLS from the first byte; otherwise as [`Policy::Explicit`].
    Implicit,
    /// AUTH TLS; a data connection must resume the session of its control connection.
    Resumed,
    /// AUTH TLS; login and data only under TLS.
    Required,
}

/// How one connection of a client is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// The only version that the client may take.
    pub version: Version,
    /// Whether TLS begins with the first byte.
    pub is_implicit: bool,
    /// Whether the client tries to resume its control connection's session on data connections.
    pub resumes: bool,
    /// The certificate that the client trusts, in PEM.
    pub authority: PathBuf,
}

/// Each policy with each version, in the order of the table.
pub fn cells() -> impl Iterator<Item = (Policy, Version)> {
    Policy::ALL.into_iter().flat_map(|policy| Version::ALL.map(|version| (policy, version)))
}

/// What the results call a policy with a version.
pub(crate) fn cell_name(policy: Policy, version: Version) -> String {
    format!("{policy}, {version}")
}

impl Version {
    /// Both.
    pub const ALL: [Version; 2] = [Version::Tls12, Version::Tls13];

    /// The number alone.
    pub fn number(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }
}

impl Policy {
    /// All of them, in the order of the table.
    pub const ALL: [Policy; 4] = [Policy::Explicit, Policy::Implicit, Policy::Resumed, Policy::Required];

    /// Its name in results and tables.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Explicit => "explicit",
            Policy::Implicit => "implicit",
            Policy::Resumed => "session required",
            Policy::Required => "TLS required",
        }
    }

    /// What it is in the server's environment.
    pub(crate) fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Policy::Explicit | Policy::Implicit => &[("LONGSHORE_TLS_DATA_SESSION", "prefer")],
            Policy::Resumed => &[("LONGSHORE_TLS_DATA_SESSION", "require")],
            Policy::Required => &[("LONGSHORE_TLS_REQUIRE", "data")],
        }
    }
}

impl Security {
    /// What the programs in `scripts/` find in their environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("INTEROP_TLS", if self.is_implicit { "implicit" } else { "explicit" }.to_owned()),
            ("INTEROP_TLS_VERSION", self.version.number().to_owned()),
            ("INTEROP_TLS_RESUMES", if self.resumes { "yes" } else { "no" }.to_owned()),
            ("INTEROP_TLS_AUTHORITY", self.authority.display().to_string()),
        ]
    }

    /// The same, as such a program reads it.
    ///
    /// # Errors
    /// When something is missing or not known.
    pub fn from_environment(look: impl Fn(&str) -> Option<String>) -> Result<Security, String> {
        let word = |name: &str, words: [&str; 2]| {
            let value = look(name).ok_or_else(|| format!("{name} is not set"))?;
            let at = words.iter().position(|word| *word == value);
            at.ok_or_else(|| format!("{name} is {} or {}, not {value:?}", words[0], words[1]))
        };
        Ok(Security {
            version: Version::ALL[word("INTEROP_TLS_VERSION", Version::ALL.map(Version::number))?],
            is_implicit: word("INTEROP_TLS", ["explicit", "implicit"])? == 1,
            resumes: word("INTEROP_TLS_RESUMES", ["no", "yes"])? == 1,
            authority: look("INTEROP_TLS_AUTHORITY").ok_or("INTEROP_TLS_AUTHORITY is not set")?.into(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Version::Tls12 => "TLS 1.2",
            Version::Tls13 => "TLS 1.3",
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_the_environment_comes_out_the_same() {
        for version in Version::ALL {
            for (is_implicit, resumes) in [(false, true), (true, false)] {
                let security = Security { version, is_implicit, resumes, authority: "/ca.pem".into() };
                let environment = security.environment();
                let look = |name: &str| {
                    environment.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
                };
                assert_eq!(Security::from_environment(look), Ok(security));
            }
        }
        assert_eq!(
            Security::from_environment(|_| Some("2".to_owned())),
            Err("INTEROP_TLS_VERSION is 1.2 or 1.3, not \"2\"".to_owned())
        );
    }
}
