//! Files of certificates and keys: what is read, what is refused in which words, and what is noticed later.

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{Authority, Folder, now, pem};
use longshore_tls::{Authorities, CertificateFiles, CertificateSet, Certificates, self_signed};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};

/// A certificate and its key in PEM.
fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, KeyPair) {
    let key = KeyPair::generate_for(algorithm).expect("random numbers");
    let certificate = CertificateParams::new(["ftp.example".to_owned()]).expect("a name").self_signed(&key);
    (pem("CERTIFICATE", certificate.expect("a certificate").der()), key)
}

/// What stands in the octet string of PKCS#8: PKCS#1 for RSA, SEC1 for elliptic curves.
fn inner(pkcs8: &[u8]) -> &[u8] {
    fn value(der: &[u8]) -> (u8, &[u8], &[u8]) {
        let (start, length) = match der[1] {
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            short => (2, usize::from(short)),
        };
        (der[0], &der[start..start + length], &der[start + length..])
    }
    let (_, body, _) = value(pkcs8);
    let (_, _, rest) = value(body);
    let (_, _, rest) = value(rest);
    let (tag, key, _) = value(rest);
    assert_eq!(tag, 4);
    key
}

fn load(chain: &Path, key: &Path) -> Result<CertificateSet, String> {
    CertificateSet::load(&[CertificateFiles::new(chain, key)], now()).map_err(|error| error.to_string())
}

#[test]
fn keys_are_read_in_all_their_forms() {
    let folder = Folder::new();
    let (rsa, rsa_key) = made(&PKCS_RSA_SHA256);
    let (ec, ec_key) = made(&PKCS_ECDSA_P256_SHA256);
    for (certificate, key) in [
        (&rsa, pem("PRIVATE KEY", &rsa_key.serialize_der())),
        (&rsa, pem("RSA PRIVATE KEY", inner(&rsa_key.serialize_der()))),
        (&ec, pem("PRIVATE KEY", &ec_key.serialize_der())),
        (&ec, pem("EC PRIVATE KEY", inner(&ec_key.serialize_der()))),
    ] {
        let chain = folder.write("chain", certificate);
        let set = load(&chain, &folder.write("key", &key)).expect("a pair");
        assert_eq!(set.warnings(), []);
        let info = set.infos().next().expect("one");
        assert_eq!((&info.file, &info.names[..]), (&Some(chain), &["ftp.example".to_owned()][..]));
        // Both in one file, with words around them, as programs write them.
        let both =
            folder.write("both", format!("Bag Attributes\n{key}\nsubject=CN = ftp.example\n{certificate}"));
        load(&both, &both).expect("a pair");
    }
}

/// `expected` has `CHAIN` and `KEY` for the paths.
#[track_caller]
fn check(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>, expected: &str) {
    let folder = Folder::new();
    let (chain, key) = (folder.write("chain", chain), folder.write("key", key));
    let error = load(&chain, &key).expect_err(expected);
    let shown = |path: &PathBuf| path.display().to_string();
    assert_eq!(error.replace(&shown(&chain), "CHAIN").replace(&shown(&key), "KEY"), expected);
}

