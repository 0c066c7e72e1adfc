//! Bringing the peers below `target/peers`, each in a folder of its own: Debian's packages unpacked, for they conflict
//! with each other, pyftpdlib in an environment of Python, unFTP built by cargo.
//!
//! A peer that cannot be had is told of with its reason; the comparison goes on without it.
//!
//! Not inside: settings.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Peer;
use crate::ground::explained;

/// The version of unFTP that is built.
const UNFTP: &str = "0.16.0";
/// The versions of pyftpdlib, and of what it needs for TLS.
const PYFTPDLIB: [&str; 2] = ["pyftpdlib==2.2.0", "pyOpenSSL"];

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// `target/peers`.
    pub(crate) peers: PathBuf,
    /// The longshore that is measured.
    pub(crate) longshore: PathBuf,
}

/// A server that is here.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) program: PathBuf,
    /// Folders of libraries that came with it, as `LD_LIBRARY_PATH` has them.
    pub(crate) libraries: OsString,
    /// Folder of its modules.
    pub(crate) modules: PathBuf,
    pub(crate) version: String,
}

/// Makes sure that it is here.
pub(crate) fn ensure(peer: Peer, places: &Places) -> Result<Installed, String> {
    let folder = places.peers.join(peer.key());
    match peer {
        Peer::Longshore => longshore(&places.longshore),
        Peer::Limit => {
            let program = std::env::current_exe().map_err(|error| format!("our own program: {error}"))?;
            Ok(plain(program, "threads, sendfile and rustls, nothing else".to_owned()))
        }
        Peer::Vsftpd => debian(&folder, &["vsftpd"], "usr/sbin/vsftpd"),
        Peer::Proftpd => debian(&folder, &["proftpd-core", "proftpd-mod-crypto"], "usr/sbin/proftpd"),
        Peer::PureFtpd => debian(&folder, &["pure-ftpd", "pure-ftpd-common"], "usr/sbin/pure-ftpd"),
        Peer::Pyftpdlib => pyftpdlib(&folder),
        Peer::Unftp => unftp(&folder),
    }
}

fn plain(program: PathBuf, version: String) -> Installed {
    Installed { program, libraries: OsString::new(), modules: PathBuf::new(), version }
}

fn longshore(program: &Path) -> Result<Installed, String> {
    let version = output(Command::new(program).arg("--version"))
        .map_err(|error| format!("{error}; `cargo build --release --package longshore` makes it"))?;
    let commit = output(Command::new("git").args(["rev-parse", "--short", "HEAD"])).unwrap_or_default();
    let version = version.trim().trim_start_matches("longshore ").to_owned();
    Ok(plain(program.to_path_buf(), format!("{version} {}", commit.trim()).trim_end().to_owned()))
}

/// Downloads packages with the libraries that this machine lacks, and unpacks them into a folder.
fn debian(folder: &Path, packages: &[&str], program: &str) -> Result<Installed, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("it has to be started by root".to_owned());
    }
    let mark = folder.join("unpacked");
    if !mark.is_file() {
        explained(folder, fs::create_dir_all(folder))?;
        let mut seen = BTreeSet::new();
        let mut wanted: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
        while let Some(name) = wanted.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let archive = download(folder, &name)?;
            output(Command::new("dpkg").arg("--extract").arg(&archive).arg(folder))?;
            let depends = output(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Depends"))?;
            wanted.extend(libraries(&depends).filter(|name| !is_installed(name)));
        }
        let version = output(
            Command::new("dpkg-deb").arg("--field").arg(download(folder, packages[0])?).arg("Version"),
        )?;
        // Written last: what was cut short is done again.
        explained(&mark, fs::write(&mark, format!("{} (Debian)", version.trim())))?;
    }
    let version = explained(&mark, fs::read_to_string(&mark))?;
    let mut installed = plain(folder.join(program), version);
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    installed.libraries = std::env::join_paths(
        [format!("usr/lib/{machine}"), format!("lib/{machine}")].map(|path| folder.join(path)),
    )
    .map_err(|error| error.to_string())?;
    installed.modules = folder.join("usr/lib/proftpd");
    let lacking =
        output(Command::new("ldd").arg(&installed.program).env("LD_LIBRARY_PATH", &installed.libraries))?;
    match lacking.lines().find(|line| line.contains("not found")) {
        Some(line) => Err(format!("a library of it is missing: {}", line.trim())),
        None => Ok(installed),
    }
}

/// The archive of a package, downloaded into the folder where it is not there yet.
fn download(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let find = || {
        let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        let is_it = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
        };
        files.into_iter().find(is_it)
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    let fetch = || output(Command::new("apt-get").args(["--quiet", "download", name]).current_dir(folder));
    // A fresh machine has no lists of packages.
    if fetch().is_err() {
        output(Command::new("apt-get").args(["--quiet", "update"]))?;
        fetch()?;
    }
    find().ok_or_else(|| format!("apt-get downloads no {name}"))
}

/// The libraries among what a package depends on.
fn libraries(depends: &str) -> impl Iterator<Item = String> {
    let names = depends.split(',').map(|choice| choice.split('|').next().unwrap_or_default());
    names
        .filter_map(|choice| choice.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .filter(|name| name.starts_with("lib") && !name.starts_with("libpam-"))
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status} ", package]);
    output(&mut query).is_ok_and(|status| status.split(' ').any(|status| status == "installed"))
}

fn pyftpdlib(folder: &Path) -> Result<Installed, String> {
    let environment = folder.join("venv");
    let python = environment.join("bin/python");
    let version = |python: &Path| {
        let script =
            "import OpenSSL, sys, pyftpdlib; print(pyftpdlib.__ver__, 'on Python', sys.version.split()[0])";
        output(Command::new(python).args(["-c", script]))
    };
    if version(&python).is_err() {
        output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        output(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYFTPDLIB))?;
    }
    let version = version(&python)?;
    Ok(plain(python, version.trim().to_owned()))
}

fn unftp(folder: &Path) -> Result<Installed, String> {
    let program = folder.join("bin/unftp");
    if !program.is_file() {
        eprintln!("building unFTP {UNFTP}, which takes some minutes");
        let build = folder.join("build");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["install", "unftp", "--version", UNFTP, "--locked", "--no-default-features"]);
        // Nothing of our own settings for cargo holds for it.
        cargo.args(["--features", "auth_jsonfile", "--root"]).arg(folder).arg("--target-dir").arg(&build);
        let built = output(&mut cargo);
        // Gigabytes that nobody needs again.
        let _ = fs::remove_dir_all(&build);
        built?;
    }
    Ok(plain(program, UNFTP.to_owned()))
}

/// Runs a program and gives what it says; its end without success is an error with its last line.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    Err(format!("{name} ended with {} and said: {last}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_among_dependencies() {
        let depends = "libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, libwrap0 (>= 7.6-4~), libpam-modules, libgcc-s1:any | x";
        let found: Vec<String> = libraries(depends).collect();
        assert_eq!(found, ["libc6", "libwrap0", "libgcc-s1"]);
        assert_eq!(libraries("").count(), 0);
    }

    #[test]
    fn a_program_that_fails_is_told_of_with_its_last_line() {
        let error = output(Command::new("sh").args(["-c", "echo first; echo why >&2; exit 4"])).unwrap_err();
        assert!(error.contains("why") && error.contains('4'), "{error}");
        assert!(output(&mut Command::new("no-such-program-of-ours")).is_err());
        assert_eq!(output(Command::new("sh").args(["-c", "echo yes"])).unwrap(), "yes\n");
    }
}
