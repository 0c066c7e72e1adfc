//! Every bound of accounts, in one place.

use std::time::Duration;

/// The longest password in bytes that is held against a hash; the system's `crypt` takes no longer one either.
/// Beyond it every password is wrong, whatever the name, and nothing is computed.
pub const PASSWORD_LIMIT_BYTES: usize = 512;
/// The longest text in bytes that is read as a password hash.
pub const HASH_LIMIT_BYTES: usize = 512;

/// Memory of the Argon2id hashes that longshore makes, in KiB (OWASP's first recommendation for one lane).
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
/// Passes of the Argon2id hashes that longshore makes.
pub const ARGON2_PASSES: u32 = 2;
/// Lanes of the Argon2id hashes that longshore makes.
pub const ARGON2_LANES: u32 = 1;
/// Bytes of salt in the Argon2id hashes that longshore makes (RFC 9106, section 3.1).
pub const ARGON2_SALT_BYTES: usize = 16;
/// Bytes of output in the Argon2id hashes that longshore makes.
pub const ARGON2_OUTPUT_BYTES: usize = 32;

/// Memory in KiB that the verification of one hash may take, for the kinds that take any: 1 GiB.
pub const HASH_MEMORY_LIMIT_KIB: u64 = 1024 * 1024;
/// Memory times passes in KiB that the verification of one hash may write: four times over all it may take, some
/// seconds.
pub const HASH_WORK_LIMIT_KIB: u64 = 4 * HASH_MEMORY_LIMIT_KIB;
/// Lanes of an Argon2id hash. They are computed one after the other.
pub const ARGON2_LANES_LIMIT: u64 = 255;
/// The shortest and the longest salt of an Argon2id hash in bytes; RFC 9106 asks for 8 at least.
pub const ARGON2_SALT_LIMITS_BYTES: (usize, usize) = (8, 64);
/// The shortest and the longest output of an Argon2id hash in bytes. RFC 9106 allows 4, which a patient guesser
/// finds by chance.
pub const ARGON2_OUTPUT_LIMITS_BYTES: (usize, usize) = (16, 64);
/// Rounds of a `$5$` or `$6$` hash without `rounds=`.
pub const SHA_CRYPT_ROUNDS: u64 = 5000;
/// The fewest rounds of a `$5$` or `$6$` hash; `crypt` makes none with fewer.
pub const SHA_CRYPT_ROUNDS_LEAST: u64 = 1000;
/// The most rounds of a `$5$` or `$6$` hash. The format allows 999,999,999, which is minutes for each login; this
/// is some seconds.
pub const SHA_CRYPT_ROUNDS_LIMIT: u64 = 5_000_000;
/// The longest salt of a `$5$` or `$6$` hash in characters; `crypt` drops the rest.
pub const SHA_CRYPT_SALT_LIMIT: usize = 16;
/// The longest salt of a `$y$` hash in bytes.
pub const YESCRYPT_SALT_LIMIT_BYTES: usize = 64;

/// How long verified credentials are remembered, counted from their verification and never prolonged.
pub const VERIFIED_FOR: Duration = Duration::from_secs(60);
/// Verified credentials that are remembered at once; the oldest leave first.
pub const VERIFIED_LIMIT: usize = 4096;

/// Path rules of one account.
pub const PATH_RULES_LIMIT: usize = 64;
/// The longest pattern of a path rule in bytes.
pub const PATTERN_LIMIT_BYTES: usize = 1024;
/// Components of one pattern. With the longest path, of 2048 components, and all the rules there may be, one
/// question is answered in at most 2^21 comparisons of two names.
pub const PATTERN_COMPONENTS_LIMIT: usize = 16;

/// All the mode bits that an account may ask for: permissions, set-group-ID and sticky. Set-user-ID is not among
/// them: nothing that was uploaded should run as the user of the server.
pub const MODE_BITS: u32 = 0o3777;

const _: () = {
    assert!(ARGON2_MEMORY_KIB as u64 <= HASH_MEMORY_LIMIT_KIB, "longshore accepts what it makes");
    assert!(ARGON2_MEMORY_KIB as u64 * ARGON2_PASSES as u64 <= HASH_WORK_LIMIT_KIB);
    assert!(ARGON2_LANES as u64 <= ARGON2_LANES_LIMIT);
    assert!(
        ARGON2_SALT_LIMITS_BYTES.0 <= ARGON2_SALT_BYTES && ARGON2_SALT_BYTES <= ARGON2_SALT_LIMITS_BYTES.1
    );
    assert!(
        ARGON2_OUTPUT_LIMITS_BYTES.0 <= ARGON2_OUTPUT_BYTES
            && ARGON2_OUTPUT_BYTES <= ARGON2_OUTPUT_LIMITS_BYTES.1
    );
    assert!(SHA_CRYPT_ROUNDS_LEAST <= SHA_CRYPT_ROUNDS && SHA_CRYPT_ROUNDS <= SHA_CRYPT_ROUNDS_LIMIT);
};
