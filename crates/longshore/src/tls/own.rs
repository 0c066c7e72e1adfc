//! The certificate that the server makes itself where none is configured, and keeps.
//!
//! One file holds it together with its key, so that both are always of one make; a copy without the key is for
//! clients. Two servers that start at once agree on the one that was first. Not inside: when it is made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use longshore_server::tls::{CertificateError, CertificateFiles, CertificateSet, SelfSigned, self_signed};
use nix::unistd::{Gid, Uid};

use super::day;
use crate::Failure;
use crate::limits::{OWN_CERTIFICATE_LEFT, STATE_DIRECTORY_MODE};

/// Certificate and key.
const FILE: &str = "self-signed.pem";
/// The certificate alone.
const PUBLIC: &str = "certificate.pem";

/// A certificate of our own.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) set: CertificateSet,
    /// Where it is kept; `None` where it is forgotten at the end.
    pub(crate) file: Option<PathBuf>,
    /// The copy for clients.
    pub(crate) public: Option<PathBuf>,
    pub(crate) notes: Vec<String>,
}

/// Where it is kept, for whom, and for which hosts one is made.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: Option<PathBuf>,
    /// Whom the files are given to.
    pub(crate) owner: Option<(Uid, Gid)>,
    pub(crate) names: Vec<String>,
}

/// What a directory holds, for whoever only looks.
pub(crate) enum Judgement {
    Good,
    Missing,
    /// It will be made anew, and why.
    Due(String),
}

/// What the next start would find.
pub(crate) fn judge(directory: &Path, now: SystemTime) -> Result<Judgement, Failure> {
    Ok(match look(&directory.join(FILE), now)? {
        Kept::Good(_) => Judgement::Good,
        Kept::Nothing => Judgement::Missing,
        Kept::Old(_, why) | Kept::Damaged(why) => Judgement::Due(why),
    })
}

/// What lies there.
enum Kept {
    Good(CertificateSet),
    Nothing,
    /// Not for much longer.
    Old(CertificateSet, String),
    Damaged(String),
}

impl Place {
    /// The certificate that is kept, or a new one.
    pub(crate) fn take(&self, now: SystemTime) -> Result<Own, Failure> {
        let Some(directory) = &self.directory else {
            let why = "this user has no home; name server.state_directory";
            return self.in_memory(None, now, &format!("it has no place to be kept: {why}"));
        };
        let file = directory.join(FILE);
        let (old, mut notes) = match look(&file, now)? {
            Kept::Good(set) => return Ok(kept(set, &file, Vec::new())),
            Kept::Nothing => (None, Vec::new()),
            Kept::Old(set, why) => (Some(set), vec![why]),
            Kept::Damaged(why) => (None, vec![why]),
        };
        let replaces = !notes.is_empty();
        let made = self.make(now)?;
        if let Err(error) = self.store(directory, &file, &made, replaces) {
            let why = format!("it cannot be kept in {}: {error}", directory.display());
            return match old {
                Some(set) => Ok(kept(set, &file, vec![format!("a new certificate is due, but {why}")])),
                None => self.in_memory(Some(made), now, &why),
            };
        }
        // What lies there now may be another's who was faster.
        match look(&file, now)? {
            Kept::Good(set) | Kept::Old(set, _) => {
                if replaces {
                    notes.push(format!("{}: a new certificate was made", file.display()));
                }
                Ok(kept(set, &file, notes))
            }
            Kept::Nothing | Kept::Damaged(_) => {
                let why = format!("{} is not what was just written there", file.display());
                self.in_memory(Some(made), now, &why)
            }
        }
    }

    fn make(&self, now: SystemTime) -> Result<SelfSigned, Failure> {
        self_signed(&self.names, now).map_err(|error| Failure::new(error.to_string()))
    }

