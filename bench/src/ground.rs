//! What all servers of the comparison share: the folder that they serve, the certificate, the account and the ports.
//!
//! Not inside: how each of them is told; that is [`crate::peers`].

use std::fs::{self, File};
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_interop::pattern;

use crate::generator::Files;

/// The account.
pub(crate) const USER: &str = longshore_interop::USER;
/// Its password; the hashes below are of it.
pub(crate) const PASSWORD: &str = longshore_interop::PASSWORD;
/// User and group of the account on this machine, where a server becomes it. Nobody else has them.
pub(crate) const USER_ID: u32 = 12_121;

/// SHA-256-crypt with the fewest rounds that there are: the cheapest hash that longshore, vsftpd, ProFTPD, Pure-FTPd and
/// pyftpdlib (through the system's `crypt`) all know.
pub(crate) const SHA256_CRYPT: &str =
    "$5$rounds=1000$longshorebench$pn.KP1VlIR9JRs0Enmt2hTRLBO/gN/6aecY9n8Ygh0.";
/// PBKDF2 with HMAC-SHA-256, which is all that unFTP knows: salt, key and rounds that take as long as the hash above.
pub(crate) const PBKDF2: (&str, &str, u32) =
    ("bG9uZ3Nob3JlYmVuY2gwMA==", "2kvYXWB2mBMdgXBgBOmt3d4L1ck+xJsLnw1GfZ5V1xo=", 1500);

/// Passive ports of whichever server runs; below those that the system gives to outgoing connections. Pure-FTPd wants
/// two for each session.
pub(crate) const PASSIVE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// One file of 1 GiB.
pub(crate) const BIG: Files = Files { prefix: "big", count: 1, bytes: 1 << 30 };
/// A file of 256 MiB for each of four connections.
pub(crate) const PARTS: Files = Files { prefix: "part", count: 4, bytes: 1 << 28 };
/// Files of 4 KiB.
pub(crate) const SMALL: Files = Files { prefix: "small/", count: 1000, bytes: 4096 };
/// A directory of empty files.
pub(crate) const MANY: Files = Files { prefix: "many/", count: 100_000, bytes: 0 };
/// Where uploads go.
const UPLOADS: &str = "up";

/// The folders and files of one run.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// Everything below is in it.
    pub(crate) folder: PathBuf,
    pub(crate) served: PathBuf,
    /// In PEM: the certificate, its key, and both in one file.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) pair: PathBuf,
    /// A folder without anything in it.
    pub(crate) empty: PathBuf,
    /// Settings and logs of the servers.
    pub(crate) settings: PathBuf,
}

impl Ground {
    /// Makes what is not there yet. The files are kept from run to run, and read once, so that the page cache has them.
    pub(crate) fn lay(folder: &Path) -> Result<Ground, String> {
        let ground = Ground::prepare(folder)?;
        for files in [BIG, PARTS, SMALL, MANY] {
            fill(&ground.served, files)?;
        }
        for files in [BIG, PARTS, SMALL] {
            warm(&ground.served, files)?;
        }
        Ok(ground)
    }

    /// The same without the files.
    pub(crate) fn prepare(folder: &Path) -> Result<Ground, String> {
        let ground = Ground {
            folder: folder.to_path_buf(),
            served: folder.join("served"),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            pair: folder.join("pair.pem"),
            empty: folder.join("empty"),
            settings: folder.join("settings"),
        };
        for path in [&ground.served, &ground.empty, &ground.settings] {
            explained(path, fs::create_dir_all(path))?;
        }
        ground.make_certificate()?;
        ground.clear_uploads()?;
        Ok(ground)
    }

    /// Removes all uploads, and leaves an empty folder for more.
    pub(crate) fn clear_uploads(&self) -> Result<(), String> {
        let path = self.served.join(UPLOADS);
        if path.exists() {
            explained(&path, fs::remove_dir_all(&path))?;
        }
        make_open(&path)
    }

