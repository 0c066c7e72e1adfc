//! What an account may do, by class of deed. No paths in here: rules by path change these sets in their own module.

use std::fmt;

/// A class of deeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Permission {
    /// Fetch files.
    Read = 1 << 0,
    /// See names, sizes and times; entering a directory needs no permission.
    List = 1 << 1,
    /// Make new files.
    Write = 1 << 2,
    /// Change or replace files that are there.
    Overwrite = 1 << 3,
    /// Add to the end of files that are there.
    Append = 1 << 4,
    /// Remove files.
    Delete = 1 << 5,
    /// Give files and directories other names.
    Rename = 1 << 6,
    /// Make directories.
    MakeDirectory = 1 << 7,
    /// Remove directories.
    RemoveDirectory = 1 << 8,
    /// Set times.
    SetTimes = 1 << 9,
    /// Set modes.
    SetModes = 1 << 10,
}

impl Permission {
    /// All of them.
    pub const ALL: [Permission; 11] = {
        use Permission::*;
        [
            Read,
            List,
            Write,
            Overwrite,
            Append,
            Delete,
            Rename,
            MakeDirectory,
            RemoveDirectory,
            SetTimes,
            SetModes,
        ]
    };

    /// Its name, for configuration and logs: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::List => "list",
            Permission::Write => "write",
            Permission::Overwrite => "overwrite",
            Permission::Append => "append",
            Permission::Delete => "delete",
            Permission::Rename => "rename",
            Permission::MakeDirectory => "make-directory",
            Permission::RemoveDirectory => "remove-directory",
            Permission::SetTimes => "set-times",
            Permission::SetModes => "set-modes",
        }
    }

    /// The permission of that [`name`](Permission::name).
    pub fn named(name: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

/// A set of [`Permission`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u16);

impl Permissions {
    /// Nothing at all.
    pub const NONE: Permissions = Permissions(0);
    /// To read and to list.
    pub const READ_ONLY: Permissions = Permissions(Permission::Read as u16 | Permission::List as u16);
    /// Everything.
    pub const ALL: Permissions = Permissions((1 << 11) - 1);

    /// Whether the deed is allowed.
    pub const fn allows(self, permission: Permission) -> bool {
        self.0 & permission as u16 != 0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Permissions {
        Permissions(self.0 | permission as u16)
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Permissions {
        Permissions(self.0 & !(permission as u16))
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// What either allows.
    #[must_use]
    pub const fn union(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// What these allow and the other do not.
    #[must_use]
    pub const fn minus(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Permission::ALL.into_iter().filter(|&permission| self.allows(permission)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let readers = Permissions::READ_ONLY;
        assert!(readers.allows(Permission::Read) && readers.allows(Permission::List));
        assert!(!readers.allows(Permission::Write) && !readers.allows(Permission::Delete));
        assert!(readers.with(Permission::Write).allows(Permission::Write));
        assert_eq!(readers.with(Permission::Write).without(Permission::Write), readers);
        assert_eq!(Permissions::ALL.and(readers), readers);
        assert_eq!(format!("{readers:?}"), "{Read, List}");
        let writers = Permissions::NONE.with(Permission::Write).with(Permission::List);
        assert_eq!(readers.union(writers), readers.with(Permission::Write));
        assert_eq!(readers.minus(writers), Permissions::NONE.with(Permission::Read));
        assert_eq!(
            Permissions::ALL.without(Permission::SetTimes).with(Permission::SetTimes),
            Permissions::ALL
        );
    }

    #[test]
    fn names() {
        let all = Permission::ALL.into_iter().fold(Permissions::NONE, Permissions::with);
        assert_eq!(all, Permissions::ALL, "the list leaves none out");
        for permission in Permission::ALL {
            assert_eq!(Permission::named(permission.name()), Some(permission));
        }
        assert_eq!(Permission::named("Read"), None);
        assert_eq!(Permission::named(""), None);
    }
}