    fn in_memory(&self, made: Option<SelfSigned>, now: SystemTime, why: &str) -> Result<Own, Failure> {
        let made = made.map_or_else(|| self.make(now), Ok)?;
        let set = CertificateSet::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes(), now)
            .map_err(|error| Failure::new(error.to_string()))?;
        let note =
            format!("the certificate is another one, with another fingerprint, after each start: {why}");
        Ok(Own { set, file: None, public: None, notes: vec![note] })
    }

    fn store(&self, directory: &Path, file: &Path, made: &SelfSigned, replaces: bool) -> io::Result<()> {
        self.make_directory(directory)?;
        let both = format!("{}{}", made.key_pem, made.certificate_pem);
        let new = self.write_beside(file, both.as_bytes(), 0o600)?;
        let stored = if replaces { fs::rename(&new, file) } else { first(&new, file) };
        // After a rename there is none.
        let _ = fs::remove_file(&new);
        stored?;
        File::open(directory)?.sync_all()
    }

    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(STATE_DIRECTORY_MODE).create(directory)?;
        match self.owner {
            Some((user, group)) => {
                std::os::unix::fs::lchown(directory, Some(user.as_raw()), Some(group.as_raw()))
            }
            None => Ok(()),
        }
    }

    /// A new file of a name that nobody has, in the same directory.
    fn write_beside(&self, file: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!(".longshore-{:016x}.new", u64::from_ne_bytes(random));
        let path = file.with_file_name(name);
        let written = self.write(&path, bytes, mode);
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        // Whatever the umask took away.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some((user, group)) = self.owner {
            std::os::unix::fs::fchown(&file, Some(user.as_raw()), Some(group.as_raw()))?;
        }
        file.sync_all()
    }

    /// Puts the certificate without its key beside the file, where it is not there yet.
    pub(crate) fn publish(&self, own: &mut Own) {
        let Some(file) = &own.file else { return };
        let public = file.with_file_name(PUBLIC);
        let published = fs::read_to_string(file).and_then(|both| {
            let certificate = certificate_in(&both).ok_or(io::ErrorKind::InvalidData)?;
            if fs::read_to_string(&public).is_ok_and(|there| there == certificate) {
                return Ok(());
            }
            let new = self.write_beside(&public, certificate.as_bytes(), 0o644)?;
            fs::rename(&new, &public).inspect_err(|_| {
                let _ = fs::remove_file(&new);
            })
        });
        match published {
            Ok(()) => own.public = Some(public),
            Err(error) => own.notes.push(format!("{}: cannot be written: {error}", public.display())),
        }
    }
}

fn kept(set: CertificateSet, file: &Path, notes: Vec<String>) -> Own {
    Own { set, file: Some(file.to_owned()), public: None, notes }
}

/// Gives a file its name if nobody else has it; who was first wins.
fn first(new: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(new, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn look(file: &Path, now: SystemTime) -> Result<Kept, Failure> {
    let shown = file.display();
    match CertificateSet::load(&[CertificateFiles::new(file, file)], now) {
        Ok(set) => {
            let until = set.infos().map(|info| info.not_after).min().unwrap_or(now);
            if until.duration_since(now).is_ok_and(|left| left >= OWN_CERTIFICATE_LEFT) {
                return Ok(Kept::Good(set));
            }
            let why = format!("{shown}: the certificate of this server's own is valid until {}", day(until));
            Ok(Kept::Old(set, why))
        }
        Err(CertificateError::Unreadable { why, .. }) => {
            if file.symlink_metadata().is_err() {
                // Neither there, nor known to be: what cannot be written either is told by the writing.
                return Ok(Kept::Nothing);
            }
            Err(Failure::new(format!("{shown}: the certificate of this server's own cannot be read: {why}"))
                .hint("let the user who starts longshore read it, or remove it: then another one is made"))
        }
        Err(error) => Ok(Kept::Damaged(error.to_string())),
    }
}

fn certificate_in(both: &str) -> Option<String> {
    let begin = both.find("-----BEGIN CERTIFICATE-----")?;
    const END: &str = "-----END CERTIFICATE-----";
    let end = begin + both.get(begin..)?.find(END)? + END.len();
    both.get(begin..end).map(|certificate| format!("{certificate}\n"))
}