#[test]
fn mistakes_are_told_with_file_cause_and_remedy() {
    let (chain, key) = made(&PKCS_ECDSA_P256_SHA256);
    let (other_chain, other_key) = made(&PKCS_ECDSA_P256_SHA256);
    let key = pem("PRIVATE KEY", &key.serialize_der());
    let other_key = pem("PRIVATE KEY", &other_key.serialize_der());
    check(
        "",
        &key,
        "CHAIN: no certificate in it; it must have the chain in PEM, ours first, each between BEGIN CERTIFICATE and END \
         CERTIFICATE",
    );
    check(
        &key,
        &chain,
        "CHAIN: no certificate in it; it holds a private key; the files for certificate and key may be exchanged",
    );
    check(
        &chain,
        &chain,
        "KEY: no private key in it; it holds certificates; the files for certificate and key may be exchanged",
    );
    check(
        [0x30, 0x82, 1, 1],
        &key,
        "CHAIN: no certificate in it; it seems to be in DER; convert it: openssl x509 -inform der -in OLD -out NEW",
    );
    check(
        &chain,
        [0x30, 0x82, 1, 1],
        "KEY: no private key in it; it seems to be in DER; convert it: openssl pkey -inform der -in OLD -out NEW",
    );
    check(
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        &key,
        "CHAIN: no certificate in it; it holds a request for a certificate; name what the authority sent back",
    );
    check(
        &chain,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "KEY: no private key in it; it is a key of OpenSSH; convert it: ssh-keygen -p -m PEM -f COPY",
    );
    let encrypted = "KEY: the private key is encrypted with a password, which a server cannot type; write it without \
                     one: openssl pkey -in KEY -out NEW (and keep NEW readable by the server alone)";
    check(
        &chain,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        encrypted,
    );
    check(
        &chain,
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA \
         PRIVATE KEY-----\n",
        encrypted,
    );
    check(
        &chain,
        &other_key,
        "KEY: this private key does not fit the certificate in CHAIN; name the key that the certificate was requested with",
    );
    check(
        format!("{other_chain}{chain}"),
        &key,
        "KEY: this private key does not fit the certificate in CHAIN, but certificate 2 in that file; put that one first",
    );
    check(
        &chain,
        pem("PRIVATE KEY", &[1, 2, 3]),
        "KEY: this kind of private key is not supported; use RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) or \
         Ed25519",
    );
    check(
        &chain[..chain.len() - 30],
        &key,
        "CHAIN: damaged: a BEGIN line without its END line; copy it again from where it came from",
    );
    check(
        chain.replacen("MII", "M!I", 1),
        &key,
        "CHAIN: damaged: letters that are no base64 between BEGIN and END; copy it again from where it came from",
    );
    check(
        pem("CERTIFICATE", &[1, 2, 3]),
        &key,
        "CHAIN: the certificate cannot be understood: invalid peer certificate: BadEncoding; let it be issued anew",
    );
    check(
        vec![b'x'; 1024 * 1024 + 1],
        &key,
        "CHAIN: larger than 1 MiB, which no certificate or key is; is it the right file?",
    );
}

#[test]
fn files_that_are_not_there() {
    let folder = Folder::new();
    let (chain, _) = made(&PKCS_ECDSA_P256_SHA256);
    let chain = folder.write("chain", chain);
    let missing = folder.0.join("missing");
    assert_eq!(
        load(&chain, &missing).expect_err("missing"),
        format!(
            "{}: cannot be read: No such file or directory (os error 2); check the path",
            missing.display()
        )
    );
    assert!(load(&folder.0, &chain).expect_err("a folder").contains("no regular file"));
    let pipe = folder.0.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    assert!(load(&pipe, &chain).expect_err("a pipe").contains("no regular file"));
    let none = CertificateSet::load(&[], now()).expect_err("nothing to serve");
    assert_eq!(none.to_string(), "TLS needs a certificate, and none is named");
}

#[test]
fn names_must_be_in_the_certificate() {
    let folder = Folder::new();
    let names = ["a.example".to_owned(), "*.b.example".to_owned(), "192.0.2.1".to_owned()];
    let pair = self_signed(&names, now()).expect("names");
    let chain = folder.write("chain", &pair.certificate_pem);
    let mut files = CertificateFiles::new(&chain, folder.write("key", &pair.key_pem));
    let load = |files: &CertificateFiles| CertificateSet::load(std::slice::from_ref(files), now());
    let set = load(&files).expect("a pair");
    assert_eq!(set.infos().next().expect("one").names, ["a.example", "*.b.example"]);
    files.names = vec!["A.example".into(), "x.b.example".into()];
    let set = load(&files).expect("they are in it");
    assert_eq!(set.infos().next().expect("one").names, ["a.example", "x.b.example"]);
    files.names = vec!["c.example".into()];
    assert_eq!(
        load(&files).expect_err("not in it").to_string(),
        format!(
            "{}: not for c.example, but for a.example, *.b.example; leave the name away, or get a certificate for it",
            chain.display()
        )
    );
}

