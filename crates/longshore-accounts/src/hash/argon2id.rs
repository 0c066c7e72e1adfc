//! Argon2id in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$salt$output`, salt and output in Base64
//! without padding. Neither the older version 16 nor its siblings argon2i and argon2d.

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding};

use super::{HashError, HashKind, decimal, equal};
use crate::limits::{
    ARGON2_LANES, ARGON2_LANES_LIMIT, ARGON2_MEMORY_KIB, ARGON2_OUTPUT_BYTES, ARGON2_OUTPUT_LIMITS_BYTES,
    ARGON2_PASSES, ARGON2_SALT_LIMITS_BYTES, HASH_MEMORY_LIMIT_KIB, HASH_WORK_LIMIT_KIB,
};

const KIND: HashKind = HashKind::Argon2id;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Argon2id {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Argon2id {
    /// Reads the fields behind `$argon2id$`.
    pub(super) fn parse(fields: &[&str]) -> Result<Argon2id, HashError> {
        let malformed = |part, expected| HashError::Malformed { kind: KIND, part, expected };
        let &[version, costs, salt, output] = fields else {
            return Err(malformed("form", "$argon2id$v=19$m=...,t=...,p=...$salt$hash"));
        };
        if version != "v=19" {
            return Err(malformed("version", "v=19"));
        }
        let (memory, passes, lanes) =
            costs_of(costs).ok_or(malformed("list of costs", "m=KIB,t=PASSES,p=LANES"))?;
        let costly = |cost, value, limit| Err(HashError::TooCostly { kind: KIND, cost, value, limit });
        if memory > HASH_MEMORY_LIMIT_KIB {
            return costly("memory (m) in KiB", memory, HASH_MEMORY_LIMIT_KIB);
        }
        if lanes > ARGON2_LANES_LIMIT {
            return costly("number of lanes (p)", lanes, ARGON2_LANES_LIMIT);
        }
        let work = memory.saturating_mul(passes);
        if work > HASH_WORK_LIMIT_KIB {
            return costly("memory times passes (m x t) in KiB", work, HASH_WORK_LIMIT_KIB);
        }
        if lanes == 0 || passes == 0 || memory < 8 * lanes {
            return Err(malformed("list of costs", "at least one pass, one lane, and 8 KiB for each lane"));
        }
        let salt = base64(salt, ARGON2_SALT_LIMITS_BYTES)
            .ok_or(malformed("salt", "8 to 64 bytes in Base64 without padding"))?;
        let output = base64(output, ARGON2_OUTPUT_LIMITS_BYTES)
            .ok_or(malformed("output", "16 to 64 bytes in Base64 without padding"))?;
        let small = |cost: u64| u32::try_from(cost).expect("below limits that are far below 2^32");
        let params = Params::new(small(memory), small(passes), small(lanes), Some(output.len()))
            .map_err(|_| malformed("list of costs", "what Argon2 allows (RFC 9106, section 3.1)"))?;
        Ok(Argon2id { params, salt, output })
    }

    pub(super) fn cost(&self) -> String {
        let Argon2id { params, .. } = self;
        format!("m={},t={},p={}", params.m_cost(), params.t_cost(), params.p_cost())
    }

    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut computed = vec![0; self.output.len()];
        compute(&self.params, password, &self.salt, &mut computed)?;
        Ok(equal(&computed, &self.output))
    }

    pub(super) fn secret_parts(&self) -> [&[u8]; 2] {
        [&self.salt, &self.output]
    }
}

/// A new hash with the costs of longshore.
pub(super) fn make(password: &[u8], salt: &[u8]) -> Result<String, HashError> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, Some(ARGON2_OUTPUT_BYTES))
        .expect("constants that Argon2 allows");
    let mut output = [0; ARGON2_OUTPUT_BYTES];
    compute(&params, password, salt, &mut output)?;
    let salt = Base64Unpadded::encode_string(salt);
    let output = Base64Unpadded::encode_string(&output);
    Ok(format!("$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}${salt}${output}"))
}

fn compute(params: &Params, password: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), HashError> {
    // Lengths and costs were checked when the hash was read: what is left to fail is the memory.
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into(password, salt, output)
        .map_err(|_| HashError::OutOfMemory)
}

/// Memory in KiB, passes and lanes, in the one order that the format knows.
fn costs_of(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.split(',');
    let mut cost = |name| parts.next()?.strip_prefix(name).and_then(decimal);
    let costs = (cost("m=")?, cost("t=")?, cost("p=")?);
    parts.next().is_none().then_some(costs)
}

fn base64(text: &str, (least, most): (usize, usize)) -> Option<Vec<u8>> {
    Base64Unpadded::decode_vec(text).ok().filter(|bytes| (least..=most).contains(&bytes.len()))
}
