//! Password hashes as text: what is accepted, what is wrong with one that is not, and how one is verified.
//!
//! Accepted are Argon2id (`$argon2id$v=19$…`, which longshore makes itself) and what shadow files hold today:
//! yescrypt (`$y$`), SHA-512-crypt (`$6$`) and SHA-256-crypt (`$5$`). A hash that was read can be verified: every
//! parameter is checked before, also for what it may cost. Not inside: who has which hash, and where hashes are
//! computed; a verification blocks for tens of milliseconds and belongs on a bounded pool.

mod argon2id;
mod sha_crypt;
mod yescrypt;

use std::fmt;

use subtle::ConstantTimeEq;

use crate::limits::{ARGON2_SALT_BYTES, HASH_LIMIT_BYTES, PASSWORD_LIMIT_BYTES};

/// A password hash, read and checked.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    scheme: Scheme,
}

#[derive(Clone, PartialEq, Eq)]
enum Scheme {
    Argon2id(argon2id::Argon2id),
    Sha(sha_crypt::ShaCrypt),
    Yescrypt(yescrypt::Yescrypt),
}

/// The kinds of hashes that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// `$argon2id$v=19$` (RFC 9106, in the PHC string format).
    Argon2id,
    /// `$y$`.
    Yescrypt,
    /// `$6$`.
    Sha512Crypt,
    /// `$5$`.
    Sha256Crypt,
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HashKind::Argon2id => "argon2id",
            HashKind::Yescrypt => "yescrypt",
            HashKind::Sha512Crypt => "sha512crypt",
            HashKind::Sha256Crypt => "sha256crypt",
        })
    }
}

const ACCEPTED: &str = "accepted are argon2id ($argon2id$v=19$...), yescrypt ($y$...), sha512crypt ($6$...) and \
                        sha256crypt ($5$...)";

/// Why a text is not a password hash that can be used. No message repeats the text: it may be a password that was
/// written in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It has the form of no hash.
    #[error("this is not a password hash; {accepted}", accepted = ACCEPTED)]
    NotAHash,
    /// `!`, `*` and the like, with which shadow files keep everybody out.
    #[error("this is the mark of a locked account and no password hash; say that the account is disabled")]
    Locked,
    /// A hash of a kind that is not accepted.
    #[error("{0} hashes are not accepted; {accepted}", accepted = ACCEPTED)]
    Scheme(&'static str),
    /// One of its parts is not what it has to be.
    #[error("the {part} of this {kind} hash cannot be read; expected: {expected}")]
    Malformed {
        /// The kind that it claims to be.
        kind: HashKind,
        /// The part that is wrong.
        part: &'static str,
        /// What stands there in a good one.
        expected: &'static str,
    },
    /// Every login would cost more than a server can give.
    #[error("this {kind} hash costs too much to verify: its {cost} comes to {value}, the limit is {limit}")]
    TooCostly {
        /// The kind of the hash.
        kind: HashKind,
        /// What there is too much of, with its unit.
        cost: &'static str,
        /// How much there is.
        value: u64,
        /// How much is accepted.
        limit: u64,
    },
    /// A password that no hash may be made of.
    #[error("the password is longer than {} bytes", PASSWORD_LIMIT_BYTES)]
    PasswordTooLong,
    /// A hash needs a salt, and a salt needs random bytes.
    #[error("the system gives no random bytes for a salt: {0}")]
    NoRandomBytes(String),
    /// A hash could not be computed for want of memory.
    #[error("there is not enough memory to compute a password hash")]
    OutOfMemory,
}

impl PasswordHash {
    /// Reads a hash and checks all of it.
    ///
    /// # Errors
    /// [`HashError`] for a text that is no hash, of another kind, with a part that cannot be, or with costs beyond
    /// [`limits`](crate::limits).
    pub fn parse(text: &str) -> Result<PasswordHash, HashError> {
        if text.starts_with(['!', '*']) {
            return Err(HashError::Locked);
        }
        if text.len() > HASH_LIMIT_BYTES {
            return Err(HashError::NotAHash);
        }
        let (name, rest) =
            text.strip_prefix('$').and_then(|rest| rest.split_once('$')).ok_or(HashError::NotAHash)?;
        let fields: Vec<&str> = rest.split('$').collect();
        let scheme = match name {
            "argon2id" => Scheme::Argon2id(argon2id::Argon2id::parse(&fields)?),
            "5" => Scheme::Sha(sha_crypt::ShaCrypt::parse(HashKind::Sha256Crypt, &fields)?),
            "6" => Scheme::Sha(sha_crypt::ShaCrypt::parse(HashKind::Sha512Crypt, &fields)?),
            "y" => Scheme::Yescrypt(yescrypt::Yescrypt::parse(&fields)?),
            "1" => return Err(HashError::Scheme("md5crypt")),
            "2" | "2a" | "2b" | "2x" | "2y" => return Err(HashError::Scheme("bcrypt")),
            "3" => return Err(HashError::Scheme("NT")),
            "7" | "scrypt" => return Err(HashError::Scheme("scrypt")),
            "gy" => return Err(HashError::Scheme("gost-yescrypt")),
            "sha1" => return Err(HashError::Scheme("sha1crypt")),
            "apr1" => return Err(HashError::Scheme("Apache MD5")),
            "argon2i" => return Err(HashError::Scheme("argon2i")),
            "argon2d" => return Err(HashError::Scheme("argon2d")),
            "pbkdf2-sha256" | "pbkdf2-sha512" => return Err(HashError::Scheme("PBKDF2")),
            _ => return Err(HashError::NotAHash),
        };
        Ok(PasswordHash { scheme })
    }

