//! `$5$` and `$6$`: `[rounds=N$]salt$output`, as Ulrich Drepper specified them for `crypt(3)`. Salts are taken as
//! they stand; only the output is in an alphabet and an order of its own.

use base64ct::{Base64ShaCrypt, Encoding};
use sha_crypt::{Params, sha256_crypt, sha512_crypt};

use super::{HashError, HashKind, decimal, equal};
use crate::limits::{SHA_CRYPT_ROUNDS, SHA_CRYPT_ROUNDS_LEAST, SHA_CRYPT_ROUNDS_LIMIT, SHA_CRYPT_SALT_LIMIT};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct ShaCrypt {
    params: Params,
    rounds: u32,
    salt: String,
    output: Output,
}

/// The digest in its own order, not in that of the text.
#[derive(Clone, PartialEq, Eq)]
enum Output {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl ShaCrypt {
    /// Reads the fields behind `$5$` or `$6$`.
    pub(super) fn parse(kind: HashKind, fields: &[&str]) -> Result<ShaCrypt, HashError> {
        let malformed = |part, expected| HashError::Malformed { kind, part, expected };
        let (rounds, fields) = match fields {
            [first, rest @ ..] => match first.strip_prefix("rounds=") {
                Some(rounds) => (decimal(rounds), rest),
                None => (Some(SHA_CRYPT_ROUNDS), fields),
            },
            [] => (None, fields),
        };
        let rounds = rounds
            .filter(|&rounds| rounds >= SHA_CRYPT_ROUNDS_LEAST)
            .ok_or(malformed("number of rounds", "rounds=N with N from 1000 on, or none for 5000"))?;
        if rounds > SHA_CRYPT_ROUNDS_LIMIT {
            let limit = SHA_CRYPT_ROUNDS_LIMIT;
            return Err(HashError::TooCostly { kind, cost: "number of rounds", value: rounds, limit });
        }
        let &[salt, output] = fields else {
            return Err(malformed("form", "[rounds=N$]salt$hash behind the kind"));
        };
        if salt.len() > SHA_CRYPT_SALT_LIMIT || !salt.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("salt", "at most 16 ASCII characters"));
        }
        let output = match kind {
            HashKind::Sha256Crypt => ordered(output, 2)
                .map(Output::Sha256)
                .ok_or(malformed("output", "43 characters of ./0-9A-Za-z"))?,
            _ => ordered(output, 1)
                .map(Output::Sha512)
                .ok_or(malformed("output", "86 characters of ./0-9A-Za-z"))?,
        };
        let rounds = u32::try_from(rounds).expect("below a limit that is far below 2^32");
        let params = Params::new(rounds)
            .map_err(|_| malformed("number of rounds", "what the format allows, 1000 to 999999999"))?;
        Ok(ShaCrypt { params, rounds, salt: salt.to_owned(), output })
    }

    pub(super) fn kind(&self) -> HashKind {
        match self.output {
            Output::Sha256(_) => HashKind::Sha256Crypt,
            Output::Sha512(_) => HashKind::Sha512Crypt,
        }
    }

    pub(super) fn cost(&self) -> String {
        format!("rounds={}", self.rounds)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match &self.output {
            Output::Sha256(output) => {
                equal(&sha256_crypt(password, self.salt.as_bytes(), self.params), output)
            }
            Output::Sha512(output) => {
                equal(&sha512_crypt(password, self.salt.as_bytes(), self.params), output)
            }
        }
    }

    pub(super) fn secret_parts(&self) -> [&[u8]; 2] {
        let output: &[u8] = match &self.output {
            Output::Sha256(output) => output,
            Output::Sha512(output) => output,
        };
        [self.salt.as_bytes(), output]
    }
}

/// Decodes an output and puts its bytes in order.
///
/// The text takes one byte from each third of the digest at a time, last third first, and from group to group the
/// thirds change their places by `turn`. What is left over when the digest is no multiple of three comes last.
fn ordered<const N: usize>(text: &str, turn: usize) -> Option<[u8; N]> {
    let shuffled = Base64ShaCrypt::decode_vec(text).ok()?;
    let shuffled: [u8; N] = shuffled.try_into().ok()?;
    let third = N / 3;
    let mut digest = [0; N];
    for group in 0..third {
        for place in 0..3 {
            let from = (2 - place + group * turn) % 3;
            digest[from * third + group] = shuffled[group * 3 + place];
        }
    }
    // The last byte of 64 stands alone, the last two of 32 are in the order of the digest.
    digest[third * 3..].copy_from_slice(&shuffled[third * 3..]);
    Some(digest)
}
