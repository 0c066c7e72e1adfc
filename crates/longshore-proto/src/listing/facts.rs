//! MLSD and MLST: facts by name (RFC 3659 section 7).
//!
//! Not inside: which directory, and the multi-line reply around the facts of MLST.

use std::fmt;

use super::{Item, ItemKind, push_decimal, push_hexadecimal, push_name};
use crate::time::write_time_val;

/// A choice of the facts that a session wants to see.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts(u8);

/// Every fact that can be told, in the order in which they are written. The place in the table is the bit.
const NAMES: [&str; 8] =
    ["type", "size", "modify", "perm", "unique", "UNIX.mode", "UNIX.owner", "UNIX.group"];

/// Everything, until OPTS MLST says otherwise.
impl Default for Facts {
    fn default() -> Facts {
        Facts::ALL
    }
}

impl Facts {
    /// No fact: lines that hold nothing but a name.
    pub const NONE: Facts = Facts(0);
    /// What the item is.
    pub const TYPE: Facts = Facts(1);
    /// Octets, of files only.
    pub const SIZE: Facts = Facts(1 << 1);
    /// When it was modified.
    pub const MODIFY: Facts = Facts(1 << 2);
    /// What the account may do with it.
    pub const PERM: Facts = Facts(1 << 3);
    /// What tells whether two items are the same file.
    pub const UNIQUE: Facts = Facts(1 << 4);
    /// The permission bits in octal.
    pub const UNIX_MODE: Facts = Facts(1 << 5);
    /// The owner's number.
    pub const UNIX_OWNER: Facts = Facts(1 << 6);
    /// The group's number.
    pub const UNIX_GROUP: Facts = Facts(1 << 7);
    /// Every fact.
    pub const ALL: Facts = Facts(u8::MAX);