    /// A new folder for uploads that every server may write to; its name as clients give it. Small files stay in it until
    /// [`Ground::clear_uploads`]: ext4 does not take the inodes of files that were removed a moment ago, and looks at each of
    /// them for each new file.
    pub(crate) fn upload_folder(&self) -> Result<String, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{UPLOADS}/{}", COUNT.fetch_add(1, Ordering::Relaxed));
        make_open(&self.served.join(&name))?;
        Ok(name)
    }

    /// A file with settings or secrets of a server; only we may read it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.settings.join(name);
        // The file is made anew, so that its mode is what it is made with.
        let _ = fs::remove_file(&path);
        explained(&path, fs::write(&path, text))?;
        explained(&path, fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))?;
        Ok(path)
    }

    fn make_certificate(&self) -> Result<(), String> {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-days", "2", "-config", "/dev/null", "-subj", "/CN=localhost"]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        openssl.arg("-keyout").arg(&self.key).arg("-out").arg(&self.certificate);
        let output = openssl.stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("openssl makes the certificate: {error}"))?;
        if !output.status.success() {
            return Err(format!("openssl makes no certificate: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let parts = [&self.key, &self.certificate].map(fs::read_to_string);
        let mut pair = String::new();
        for part in parts {
            pair += &explained(&self.folder, part)?;
        }
        explained(&self.pair, fs::write(&self.pair, pair))?;
        for path in [&self.key, &self.pair] {
            explained(path, fs::set_permissions(path, fs::Permissions::from_mode(0o600)))?;
        }
        Ok(())
    }
}

/// Makes a folder that the account and everybody else may write to.
fn make_open(path: &Path) -> Result<(), String> {
    explained(path, fs::create_dir(path))?;
    explained(path, fs::set_permissions(path, fs::Permissions::from_mode(0o777)))?;
    if rustix::process::geteuid().is_root() {
        explained(path, chown(path, Some(USER_ID), Some(USER_ID)))?;
    }
    Ok(())
}

/// Makes the files, or makes sure that the last of them is there.
fn fill(served: &Path, files: Files) -> Result<(), String> {
    let last = served.join(files.name(files.count - 1));
    if fs::metadata(&last).is_ok_and(|metadata| metadata.len() == files.bytes) {
        return Ok(());
    }
    if let Some(folder) = last.parent() {
        explained(folder, fs::create_dir_all(folder))?;
    }
    let block = pattern(files.bytes.min(1 << 20) as usize, 7);
    for number in 0..files.count {
        let path = served.join(files.name(number));
        let written = File::create(&path).and_then(|mut file| {
            let mut left = files.bytes;
            while left > 0 {
                let count = left.min(block.len() as u64);
                file.write_all(&block[..count as usize])?;
                left -= count;
            }
            // What still waits to be written would be written while something is measured.
            if files.bytes > 0 { file.sync_all() } else { Ok(()) }
        });
        explained(&path, written)?;
    }
    Ok(())
}

/// Reads the files.
fn warm(served: &Path, files: Files) -> Result<(), String> {
    for number in 0..files.count {
        let path = served.join(files.name(number));
        let read = File::open(&path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()));
        explained(&path, read)?;
    }
    Ok(())
}

/// An error that names its path.
pub(crate) fn explained<T>(path: &Path, result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_made_once_and_at_their_length() {
        let folder = longshore_interop::Folder::new("bench");
        let files = Files { prefix: "below/f", count: 2, bytes: (1 << 20) + 1 };
        fill(folder.path(), files).unwrap();
        let path = folder.path().join(files.name(1));
        assert_eq!(fs::metadata(&path).unwrap().len(), files.bytes);
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        fill(folder.path(), files).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
        warm(folder.path(), files).unwrap();
        assert!(warm(folder.path(), Files { count: 3, ..files }).unwrap_err().contains("below/f0002"));
    }
}