    /// Makes an Argon2id hash with a salt of its own and the costs of [`limits`](crate::limits) (19 MiB, two passes,
    /// one lane). Blocks for some tens of milliseconds.
    ///
    /// # Errors
    /// [`HashError::PasswordTooLong`] beyond [`PASSWORD_LIMIT_BYTES`], [`HashError::NoRandomBytes`],
    /// [`HashError::OutOfMemory`].
    pub fn new_argon2id(password: &[u8]) -> Result<String, HashError> {
        let mut salt = [0; ARGON2_SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| HashError::NoRandomBytes(error.to_string()))?;
        PasswordHash::new_argon2id_with_salt(password, &salt)
    }

    /// As [`new_argon2id`](PasswordHash::new_argon2id) with a given salt, which has to be another for each hash.
    ///
    /// # Errors
    /// [`HashError::PasswordTooLong`], [`HashError::OutOfMemory`].
    pub fn new_argon2id_with_salt(
        password: &[u8],
        salt: &[u8; ARGON2_SALT_BYTES],
    ) -> Result<String, HashError> {
        if password.len() > PASSWORD_LIMIT_BYTES {
            return Err(HashError::PasswordTooLong);
        }
        argon2id::make(password, salt)
    }

    /// Which kind it is.
    pub fn kind(&self) -> HashKind {
        match &self.scheme {
            Scheme::Argon2id(_) => HashKind::Argon2id,
            Scheme::Sha(hash) => hash.kind(),
            Scheme::Yescrypt(_) => HashKind::Yescrypt,
        }
    }

    /// What a verification costs, in the words of its kind: `m=19456,t=2,p=1` (KiB, passes, lanes),
    /// `rounds=5000`, or `N=4096,r=32,p=1`. No secret.
    pub fn cost(&self) -> String {
        match &self.scheme {
            Scheme::Argon2id(hash) => hash.cost(),
            Scheme::Sha(hash) => hash.cost(),
            Scheme::Yescrypt(hash) => hash.cost(),
        }
    }

    /// Whether this is the hash of the password. Takes as long for a wrong one as for the right one, and as long as
    /// the hash says; only one longer than [`PASSWORD_LIMIT_BYTES`] is refused at once. Without the memory that it
    /// needs, nothing is the right password.
    pub fn verify(&self, password: &[u8]) -> bool {
        self.try_verify(password).unwrap_or(false)
    }

    /// As [`verify`](PasswordHash::verify), telling a wrong password from a want of memory.
    ///
    /// # Errors
    /// [`HashError::OutOfMemory`].
    pub fn try_verify(&self, password: &[u8]) -> Result<bool, HashError> {
        if password.len() > PASSWORD_LIMIT_BYTES {
            return Ok(false);
        }
        #[cfg(test)]
        spy::saw(self);
        match &self.scheme {
            Scheme::Argon2id(hash) => hash.verify(password),
            Scheme::Sha(hash) => Ok(hash.verify(password)),
            Scheme::Yescrypt(hash) => hash.verify(password),
        }
    }

    /// The salt and the output, for keys that only somebody can know who knows the hashes.
    pub(crate) fn secret_parts(&self) -> [&[u8]; 2] {
        match &self.scheme {
            Scheme::Argon2id(hash) => hash.secret_parts(),
            Scheme::Sha(hash) => hash.secret_parts(),
            Scheme::Yescrypt(hash) => hash.secret_parts(),
        }
    }
}

/// Shows kind and cost, never salt or output: who has them may guess offline.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({} {})", self.kind(), self.cost())
    }
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A decimal number in its one form: no sign, no leading zero, at most 19 digits. The makers of hashes write no
/// other, and `u64::from_str` would take a plus.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if !canonical || text.len() > 19 {
        return None;
    }
    text.parse().ok()
}

/// Counts verifications, so that tests see what was computed instead of measuring how long it took.
#[cfg(test)]
pub(crate) mod spy {
    use std::cell::RefCell;

    use super::PasswordHash;

    thread_local! {
        static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn saw(hash: &PasswordHash) {
        SEEN.with_borrow_mut(|seen| seen.push(format!("{} {}", hash.kind(), hash.cost())));
    }

    /// What this thread computed since it was last asked, as kind and cost.
    pub(crate) fn take() -> Vec<String> {
        SEEN.take()
    }
}

#[cfg(test)]
mod tests;
