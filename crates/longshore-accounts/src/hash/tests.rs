//! Hashes of other makers, and texts that are none.
//!
//! The vectors come from libxcrypt 4.4.33 (`$5$`, `$6$`, `$y$`) and from the reference implementation of Argon2.

use proptest::prelude::*;

use super::*;

type Vectors = &'static [(&'static [u8], &'static str)];

const ARGON2ID: Vectors = &[
    (b"", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$yPZIIR6GDpIUT2qkieYKWtr/+NCNZVPGUgytSz8FnyU"),
    (
        b"pleaseletmein",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$KiCLU+qzf4/mZL90KjwxGUH7pYOL2VrsWMdv9I6QLjE",
    ),
    (
        "pässwört 한글".as_bytes(),
        "$argon2id$v=19$m=64,t=3,p=4$c29tZXNhbHQxMjM0NTY3OA$4tvSO5ZBu3bwV4AIFO4xLeUnkyj55AL6uJ1cNyKONVE",
    ),
    (b"\xFF\xFE\x80", "$argon2id$v=19$m=8,t=1,p=1$ZWlnaHRjaHI$abaCnGBhlLBm4h+nJqgt2g"),
    (
        b"pleaseletmein",
        "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$/nrUHMJPwxEaFUpXb1wAxT0kle/qgOFgpGV7LpmD2XHvi4+VezM+MNdo8b1xORTrpa4bha5pczj/w/JUExnTNw",
    ),
    (
        b"\0nul\0",
        "$argon2id$v=19$m=32,t=1,p=2$c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzcw$l+FFTfW0AXdqY79fOr1fmL9kFjQ",
    ),
    (
        &[b'a'; 512],
        "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$a5Ms4kEj2j6yK5saWJ9X08zKBCLPkKIsiisp/F86wzE",
    ),
];

const SHA256_CRYPT: Vectors = &[
    (b"", "$5$saltstring$FdNfA4gXqvCeO6iZs7G/.wwwoywYZqo0l1pwmfWaBA7"),
    (b"pleaseletmein", "$5$saltstring$yHu4NCI8wZtVmEi4UlBewMEOd14T6b2X6goRY6eWJo7"),
    ("pässwört 한글".as_bytes(), "$5$saltstring$5pSwZ0.3HD1StwNcZ3W4Dla5MNlZyoZWneAAH0Iq1yC"),
    (b"\xFF\xFE\x80", "$5$saltstring$fG/dYrwUAHQS0S0F4g7p9tdK2TPppIb9JIo2QosWWv4"),
    (&[b'a'; 511], "$5$saltstring$XND/iQ94V1n.EkMJUl0hOuMVGr8Ji3xyhupLv1Kx9cA"),
    (b"pleaseletmein", "$5$rounds=1000$$AkMF7nd5/QmMfFowocG.VfPy6TSTVeW/rM1sRsSw.f1"),
    ("pässwört 한글".as_bytes(), "$5$rounds=1234$s$XZR4PQ/yEmrPSQzTV0I7/RolTl56J63lNXMy2hES0h/"),
];

const SHA512_CRYPT: Vectors = &[
    (
        b"",
        "$6$saltstring$kyGrqt6gmjAdtFLPrflEFifSYLCWWq1pyx95SvqinLDy2UHmj0sTF0MSLMwxPFZc3tu5kQckI8fks0zOPda3n1",
    ),
    (
        b"pleaseletmein",
        "$6$saltstring$SqyhDWidy1FyYQvxJS0mCfscyB71Ni5Yi9UsukwaGkrvtN5uj8uxcQrCB9XRTz8SWHp08vMi14NTi36I1YPJR.",
    ),
    (
        "pässwört 한글".as_bytes(),
        "$6$saltstring$H5CNPElVfP.msea.X69BrXSDb5k3kbAq/YBk.kOj9rp0/.krkuSqcxRclGmF6bEXOq78LVZM0R1JCgntCIgdy0",
    ),
    (
        b"\xFF\xFE\x80",
        "$6$saltstring$IEMeAuhJeapqYW3s5XpX/MpulBU8XYY4eqRULdGh84Rs/0orEWv0ySqNyfrB6TfqIh2gAhzqJzAcjmCgf7l820",
    ),
    (
        &[b'a'; 511],
        "$6$saltstring$iKsFaYHu7MZY9M6Upz.20nm14Ml4jP8Od7dgaUt2Kov0km7yRGr6c07lGS4QNMNc9BV4ALkwxh73MrNmsssL5/",
    ),
    (
        b"pleaseletmein",
        "$6$$3ePKU3DAjA/JJvGQZDg/FhukJhCpv4ipBId2..CETqovSEmn0z2PdLqZ3XCa.r1hHdmM4CWXR08J4teEKXK6g/",
    ),
    (
        "pässwört 한글".as_bytes(),
        "$6$rounds=1000$0123456789abcdef$KJjrzhRiG7ko4wA.UdtK5oDEi5fRR.3vappgInJ7K4sjvGkT7axXFdR2eYcQWckzPvqfKqE3wDwAh4rCmcwsV/",
    ),
];

const YESCRYPT: Vectors = &[
    (b"", "$y$j75$saltsaltsalt$36ieO/Wps9Q0I3s4JCc6Su2Lc0OcF2OD08IhFp95JQA"),
    (b"pleaseletmein", "$y$j75$saltsaltsalt$m5U6RpOReAhhyplDoS9tNm6PcN9O0kglRcoh0kR/iQ2"),
    ("pässwört 한글".as_bytes(), "$y$j75$saltsaltsalt$Zt/2/oHh7LbMM1e8z40JMA8QTtov4PXWsQShCJn.ZT1"),
    (b"\xFF\xFE\x80", "$y$j75$saltsaltsalt$4vRVHiUppyJ097hMqGn/NTyJJWRHninf2y4djVf4I71"),
    (&[b'a'; 511], "$y$j75$saltsaltsalt$ROxQLBrTJySe2XWg05isDFizS9UCIx3UuKBS9WRjDq1"),
    (b"pleaseletmein", "$y$j75$$BzvHmI/e8QuyzYI6lWdm10RtdhckUnfCDQ2pl1WCceB"),
    ("pässwört 한글".as_bytes(), "$y$j75.0$saltsalt$r8E4F06Tbs3koAOe.kkd3JOylZYq8J3pQNUtjCBvEk."),
    ("pässwört 한글".as_bytes(), "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$CxGFAZhvempTZ6T37kHVAgJXSSWBMdoEAdzG4Gbh.T."),
];

#[track_caller]
fn hash(text: &str) -> PasswordHash {
    PasswordHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn check(kind: HashKind, vectors: Vectors) {
    for &(password, text) in vectors {
        let hash = hash(text);
        assert_eq!(hash.kind(), kind);
        assert!(hash.verify(password), "{text}");
        assert!(!hash.verify(&[password, b"x"].concat()), "{text} with one byte more");
        match password {
            [.., last] => {
                let shorter = &password[..password.len() - 1];
                assert!(!hash.verify(shorter), "{text} with one byte less");
                let other = [shorter, &[last ^ 0x20]].concat();
                assert!(!hash.verify(&other), "{text} with another byte");
            }
            [] => assert!(!hash.verify(b" "), "{text} with a space"),
        }
    }
}

#[test]
fn argon2id_of_others() {
    check(HashKind::Argon2id, ARGON2ID);
}

#[test]
fn sha256_crypt_of_others() {
    check(HashKind::Sha256Crypt, SHA256_CRYPT);
}

#[test]
fn sha512_crypt_of_others() {
    check(HashKind::Sha512Crypt, SHA512_CRYPT);
}

#[test]
fn yescrypt_of_others() {
    check(HashKind::Yescrypt, YESCRYPT);
}

#[test]
fn one_is_made_as_the_reference_makes_it() {
    let made = PasswordHash::new_argon2id_with_salt(b"pleaseletmein", b"somesalt12345678");
    assert_eq!(made.as_deref(), Ok(ARGON2ID[1].1));
    let made = PasswordHash::new_argon2id(b"hunter2").expect("random bytes");
    let other = PasswordHash::new_argon2id(b"hunter2").expect("random bytes");
    assert_ne!(made, other, "each has its own salt");
    let made = hash(&made);
    assert!(made.verify(b"hunter2") && !made.verify(b"hunter3"));
    assert_eq!(made.cost(), "m=19456,t=2,p=1");
}

#[test]
fn long_passwords_are_refused_unread() {
    let long = [b'a'; PASSWORD_LIMIT_BYTES + 1];
    assert_eq!(PasswordHash::new_argon2id(&long), Err(HashError::PasswordTooLong));
    spy::take();
    assert!(!hash(ARGON2ID[0].1).verify(&long));
    assert_eq!(spy::take(), [""; 0], "nothing was computed");
    assert!(!hash(ARGON2ID[0].1).verify(&long[1..]));
    assert_eq!(spy::take(), ["argon2id m=64,t=2,p=1"]);
}

#[test]
fn what_is_shown_is_no_secret() {
    #[track_caller]
    fn shows(text: &str, expected: &str) {
        assert_eq!(format!("{:?}", hash(text)), format!("PasswordHash({expected})"));
    }
    shows(ARGON2ID[2].1, "argon2id m=64,t=3,p=4");
    shows(SHA256_CRYPT[0].1, "sha256crypt rounds=5000");
    shows(SHA256_CRYPT[5].1, "sha256crypt rounds=1000");
    shows(SHA512_CRYPT[0].1, "sha512crypt rounds=5000");
    shows(YESCRYPT[0].1, "yescrypt N=1024,r=8,p=1");
    shows(YESCRYPT[6].1, "yescrypt N=1024,r=8,p=4");
    shows(YESCRYPT[7].1, "yescrypt N=4096,r=32,p=1");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = PasswordHash::parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn what_is_no_hash() {
    for text in
        ["", "hunter2", "$", "$$", "$x$", "$hunter2$", "$6", "6$salt$hash", "ab1LKVjDYzWnU", " $6$salt$hash"]
    {
        let error = PasswordHash::parse(text).expect_err(text);
        assert_eq!(error, HashError::NotAHash, "{text}");
        assert!(!error.to_string().contains("hunter2"), "it may be a password");
    }
    for text in ["!", "*", "!!", "!*", "*LK*", "!$6$salt$hash"] {
        assert_eq!(PasswordHash::parse(text), Err(HashError::Locked), "{text}");
    }
    refused("$2b$12$abcdefghijklmnopqrstuu", "bcrypt hashes are not accepted; accepted are argon2id");
    refused("$1$salt$hash", "md5crypt hashes are not accepted");
    refused("$7$C6..../....salt$hash", "scrypt hashes are not accepted");
    refused("$gy$j9T$salt$hash", "gost-yescrypt hashes are not accepted");
    refused("$argon2i$v=19$m=32,t=1,p=1$c29tZXNhbHQ$aaaa", "argon2i hashes are not accepted");
    refused("$argon2d$v=19$m=32,t=1,p=1$c29tZXNhbHQ$aaaa", "argon2d hashes are not accepted");
    refused(&format!("$6$salt${}", "x".repeat(HASH_LIMIT_BYTES)), "this is not a password hash");
}

const SALT: &str = "c29tZXNhbHQxMjM0NTY3OA";
const OUTPUT: &str = "yPZIIR6GDpIUT2qkieYKWtr/+NCNZVPGUgytSz8FnyU";

#[test]
fn what_is_wrong_with_an_argon2id_hash() {
    let wrong = |rest: &str, expected| refused(&format!("$argon2id${rest}"), expected);
    let costs = |costs: &str, expected| wrong(&format!("v=19${costs}${SALT}${OUTPUT}"), expected);
    wrong("", "the form of this argon2id hash cannot be read");
    wrong(&format!("m=64,t=2,p=1${SALT}${OUTPUT}"), "form");
    wrong(&format!("v=19$m=64,t=2,p=1${SALT}"), "form");
    wrong(&format!("v=19$m=64,t=2,p=1${SALT}${OUTPUT}$"), "form");
    wrong(
        &format!("v=16$m=64,t=2,p=1${SALT}${OUTPUT}"),
        "the version of this argon2id hash cannot be read; expected: v=19",
    );
    for text in [
        "",
        "m=64,t=2",
        "t=2,m=64,p=1",
        "m=64,t=2,p=1,",
        "m=64,t=2,p=1,keyid=aa",
        "m=+64,t=2,p=1",
        "m=064,t=2,p=1",
        "m=,t=2,p=1",
        "m=-1,t=2,p=1",
        "m=99999999999999999999,t=2,p=1",
        "m=64, t=2,p=1",
    ] {
        costs(text, "expected: m=KIB,t=PASSES,p=LANES");
    }
    costs("m=64,t=0,p=1", "at least one pass");
    costs("m=64,t=2,p=0", "at least one pass");
    costs("m=7,t=2,p=1", "8 KiB for each lane");
    costs("m=15,t=2,p=2", "8 KiB for each lane");
    costs("m=0,t=2,p=1", "8 KiB for each lane");
    costs("m=1048577,t=1,p=1", "its memory (m) in KiB comes to 1048577, the limit is 1048576");
    costs("m=9999999999999999999,t=1,p=1", "its memory (m) in KiB comes to 9999999999999999999");
    costs(
        "m=1048576,t=5,p=1",
        "its memory times passes (m x t) in KiB comes to 5242880, the limit is 4194304",
    );
    costs("m=64,t=9999999999999999999,p=1", "memory times passes");
    costs("m=4096,t=1,p=256", "its number of lanes (p) comes to 256, the limit is 255");
    let salt =
        |salt: &str| wrong(&format!("v=19$m=64,t=2,p=1${salt}${OUTPUT}"), "salt of this argon2id hash");
    salt("");
    salt("c2FsdHNhbA");
    salt("c29tZXNhbHQ=");
    salt("c29tZXNhbHR=");
    salt("c29tZXNhb!Q");
    salt(&"c2FsdHNh".repeat(11));
    let output =
        |output: &str| wrong(&format!("v=19$m=64,t=2,p=1${SALT}${output}"), "output of this argon2id hash");
    output("");
    output("abaCnGBhlLBm4h+nJqgt");
    output("yPZIIR6GDpIUT2qkieYKWtr_-NCNZVPGUgytSz8FnyU");
    output(&"c2FsdHNh".repeat(11));
}

#[test]
fn costs_up_to_the_limits_are_read() {
    // Read, not computed: that is what the limits are for.
    assert_eq!(
        hash(&format!("$argon2id$v=19$m=1048576,t=4,p=255${SALT}${OUTPUT}")).cost(),
        "m=1048576,t=4,p=255"
    );
    let output = "kyGrqt6gmjAdtFLPrflEFifSYLCWWq1pyx95SvqinLDy2UHmj0sTF0MSLMwxPFZc3tu5kQckI8fks0zOPda3n1";
    assert_eq!(hash(&format!("$6$rounds=5000000$s${output}")).cost(), "rounds=5000000");
    // The most that mkpasswd makes.
    let made = "$y$jFT$jjSFLG.oThO1yBWq44zoy/$GpYkaXXrOa7QqTri/vInQNSxmCX2IRlFDUgmb34Ckw4";
    assert_eq!(hash(made).cost(), "N=262144,r=32,p=1");
}

#[test]
fn what_is_wrong_with_a_sha_crypt_hash() {
    let output = "kyGrqt6gmjAdtFLPrflEFifSYLCWWq1pyx95SvqinLDy2UHmj0sTF0MSLMwxPFZc3tu5kQckI8fks0zOPda3n1";
    let wrong = |rest: &str, expected| refused(&format!("$6${rest}"), expected);
    wrong("", "the form of this sha512crypt hash cannot be read");
    wrong("salt", "form");
    wrong(&format!("rounds=5000${output}"), "form");
    wrong(&format!("salt${output}$"), "form");
    wrong(&format!("5000$salt${output}"), "form");
    for rounds in ["", "999", "0", "01000", "+1000", "-1", "1000 ", "1e4", "99999999999999999999"] {
        wrong(
            &format!("rounds={rounds}$salt${output}"),
            "number of rounds of this sha512crypt hash cannot be read",
        );
    }
    wrong(
        &format!("rounds=5000001$salt${output}"),
        "its number of rounds comes to 5000001, the limit is 5000000",
    );
    wrong(&format!("rounds=999999999$salt${output}"), "comes to 999999999");
    wrong(&format!("0123456789abcdefg${output}"), "expected: at most 16 ASCII characters");
    wrong(&format!("sälz${output}"), "salt");
    wrong(&format!("sa lt${output}"), "salt");
    wrong("salt$", "expected: 86 characters");
    wrong(&format!("salt${}", &output[1..]), "expected: 86 characters");
    wrong(&format!("salt${output}."), "expected: 86 characters");
    wrong(&format!("salt${}", output.replacen('k', "+", 1)), "expected: 86 characters");
    wrong(&format!("salt${}", &output[..43]), "expected: 86 characters");
    refused(
        &format!("$5$salt${output}"),
        "the output of this sha256crypt hash cannot be read; expected: 43 characters",
    );
}

#[test]
fn what_is_wrong_with_a_yescrypt_hash() {
    let output = "36ieO/Wps9Q0I3s4JCc6Su2Lc0OcF2OD08IhFp95JQA";
    let wrong = |rest: &str, expected| refused(&format!("$y${rest}"), expected);
    wrong("", "the form of this yescrypt hash cannot be read");
    wrong("j75", "form");
    wrong(&format!("j75$salt${output}$"), "form");
    // Classic and write-once flavours, a time factor, a read-only memory, something behind them, nothing at all.
    for costs in [".75", "/75", "j75/0", "jC559", "j75x", "j75.0x", "j7", "j", "", "j7!", "k75"] {
        wrong(&format!("{costs}$salt${output}"), "list of parameters of this yescrypt hash cannot be read");
    }
    wrong(
        &format!("jGT$salt${output}"),
        "its memory (128 x r x N) in KiB comes to 2097152, the limit is 1048576",
    );
    wrong(&format!("jzzzzz5$salt${output}"), "yescrypt hash");
    wrong(
        &format!("jFT.2$salt${output}"),
        "its work (128 x r x N x p) in KiB comes to 6291456, the limit is 4194304",
    );
    wrong(&format!("j75$s${output}"), "salt of this yescrypt hash");
    wrong(&format!("j75$sa!t${output}"), "salt");
    wrong(&format!("j75${}${output}", "salt".repeat(22)), "salt");
    wrong("j75$salt$", "expected: 43 characters");
    wrong(&format!("j75$salt${}", &output[1..]), "expected: 43 characters");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\$(argon2id|5|6|y|1)\\$[a-zA-Z0-9./=,$+]{0,120}") {
        let _ = PasswordHash::parse(&text);
    }

    #[test]
    fn no_parameters_panic(costs in "[./0-9A-Za-z]{0,12}", memory in any::<u64>(), passes in any::<u64>()) {
        let output = "36ieO/Wps9Q0I3s4JCc6Su2Lc0OcF2OD08IhFp95JQA";
        let _ = PasswordHash::parse(&format!("$y${costs}$salt${output}"));
        let _ = PasswordHash::parse(&format!("$argon2id$v=19$m={memory},t={passes},p={passes}${SALT}${OUTPUT}"));
    }

    /// What was read can be verified without a panic, whatever the parameters were: here small ones.
    #[test]
    fn what_is_read_can_be_computed(memory in 0u64..128, passes in 0u64..3, lanes in 0u64..6, costs in "j[./0-2][./0-5](\\.[./0-3])?") {
        let output = "36ieO/Wps9Q0I3s4JCc6Su2Lc0OcF2OD08IhFp95JQA";
        for text in [
            format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${SALT}${OUTPUT}"),
            format!("$y${costs}$salt${output}"),
        ] {
            if let Ok(hash) = PasswordHash::parse(&text) {
                prop_assert_eq!(hash.try_verify(b"password"), Ok(false), "{}", text);
            }
        }
    }
}
