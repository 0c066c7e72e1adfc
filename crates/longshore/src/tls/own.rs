//! The certificate that the server makes itself where none is configured, and keeps.
//!
//! One file holds it together with its key, so that both are always of one make; a copy without the key is for
//! clients. Two servers that start at once agree on the one that was first. Whoever serves may put into the directory what
//! they like: root opens nothing there but what is root's own. Not inside: when it is made.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use longshore_server::tls::{CertificateError, CertificateFiles, CertificateSet, SelfSigned, self_signed};
use nix::unistd::{Gid, Uid, geteuid};
use rustix::fs::{Dir, Mode, OFlags, open, openat};

use super::day;
use super::watch::Watch;
use crate::Failure;
use crate::limits::{OWN_CERTIFICATE_LEFT, OWN_FILE_LIMIT_BYTES, STATE_DIRECTORY_MODE};

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
    /// Of the file, from before it was read.
    pub(crate) watch: Watch,
    pub(crate) notes: Vec<String>,
}

/// Where it is kept, for whom, and for which hosts one is made.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: Option<PathBuf>,
    /// Whom root becomes before it is read or made.
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
    /// The file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(FILE))
    }

    /// What root does for whoever it becomes: makes the directory, and gives away what root has made in it. What cannot
    /// be given is told by [`take`](Place::take), which then cannot read or write.
    pub(crate) fn give(&self) {
        let (Some(directory), Some((user, group))) = (&self.directory, self.owner) else { return };
        let owner = (Some(user.as_raw()), Some(group.as_raw()));
        if directory.symlink_metadata().is_err() && make_directory(directory).is_err() {
            return;
        }
        let Some(opened) = of_root_alone(directory) else { return };
        for name in [FILE, PUBLIC] {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(file) = openat(&opened, name, flags, Mode::empty()).map(File::from) else { continue };
            let is_plain =
                |metadata: Metadata| metadata.is_file() && metadata.uid() == 0 && metadata.nlink() == 1;
            if file.metadata().is_ok_and(is_plain) {
                let _ = fchown(&file, owner.0, owner.1);
            }
        }
        if holds_only_ours(&opened) {
            let _ = fchown(&opened, owner.0, owner.1);
        }
    }

    /// The certificate that is kept, or a new one.
    pub(crate) fn take(&self, now: SystemTime) -> Result<Own, Failure> {
        let Some(directory) = &self.directory else {
            let why = "this user has no home; name server.state_directory";
            return self.in_memory(None, now, &format!("it has no place to be kept: {why}"));
        };
        let file = directory.join(FILE);
        let watch = Watch::begin(vec![file.clone()]);
        let (old, mut notes) = match look(&file, now)? {
            Kept::Good(set) => return Ok(kept(set, &file, watch, Vec::new())),
            Kept::Nothing => (None, Vec::new()),
            Kept::Old(set, why) => (Some(set), vec![why]),
            Kept::Damaged(why) => (None, vec![why]),
        };
        let replaces = !notes.is_empty();
        let made = self.make(now)?;
        if let Err(error) = Place::store(directory, &file, &made, replaces) {
            let why = format!("it cannot be kept in {}: {error}", directory.display());
            return match old {
                Some(set) => {
                    Ok(kept(set, &file, watch, vec![format!("a new certificate is due, but {why}")]))
                }
                None => self.in_memory(Some(made), now, &why),
            };
        }
        // What lies there now may be another's who was faster.
        let watch = Watch::begin(vec![file.clone()]);
        match look(&file, now)? {
            Kept::Good(set) | Kept::Old(set, _) => {
                if replaces {
                    notes.push(format!("{}: a new certificate was made", file.display()));
                }
                Ok(kept(set, &file, watch, notes))
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
        Ok(Own { set, file: None, public: None, watch: Watch::begin(Vec::new()), notes: vec![note] })
    }

    fn store(directory: &Path, file: &Path, made: &SelfSigned, replaces: bool) -> io::Result<()> {
        make_directory(directory)?;
        let both = format!("{}{}", made.key_pem, made.certificate_pem);
        let new = write_beside(file, both.as_bytes(), 0o600)?;
        let stored = if replaces { fs::rename(&new, file) } else { first(&new, file) };
        // After a rename there is none.
        let _ = fs::remove_file(&new);
        stored?;
        File::open(directory)?.sync_all()
    }
}

/// Whether root would give this directory to whom it becomes.
pub(crate) fn is_to_be_given(directory: &Path) -> bool {
    geteuid().is_root() && of_root_alone(directory).is_some_and(|directory| holds_only_ours(&directory))
}

/// Where others may write, a name may be a link to any other file of root's.
fn of_root_alone(directory: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = File::from(open(directory, flags, Mode::empty()).ok()?);
    let metadata = opened.metadata().ok()?;
    (metadata.uid() == 0 && metadata.mode() & 0o022 == 0).then_some(opened)
}

/// A directory that holds anything else is the administrator's.
fn holds_only_ours(directory: &File) -> bool {
    let ours = [".", "..", FILE, PUBLIC].map(str::as_bytes);
    let all = |mut entries: Dir| {
        entries.all(|entry| entry.is_ok_and(|entry| ours.contains(&entry.file_name().to_bytes())))
    };
    Dir::read_from(directory).is_ok_and(all)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(STATE_DIRECTORY_MODE).create(directory)
}

/// A new file of a name that nobody has, in the same directory.
fn write_beside(file: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = format!(".longshore-{:016x}.new", u64::from_ne_bytes(random));
    let path = file.with_file_name(name);
    let written = write(&path, bytes, mode);
    if written.is_err() {
        let _ = fs::remove_file(&path);
    }
    written.map(|()| path)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    // Whatever the umask took away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Opens a file of our own, and nothing else that may lie there: no pipe, which would be waited for, and no link.
pub(crate) fn open_regular(file: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = File::from(open(file, flags, Mode::empty())?);
    if opened.metadata()?.is_file() { Ok(opened) } else { Err(io::Error::other("it is no regular file")) }
}

/// Opens without waiting, links included.
pub(crate) fn open_to_read(file: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(open(file, flags, Mode::empty())?))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(file)?.take(OWN_FILE_LIMIT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts the certificate without its key beside this file, where it is not there yet, and says where.
pub(crate) fn publish(file: &Path) -> Result<PathBuf, String> {
    let public = file.with_file_name(PUBLIC);
    let published = read(file).and_then(|both| {
        let certificate = certificate_in(&both).ok_or(io::ErrorKind::InvalidData)?;
        if read(&public).is_ok_and(|there| there == certificate) {
            return Ok(());
        }
        let new = write_beside(&public, certificate.as_bytes(), 0o644)?;
        fs::rename(&new, &public).inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })
    });
    let failed = |error| format!("{}: cannot be written: {error}", public.display());
    published.map_err(failed)?;
    Ok(public)
}

fn kept(set: CertificateSet, file: &Path, watch: Watch, mut notes: Vec<String>) -> Own {
    let public = publish(file).map_err(|why| notes.push(why)).ok();
    Own { set, file: Some(file.to_owned()), public, watch, notes }
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
    if file.is_symlink() {
        return Err(Failure::new(format!(
            "{shown}: the certificate of this server's own cannot be read: it is a link"
        ))
        .hint("remove it: then another one is made; name certificates from elsewhere in [tls]"));
    }
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