    /// Reads what stands behind `OPTS MLST `: names of facts in any case, each with a semicolon. The choice
    /// is exactly those of them that are known; others are ignored (RFC 3659 section 7.9).
    pub fn from_opts(argument: &[u8]) -> Facts {
        let mut facts = Facts::NONE;
        for word in argument.split(|&byte| byte == b';') {
            let bit = NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word.trim_ascii()));
            facts.0 |= bit.map_or(0, |bit| 1 << bit);
        }
        facts
    }

    /// Whether every fact of `other` is chosen.
    pub const fn contains(self, other: Facts) -> bool {
        self.0 & other.0 == other.0
    }

    /// Appends the line of FEAT, `MLST type*;size;...`: every fact, with an asterisk where it is chosen (RFC
    /// 3659 section 7.8).
    pub fn write_feature(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"MLST ");
        for (bit, name) in NAMES.iter().enumerate() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if self.has(bit) { b"*;" } else { b";" });
        }
    }

    /// Appends the chosen facts as the reply to OPTS MLST lists them, `type;size;`, without the words before
    /// them.
    pub fn write_enabled(self, out: &mut Vec<u8>) {
        for name in self.names() {
            out.extend_from_slice(name.as_bytes());
            out.push(b';');
        }
    }

    /// Appends a line of MLSD: the chosen facts, a space, the name, CR LF.
    pub fn write_line(self, out: &mut Vec<u8>, item: &Item<'_>) {
        self.write_entry(out, item, item.name);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends what MLST tells of an item: the chosen facts, a space, and `shown_name` (the path that was
    /// asked for, or the whole path). Neither the space that begins such a line of a reply nor its end is
    /// written.
    pub fn write_entry(self, out: &mut Vec<u8>, item: &Item<'_>, shown_name: &[u8]) {
        out.reserve(160 + shown_name.len());
        if self.contains(Facts::TYPE) {
            out.extend_from_slice(b"type=");
            push_type(out, item);
            out.push(b';');
        }
        if self.contains(Facts::SIZE) && item.kind == ItemKind::File {
            out.extend_from_slice(b"size=");
            push_decimal(out, item.size);
            out.push(b';');
        }
        if self.contains(Facts::MODIFY) {
            out.extend_from_slice(b"modify=");
            write_time_val(out, item.modified);
            out.push(b';');
        }
        if self.contains(Facts::PERM) {
            out.extend_from_slice(b"perm=");
            out.extend_from_slice(item.rights.meaningful_for(item.kind).letters(&mut [0; 10]));
            out.push(b';');
        }
        if self.contains(Facts::UNIQUE) {
            out.extend_from_slice(b"unique=");
            push_hexadecimal(out, item.unique.0);
            out.push(b'-');
            push_hexadecimal(out, item.unique.1);
            out.push(b';');
        }
        if self.contains(Facts::UNIX_MODE) {
            out.extend_from_slice(b"UNIX.mode=0");
            push_octal(out, item.mode & 0o7777);
            out.push(b';');
        }
        if self.contains(Facts::UNIX_OWNER) {
            out.extend_from_slice(b"UNIX.owner=");
            push_decimal(out, item.owner.into());
            out.push(b';');
        }
        if self.contains(Facts::UNIX_GROUP) {
            out.extend_from_slice(b"UNIX.group=");
            push_decimal(out, item.group.into());
            out.push(b';');
        }
        out.push(b' ');
        push_name(out, shown_name);
    }

    fn has(self, bit: usize) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |&(bit, _)| self.has(bit)).map(|(_, name)| name)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The value of the `type` fact. A symbolic link that leads somewhere is what it leads to: RETR and CWD
/// follow it. One that does not is told in the form of the RFC's own example, `OS.unix=slink:target`, as
/// clients read it; where the target holds a byte that would end the fact, in the form of the RFC's grammar,
/// without it.
fn push_type(out: &mut Vec<u8>, item: &Item<'_>) {
    match (item.kind, item.link_target) {
        (ItemKind::File, _) => out.extend_from_slice(b"file"),
        (ItemKind::Directory, _) => out.extend_from_slice(b"dir"),
        (ItemKind::CurrentDirectory, _) => out.extend_from_slice(b"cdir"),
        (ItemKind::ParentDirectory, _) => out.extend_from_slice(b"pdir"),
        (ItemKind::Other, Some(target)) if target.iter().all(|&byte| fits_into_fact(byte)) => {
            out.extend_from_slice(b"OS.unix=slink:");
            out.extend_from_slice(target);
        }
        (ItemKind::Other, Some(_)) => out.extend_from_slice(b"OS.unix=symlink"),
        (ItemKind::Other, None) => out.extend_from_slice(b"OS.unix=other"),
    }
}

/// A semicolon ends a fact, and the first space ends them all.
fn fits_into_fact(byte: u8) -> bool {
    !matches!(byte, b';' | b' ') && !byte.is_ascii_control()
}

/// The three or four digits of a mode.
fn push_octal(out: &mut Vec<u8>, mode: u32) {
    let digit = |place: u32| b'0' + (mode >> (3 * place) & 7) as u8;
    if mode > 0o777 {
        out.push(digit(3));
    }
    out.extend_from_slice(&[digit(2), digit(1), digit(0)]);
}

#[cfg(test)]
mod tests {
    use super::super::Rights;
    use super::super::tests::{file, text};
    use super::*;
    use crate::time::UnixTime;
    use proptest::prelude::*;

    #[track_caller]
    fn check(facts: Facts, item: &Item<'_>, expected: &str) {
        assert_eq!(text(|out| facts.write_line(out, item)), format!("{expected}\\r\\n"));
    }

    #[track_caller]
    fn check_opts(argument: &str, expected: &str) {
        assert_eq!(text(|out| Facts::from_opts(argument.as_bytes()).write_enabled(out)), expected);
    }

    #[test]
    fn a_line() {
        check(
            Facts::default(),
            &file(b"a name"),
            "type=file;size=1234;modify=20261120130405;perm=adfrw;unique=fd01-1a2b;\
             UNIX.mode=0644;UNIX.owner=1000;UNIX.group=1000; a name",
        );
        check(
            Facts::default(),
            &Item { kind: ItemKind::Directory, mode: 0o41_777, owner: 0, group: 5, ..file(b"d") },
            "type=dir;modify=20261120130405;perm=cdeflmp;unique=fd01-1a2b;\
             UNIX.mode=01777;UNIX.owner=0;UNIX.group=5; d",
        );
    }

    #[test]
    fn each_fact_alone() {
        check(Facts::NONE, &file(b"n"), " n");
        check(Facts::TYPE, &file(b"n"), "type=file; n");
        check(Facts::SIZE, &file(b"n"), "size=1234; n");
        check(Facts::MODIFY, &file(b"n"), "modify=20261120130405; n");
        check(Facts::PERM, &file(b"n"), "perm=adfrw; n");
        check(Facts::UNIQUE, &file(b"n"), "unique=fd01-1a2b; n");
        check(Facts::UNIX_MODE, &file(b"n"), "UNIX.mode=0644; n");
        check(Facts::UNIX_OWNER, &file(b"n"), "UNIX.owner=1000; n");
        check(Facts::UNIX_GROUP, &file(b"n"), "UNIX.group=1000; n");
    }

    #[test]
    fn types() {
        #[track_caller]
        fn check_type(kind: ItemKind, link_target: Option<&[u8]>, expected: &str) {
            check(Facts::TYPE, &Item { kind, link_target, ..file(b"n") }, &format!("type={expected}; n"));
        }
        check_type(ItemKind::File, None, "file");
        check_type(ItemKind::File, Some(b"to"), "file");
        check_type(ItemKind::Directory, None, "dir");
        check_type(ItemKind::Directory, Some(b"to"), "dir");
        check_type(ItemKind::CurrentDirectory, None, "cdir");
        check_type(ItemKind::ParentDirectory, None, "pdir");
        check_type(ItemKind::Other, None, "OS.unix=other");
        check_type(ItemKind::Other, Some(b"../to=it"), "OS.unix=slink:../to=it");
        check_type(ItemKind::Other, Some(b"\xC3\xBC"), "OS.unix=slink:\\xc3\\xbc");
        for target in [&b"a b"[..], b"a;size=1", b"a\r\nb", b"\x7F"] {
            check_type(ItemKind::Other, Some(target), "OS.unix=symlink");
        }
    }

    #[test]
    fn size_is_of_files_only() {
        for kind in
            [ItemKind::Directory, ItemKind::CurrentDirectory, ItemKind::ParentDirectory, ItemKind::Other]
        {
            check(Facts::SIZE, &Item { kind, ..file(b"n") }, " n");
        }
        check(Facts::SIZE, &Item { size: u64::MAX, ..file(b"n") }, "size=18446744073709551615; n");
    }

    #[test]
    fn perm_shows_what_the_kind_can_have() {
        #[track_caller]
        fn check_perm(kind: ItemKind, rights: Rights, expected: &str) {
            check(Facts::PERM, &Item { kind, rights, ..file(b"n") }, &format!("perm={expected}; n"));
        }
        check_perm(ItemKind::File, Rights::NONE, "");
        check_perm(ItemKind::File, Rights::READ | Rights::LIST | Rights::ENTER, "r");
        check_perm(ItemKind::Directory, Rights::READ | Rights::LIST | Rights::ENTER, "el");
        check_perm(ItemKind::CurrentDirectory, Rights::ALL, "cdeflmp");
        check_perm(ItemKind::ParentDirectory, Rights::ALL, "cdeflmp");
        check_perm(ItemKind::Other, Rights::ALL, "df");
    }

    #[test]
    fn modes_and_identities() {
        check(Facts::UNIX_MODE, &Item { mode: 0, ..file(b"n") }, "UNIX.mode=0000; n");
        check(Facts::UNIX_MODE, &Item { mode: 0o107_007, ..file(b"n") }, "UNIX.mode=07007; n");
        check(Facts::UNIQUE, &Item { unique: (0, 0), ..file(b"n") }, "unique=0-0; n");
        check(
            Facts::UNIQUE,
            &Item { unique: (u64::MAX, 1 << 63), ..file(b"n") },
            "unique=ffffffffffffffff-8000000000000000; n",
        );
        let modified = UnixTime { seconds: i64::MAX, nanoseconds: 0 };
        check(Facts::MODIFY, &Item { modified, ..file(b"n") }, "modify=99991231235959; n");
    }

    #[test]
    fn entries_show_the_name_that_was_asked_for() {
        assert_eq!(
            text(|out| Facts::TYPE.write_entry(out, &file(b"n"), b"/a b/\r\nn")),
            "type=file; /a b/??n"
        );
    }

    #[test]
    fn opts() {
        check_opts("type;size;", "type;size;");
        check_opts("SIZE;Type;unix.MODE;", "type;size;UNIX.mode;");
        check_opts("type", "type;");
        check_opts(" modify ; perm;", "modify;perm;");
        check_opts("type;type;create;lang;x.y;", "type;");
        check_opts("", "");
        check_opts(";;;", "");
        check_opts("types;ty pe;", "");
        check_opts("UNIX.group;UNIX.owner;unique", "unique;UNIX.owner;UNIX.group;");
        assert_eq!(Facts::from_opts(b"type\xFF;size"), Facts::SIZE);
    }

    #[test]
    fn features() {
        assert_eq!(
            text(|out| Facts::default().write_feature(out)),
            "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"
        );
        assert_eq!(
            text(|out| Facts::from_opts(b"size;").write_feature(out)),
            "MLST type;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"
        );
        assert_eq!(format!("{:?}", Facts::from_opts(b"size;unix.mode")), "{\"size\", \"UNIX.mode\"}");
    }

    proptest! {
        /// What a client that knows nothing but the grammar reads: the name is what follows the first space,
        /// and the facts before it are those that were chosen.
        #[test]
        fn lines_can_be_read(
            chosen in any::<u8>(),
            name in prop::collection::vec(any::<u8>(), 1..20),
            target in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            other in any::<bool>(),
        ) {
            let kind = if other { ItemKind::Other } else { ItemKind::File };
            let mut out = Vec::new();
            Facts(chosen).write_line(&mut out, &Item { kind, link_target: target.as_deref(), ..file(&name) });
            let line = out.strip_suffix(b"\r\n").expect("a line end");
            prop_assert!(!line.iter().any(u8::is_ascii_control));
            let space = line.iter().position(|&byte| byte == b' ').expect("a space");
            let shown = &line[space + 1..];
            prop_assert_eq!(shown.len(), name.len());
            prop_assert!(shown.iter().zip(&name).all(|(a, b)| a == b || (*a == b'?' && b.is_ascii_control())));
            let mut found = Facts::NONE;
            for fact in line[..space].split_inclusive(|&byte| byte == b';') {
                let equals = fact.iter().position(|&byte| byte == b'=').expect("a value");
                prop_assert_eq!(fact.last(), Some(&b';'));
                found.0 |= Facts::from_opts(&fact[..equals]).0;
            }
            let expected = if other { chosen & !Facts::SIZE.0 } else { chosen };
            prop_assert_eq!(found, Facts(expected));
        }
    }
}
