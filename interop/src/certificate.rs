//! A certificate for the servers of the tests, and the authority behind it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::wan::End;

/// Where they lie, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// What clients trust.
    pub(crate) authority: PathBuf,
    /// What the server shows.
    pub(crate) chain: PathBuf,
    /// The server's private key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes them in a folder. The certificate is valid for two days, for the loopback and the wide-area link.
    ///
    /// # Panics
    /// When `openssl` cannot.
    #[track_caller]
    pub(crate) fn make(folder: &Path) -> Certificate {
        let made = Certificate {
            authority: folder.join("authority.pem"),
            chain: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        let authority_key = folder.join("authority-key.pem");
        let names = format!(
            "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,IP:{},IP:{}",
            End::A.address(),
            End::B.address()
        );
        let request = || {
            let mut command = Command::new("openssl");
            command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
            command.args(["-days", "2", "-config", "/dev/null"]);
            command
        };
        let mut authority = request();
        authority.args(["-subj", "/CN=longshore interop authority"]);
        authority.args(["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=keyCertSign"]);
        authority.arg("-keyout").arg(&authority_key).arg("-out").arg(&made.authority);
        let mut leaf = request();
        leaf.args(["-subj", "/CN=localhost", "-addext", &names]);
        leaf.args(["-addext", "basicConstraints=critical,CA:false", "-addext", "keyUsage=digitalSignature"]);
        leaf.args(["-addext", "extendedKeyUsage=serverAuth", "-addext", "authorityKeyIdentifier=keyid"]);
        leaf.arg("-CA").arg(&made.authority).arg("-CAkey").arg(&authority_key);
        leaf.arg("-keyout").arg(&made.key).arg("-out").arg(&made.chain);
        for mut command in [authority, leaf] {
            let output = command.stdin(Stdio::null()).output();
            let output = output.unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
        }
        made
    }
}
