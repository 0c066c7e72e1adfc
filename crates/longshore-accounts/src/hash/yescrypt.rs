//! `$y$`: `params$salt$output`, as `crypt(3)` makes it on today's Linux. Only the native flavour is accepted, as
//! `crypt` makes no other.

use base64ct::{Base64ShaCrypt, Encoding};
use yescrypt::{Mode, Params, yescrypt};

use super::{HashError, HashKind, equal};
use crate::limits::{HASH_MEMORY_LIMIT_KIB, HASH_WORK_LIMIT_KIB, YESCRYPT_SALT_LIMIT_BYTES};

const KIND: HashKind = HashKind::Yescrypt;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Yescrypt {
    params: Params,
    salt: Vec<u8>,
    output: [u8; 32],
}

impl Yescrypt {
    /// Reads the fields behind `$y$`.
    pub(super) fn parse(fields: &[&str]) -> Result<Yescrypt, HashError> {
        let malformed = |part, expected| HashError::Malformed { kind: KIND, part, expected };
        let &[costs, salt, output] = fields else {
            return Err(malformed("form", "$y$parameters$salt$hash"));
        };
        let wrong =
            malformed("list of parameters", "those of the native flavour with N, r and p, such as j9T");
        let params: Params = costs.parse().map_err(|_| wrong.clone())?;
        let (n, r, p) = (params.n(), u64::from(params.r()), u64::from(params.p()));
        let kib = |blocks: u64| blocks.saturating_mul(r).saturating_mul(128).div_ceil(1024);
        let costly = |cost, value, limit| Err(HashError::TooCostly { kind: KIND, cost, value, limit });
        let memory = kib(n);
        if memory > HASH_MEMORY_LIMIT_KIB {
            return costly("memory (128 x r x N) in KiB", memory, HASH_MEMORY_LIMIT_KIB);
        }
        // Holds down the lanes too, each of which takes memory of its own beside that of N.
        let work = kib(n.saturating_mul(p));
        if work > HASH_WORK_LIMIT_KIB {
            return costly("work (128 x r x N x p) in KiB", work, HASH_WORK_LIMIT_KIB);
        }
        // Written anew they must come out the same: no other flavour, no other parameter, nothing behind them.
        match Params::new(Mode::Rw, n, params.r(), params.p()) {
            Ok(plain) if plain == params && plain.to_string() == costs => {}
            _ => return Err(wrong),
        }
        let salt = Base64ShaCrypt::decode_vec(salt)
            .ok()
            .filter(|salt| salt.len() <= YESCRYPT_SALT_LIMIT_BYTES)
            .ok_or(malformed("salt", "at most 64 bytes in characters of ./0-9A-Za-z"))?;
        let output = Base64ShaCrypt::decode_vec(output)
            .ok()
            .and_then(|output| output.try_into().ok())
            .ok_or(malformed("output", "43 characters of ./0-9A-Za-z"))?;
        Ok(Yescrypt { params, salt, output })
    }

    pub(super) fn cost(&self) -> String {
        format!("N={},r={},p={}", self.params.n(), self.params.r(), self.params.p())
    }

    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut computed = [0; 32];
        // The parameters were checked when the hash was read: what is left to fail is the memory.
        yescrypt(password, &self.salt, &self.params, &mut computed).map_err(|_| HashError::OutOfMemory)?;
        Ok(equal(&computed, &self.output))
    }

    pub(super) fn secret_parts(&self) -> [&[u8]; 2] {
        [&self.salt, &self.output]
    }
}
