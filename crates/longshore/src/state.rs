//! Where the server keeps what it makes itself.
//!
//! Not inside: what is kept there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Where root keeps things (Filesystem Hierarchy Standard, section 5.8).
const OF_ROOT: &str = "/var/lib/longshore";

/// The directory that is named, else that of the service manager, else that of the user. `None` where the user has no
/// home.
pub(crate) fn directory(named: Option<&Path>) -> Option<PathBuf> {
    chosen(named, |name| std::env::var_os(name), geteuid().is_root())
}

fn chosen(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Of several directories in a unit the first one is meant (systemd.exec(5), RuntimeDirectory=).
    let managed = || {
        let all = variable("STATE_DIRECTORY")?.into_string().ok()?;
        all.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
    };
    // XDG Base Directory Specification 0.8.
    let of_user = || {
        path("XDG_STATE_HOME")
            .or_else(|| path("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("longshore"))
    };
    named
        .map(Path::to_owned)
        .or_else(managed)
        .or_else(|| if is_root { Some(PathBuf::from(OF_ROOT)) } else { of_user() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(named: Option<&str>, variables: &[(&str, &str)], is_root: bool, expected: Option<&str>) {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(chosen(named.map(Path::new), variable, is_root).as_deref(), expected.map(Path::new));
    }

    #[test]
    fn the_nearest_one_is_taken() {
        let home = ("HOME", "/users/a");
        check(None, &[], true, Some("/var/lib/longshore"));
        check(None, &[home], true, Some("/var/lib/longshore"));
        check(None, &[home], false, Some("/users/a/.local/state/longshore"));
        check(None, &[home, ("XDG_STATE_HOME", "/state")], false, Some("/state/longshore"));
        check(None, &[home, ("XDG_STATE_HOME", "state")], false, Some("/users/a/.local/state/longshore"));
        check(None, &[], false, None);
        check(None, &[home, ("STATE_DIRECTORY", "/var/lib/x:/var/lib/y")], false, Some("/var/lib/x"));
        check(None, &[("STATE_DIRECTORY", "")], true, Some("/var/lib/longshore"));
        check(Some("/srv/state"), &[home, ("STATE_DIRECTORY", "/var/lib/x")], true, Some("/srv/state"));
    }
}
