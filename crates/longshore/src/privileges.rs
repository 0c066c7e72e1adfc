//! Giving up root for good.
//!
//! Not inside: what is done before (binding ports) and after (opening everything else).

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist, getuid, initgroups, setgid, setuid};

use crate::Failure;

/// Whom root becomes.
pub(crate) struct Identity {
    name: String,
    pub(crate) user: Uid,
    pub(crate) group: Gid,
}

impl Identity {
    /// Looks a user up, and the group if another than the user's own is wished for.
    pub(crate) fn find(user: &str, group: Option<&str>) -> Result<Identity, Failure> {
        let unknown = |what: &str, name: &str| {
            Failure::new(format!("server.{what} is {name:?}, and this machine has no such {what}")).hint(
                format!(
                    "make it, or name another; `getent {}` lists them",
                    if what == "user" { "passwd" } else { "group" }
                ),
            )
        };
        let unreadable =
            |what: &str, error| Failure::new(format!("server.{what} cannot be looked up: {error}"));
        let found = User::from_name(user).map_err(|error| unreadable("user", error))?;
        let found = found.ok_or_else(|| unknown("user", user))?;
        let group = match group {
            None => found.gid,
            Some(name) => {
                let group = Group::from_name(name).map_err(|error| unreadable("group", error))?;
                group.ok_or_else(|| unknown("group", name))?.gid
            }
        };
        if found.uid.is_root() {
            return Err(Failure::new(format!("server.user is {user:?}, which is another name of root"))
                .hint("name a user of its own, or none to stay root"));
        }
        Ok(Identity { name: user.to_owned(), user: found.uid, group })
    }

    /// All groups it will have.
    pub(crate) fn groups(&self) -> Vec<Gid> {
        let name = CString::new(self.name.as_str()).unwrap_or_default();
        getgrouplist(&name, self.group).unwrap_or_else(|_| vec![self.group])
    }

    /// Makes every thread of this process this user, with no way back.
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        if !geteuid().is_root() {
            if getuid() == self.user && geteuid() == self.user {
                return Ok(());
            }
            return Err(Failure::new(format!("only root can become {}, which server.user names", self.name))
                .hint("start longshore as root, or as that user and without server.user"));
        }
        let refused = |what: &str, error| {
            Failure::new(format!("{what} of {} cannot be taken: {error}", self.name))
                .hint("this needs CAP_SETUID and CAP_SETGID")
        };
        let name = CString::new(self.name.as_str()).map_err(|_| Failure::new("server.user holds NUL"))?;
        // The groups first: afterwards the right to change them is gone.
        initgroups(&name, self.group).map_err(|error| refused("the groups", error))?;
        setgid(self.group).map_err(|error| refused("the group", error))?;
        setuid(self.user).map_err(|error| refused("the rights", error))?;
        if setuid(Uid::from_raw(0)).is_ok() || geteuid().is_root() {
            return Err(Failure::new(format!("{} can become root again", self.name))
                .hint("a security module or capabilities keep setuid from being final; nothing is served"));
        }
        Ok(())
    }
}