#[test]
fn dates_and_other_doubts_are_warnings() {
    let folder = Folder::new();
    let key = KeyPair::generate().expect("random numbers");
    let mut params = CertificateParams::new(["ftp.example".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2020, 2, 29);
    params.not_after = rcgen::date_time_ymd(2051, 3, 1);
    let chain =
        folder.write("chain", pem("CERTIFICATE", params.self_signed(&key).expect("a certificate").der()));
    let key = folder.write("key", pem("PRIVATE KEY", &key.serialize_der()));
    let files = [CertificateFiles::new(&chain, &key)];
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let warnings = |seconds| -> Vec<String> {
        let set = CertificateSet::load(&files, at(seconds)).expect("a pair, whatever the time");
        set.warnings()
            .iter()
            .map(|warning| warning.to_string().replace(&*chain.display().to_string(), "CHAIN"))
            .collect()
    };
    // 2020-02-29 and 2051-03-01, to the second.
    let (begin, end) = (1_582_934_400, 2_561_241_600);
    assert_eq!(
        warnings(begin - 1),
        [
            "CHAIN: the certificate is valid from 2020-02-29 00:00 UTC on; clients will refuse it until then: check this \
          machine's clock"
        ]
    );
    assert_eq!(warnings(begin), <[&str; 0]>::default());
    assert_eq!(warnings(end), <[&str; 0]>::default());
    assert_eq!(
        warnings(end + 1),
        ["CHAIN: the certificate was valid until 2051-03-01 00:00 UTC; clients will refuse it: renew it"]
    );

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let twice = [files[0].clone(), files[0].clone()];
    let set = CertificateSet::load(&twice, at(begin)).expect("a pair");
    let shown: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    let open = format!("{0}: every user can read this private key: chmod 600 {0}", key.display());
    let again = format!("{}: ftp.example is served by a certificate named before this one", chain.display());
    assert_eq!(shown, [open.clone(), open, again]);
}

#[test]
fn what_is_self_signed_can_be_served_and_shown() {
    let names = ["ftp.example".to_owned(), "::1".to_owned()];
    let one = self_signed(&names, now()).expect("names");
    let set = CertificateSet::from_pem(one.certificate_pem.as_bytes(), one.key_pem.as_bytes(), now());
    let set = set.expect("a pair");
    assert_eq!(set.warnings(), []);
    let info = set.infos().next().expect("one").clone();
    assert_eq!((&info.subject[..], &info.names[..]), ("CN=ftp.example", &["ftp.example".to_owned()][..]));
    let valid = info.not_after.duration_since(info.not_before).expect("the end is behind");
    assert_eq!(valid, Duration::from_secs(825 * 24 * 60 * 60));
    assert_eq!(info.fingerprint.len(), 95);
    assert!(!format!("{one:?}").contains("PRIVATE"), "keys are none of a log's business");
    let two = self_signed(&names, now()).expect("names");
    assert_ne!(one.key_pem, two.key_pem);
    self_signed(&[], now()).expect_err("no name");
    self_signed(&["\u{1f6a2}".to_owned()], now()).expect_err("no name of a host");
}

#[test]
fn files_are_watched() {
    let folder = Folder::new();
    let write = |to: &str| {
        let pair = self_signed(&["ftp.example".to_owned()], now()).expect("a name");
        (
            folder.write(&format!("{to}.crt"), pair.certificate_pem),
            folder.write(&format!("{to}.key"), pair.key_pem),
        )
    };
    let (chain, key) = write("live");
    let files = [CertificateFiles::new(&chain, &key)];
    let load = || CertificateSet::load(&files, now()).expect("a pair");
    let certificates = Certificates::new(load());
    let first = certificates.current();
    // Renamed over, as careful programs do.
    let (new_chain, new_key) = write("new");
    std::fs::rename(new_chain, &chain).expect("one folder");
    CertificateSet::load(&files, now()).expect_err("only half of it is there");
    std::fs::rename(new_key, &key).expect("one folder");
    certificates.exchange(load());
    let fingerprint = |set: &CertificateSet| set.infos().next().expect("one").fingerprint.clone();
    assert_ne!(fingerprint(&first), fingerprint(&certificates.current()));
}

#[test]
fn authorities_are_read() {
    let folder = Folder::new();
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let file = folder.write("ca", format!("{}{}", one.pem, two.pem));
    assert_eq!(format!("{:?}", Authorities::load(&file).expect("two of them")), "Authorities(2)");
    Authorities::load(&folder.write("empty", "")).expect_err("none");
    let error =
        Authorities::load(&folder.write("bad", pem("CERTIFICATE", &[0x30, 0]))).expect_err("no certificate");
    assert!(error.to_string().contains("can vouch for clients"), "{error}");
}
