//! What an account may do, by class of deed. No paths in here yet: rules by path will narrow these.

use std::fmt;

/// A class of deeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Permission {
    /// Fetch files.
    Read = 1 << 0,
    /// See names, sizes and times, and enter directories.
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
    pub const ALL: Permissions = Permissions((1 << 10) - 1);

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
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Permission::*;
        let all =
            [Read, List, Write, Overwrite, Append, Delete, Rename, MakeDirectory, RemoveDirectory, SetTimes];
        f.debug_set().entries(all.into_iter().filter(|&permission| self.allows(permission))).finish()
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
        assert_eq!(
            Permissions::ALL.without(Permission::SetTimes).with(Permission::SetTimes),
            Permissions::ALL
        );
    }
}
