//! Listings as a client reads them that knows nothing but the grammar, and patterns against their definition.
//!
//! Not inside: the reading of directories, and which items a listing has.

use longshore_proto::listing::{Facts, Item, ItemKind, Pattern, Rights, unix, write_name_line};
use longshore_proto::time::{UnixTime, parse_time_val};

/// What one item takes of the bytes before its names.
const ITEM_BYTES: usize = 52;
/// 0000-01-01 and 9999-12-31: other times are shown as the nearest of these.
const SHOWN_SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// The first byte says whether the rest is an item or a pattern and a name, the second where the rest is cut in two.
pub fn listing(data: &[u8]) {
    let [what, cut, rest @ ..] = data else { return };
    match (what % 2, rest.split_first_chunk::<ITEM_BYTES>()) {
        (0, Some((fields, names))) => {
            let (name, target) = names.split_at(names.len().min(usize::from(*cut)));
            item(*what, fields, name, target);
        }
        _ => {
            let (text, name) = rest.split_at(rest.len().min(usize::from(*cut)));
            pattern(text, name);
        }
    }
}

fn item(what: u8, fields: &[u8; ITEM_BYTES], name: &[u8], target: &[u8]) {
    let number = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight bytes"));
    let small = |at: usize| u32::from_le_bytes(fields[at..at + 4].try_into().expect("four bytes"));
    let kinds = [
        ItemKind::File,
        ItemKind::Directory,
        ItemKind::CurrentDirectory,
        ItemKind::ParentDirectory,
        ItemKind::Other,
    ];
    let seconds = |at: usize| UnixTime { seconds: number(at) as i64, nanoseconds: 0 };
    let item = Item {
        name,
        kind: kinds[usize::from(what >> 1) % kinds.len()],
        size: number(0),
        modified: seconds(8),
        mode: small(16),
        owner: small(20),
        group: small(24),
        links: number(28),
        unique: (number(28), number(0)),
        link_target: (what & 0x40 != 0).then_some(target),
        rights: rights(small(36)),
    };
    let chosen: Vec<&str> = FACTS
        .iter()
        .enumerate()
        .filter(|(bit, _)| fields[40] >> bit & 1 != 0)
        .map(|(_, name)| *name)
        .collect();
    let facts = Facts::from_opts(chosen.join(";").as_bytes());
    entry(&item, facts, &chosen);
    unix_line(&item, seconds(44));
    names(name, target);
}

const FACTS: [&str; 8] =
    ["type", "size", "modify", "perm", "unique", "UNIX.mode", "UNIX.owner", "UNIX.group"];

/// Each right, with its letter and the kinds of item that can have it: files, directories, others.
const RIGHTS: [(Rights, char, [bool; 3]); 10] = [
    (Rights::APPEND, 'a', [true, false, false]),
    (Rights::CREATE, 'c', [false, true, false]),
    (Rights::DELETE, 'd', [true, true, true]),
    (Rights::ENTER, 'e', [false, true, false]),
    (Rights::RENAME, 'f', [true, true, true]),
    (Rights::LIST, 'l', [false, true, false]),
    (Rights::MAKE_DIRECTORY, 'm', [false, true, false]),
    (Rights::PURGE, 'p', [false, true, false]),
    (Rights::READ, 'r', [true, false, false]),
    (Rights::WRITE, 'w', [true, false, false]),
];

fn rights(bits: u32) -> Rights {
    let has = |index: usize| bits >> index & 1 != 0;
    RIGHTS.iter().enumerate().fold(
        Rights::NONE,
        |rights, (index, (right, ..))| {
            if has(index) { rights | *right } else { rights }
        },
    )
}

/// The line without its end, which stands once and at the end, behind no control character.
#[track_caller]
fn line_of(out: &[u8]) -> &[u8] {
    let line = out.strip_suffix(b"\r\n").expect("a line ends in CR LF");
    assert!(!line.iter().any(u8::is_ascii_control), "a name forges a line: {}", out.escape_ascii());
    line
}

/// A name as it is shown: no control character, and nothing else is changed.
#[track_caller]
fn assert_shows(shown: &[u8], name: &[u8]) {
    let expected: Vec<u8> =
        name.iter().map(|&byte| if byte.is_ascii_control() { b'?' } else { byte }).collect();
    assert_eq!(shown.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

/// RFC 3659 section 7.2: facts, a space, the name.
fn entry(item: &Item<'_>, facts: Facts, chosen: &[&str]) {
    let mut out = Vec::new();
    facts.write_line(&mut out, item);
    let line = line_of(&out);
    let space = line.iter().position(|&byte| byte == b' ').expect("a space ends the facts");
    assert_shows(&line[space + 1..], item.name);
    let mut wanted = chosen.iter().filter(|name| **name != "size" || item.kind == ItemKind::File);
    for fact in line[..space].split_inclusive(|&byte| byte == b';') {
        let fact = fact.strip_suffix(b";").expect("a semicolon ends each fact");
        let equals = fact.iter().position(|&byte| byte == b'=').expect("each fact has a value");
        let (name, value) = (&fact[..equals], &fact[equals + 1..]);
        let name = std::str::from_utf8(name).expect("its name is ASCII");
        assert_eq!(Some(&name), wanted.next(), "the facts that were chosen, in their order");
        check_fact(item, name, value);
    }
    assert_eq!(wanted.next(), None, "a fact is missing");
    assert_eq!(Facts::from_opts(&enabled(facts)), facts);
}

fn enabled(facts: Facts) -> Vec<u8> {
    let mut out = Vec::new();
    facts.write_enabled(&mut out);
    out
}

fn check_fact(item: &Item<'_>, name: &str, value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    let place = match item.kind {
        ItemKind::File => 0,
        ItemKind::Other => 2,
        _ => 1,
    };
    match name {
        "type" => {
            let expected = match (item.kind, item.link_target) {
                (ItemKind::File, _) => "file",
                (ItemKind::Directory, _) => "dir",
                (ItemKind::CurrentDirectory, _) => "cdir",
                (ItemKind::ParentDirectory, _) => "pdir",
                (ItemKind::Other, None) => "OS.unix=other",
                (ItemKind::Other, Some(target)) => match value.strip_prefix(b"OS.unix=slink:") {
                    Some(shown) => return assert_eq!(shown, target),
                    None => "OS.unix=symlink",
                },
            };
            assert_eq!(text, expected);
        }
        "size" => assert_eq!(text, item.size.to_string()),
        "modify" => {
            let time = parse_time_val(value).expect("a time-val");
            assert_eq!(time.seconds, clamped(item.modified.seconds));
        }
        "perm" => {
            let letters: String = RIGHTS
                .iter()
                .filter(|(right, _, kinds)| item.rights.contains(*right) && kinds[place])
                .map(|(_, letter, _)| letter)
                .collect();
            assert_eq!(text, letters);
        }
        "unique" => assert_eq!(text, format!("{:x}-{:x}", item.unique.0, item.unique.1)),
        "UNIX.mode" => assert_eq!(text, format!("0{:03o}", item.mode & 0o7777)),
        "UNIX.owner" => assert_eq!(text, item.owner.to_string()),
        "UNIX.group" => assert_eq!(text, item.group.to_string()),
        other => panic!("there is no fact {other}"),
    }
}

fn clamped(seconds: i64) -> i64 {
    seconds.clamp(*SHOWN_SECONDS.start(), *SHOWN_SECONDS.end())
}

/// `ls -ln`: eight columns, a space, the name.
fn unix_line(item: &Item<'_>, now: UnixTime) {
    let mut out = Vec::new();
    unix::write_line(&mut out, item, now);
    let mut rest = line_of(&out);
    let mut column = || {
        let start = rest.iter().position(|&byte| byte != b' ').expect("a column");
        let end = start + rest[start..].iter().position(|&byte| byte == b' ').expect("a space behind it");
        let text = std::str::from_utf8(&rest[start..end]).expect("columns are ASCII");
        // One space ends the last column: what follows is of the name.
        rest = &rest[end + 1..];
        text
    };
    let (mode, links, owner, group, size) = (column(), column(), column(), column(), column());
    let (month, day, hour_or_year) = (column(), column(), column());
    assert_eq!(mode_of(mode), item.mode & 0o7777);
    let kind = match (item.link_target, item.kind) {
        (Some(_), _) => 'l',
        (None, ItemKind::File) => '-',
        (None, ItemKind::Other) => 'p',
        (None, _) => 'd',
    };
    assert!(mode.starts_with(kind));
    assert_eq!(
        [links, owner, group, size],
        [item.links, item.owner.into(), item.group.into(), item.size].map(|number| number.to_string())
    );
    let date = parse_date(month, day, hour_or_year);
    let mut time = Vec::new();
    longshore_proto::time::write_time_val(&mut time, item.modified);
    assert!(time[4..8] == date.as_bytes()[..4], "{date}");
    match hour_or_year.split_once(':') {
        Some((hour, minute)) => assert_eq!([hour, minute].concat().as_bytes(), &time[8..12]),
        None => assert_eq!(hour_or_year.as_bytes(), &time[..4]),
    }
    let name = match item.link_target {
        Some(target) => [item.name, b" -> ", target].concat(),
        None => item.name.to_vec(),
    };
    assert_shows(rest, &name);
}

/// `MMDD`.
fn parse_date(month: &str, day: &str, hour_or_year: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(month).filter(|at| at % 3 == 0).expect("a month") / 3 + 1;
    assert!(hour_or_year.len() == 4 + usize::from(hour_or_year.contains(':')));
    format!("{month:02}{:02}", day.parse::<u8>().expect("a day"))
}

fn mode_of(letters: &str) -> u32 {
    let mut mode = 0;
    for (place, letter) in letters.chars().skip(1).enumerate() {
        let bit = 1 << (8 - place);
        let special = 0o4000 >> (place / 3);
        mode |= match letter {
            '-' => 0,
            's' | 't' => bit | special,
            'S' | 'T' => special,
            _ => bit,
        };
    }
    mode
}

fn names(prefix: &[u8], name: &[u8]) {
    let mut out = Vec::new();
    write_name_line(&mut out, prefix, name);
    assert_shows(line_of(&out), &[prefix, name].concat());
}

/// A pattern matches what its definition, read slowly, says that it matches.
fn pattern(text: &[u8], name: &[u8]) {
    let parsed = Pattern::parse(text);
    assert_eq!(parsed.is_some(), text.iter().any(|byte| b"*?[".contains(byte)));
    let Some(parsed) = parsed else { return };
    let tokens = tokens(text);
    let hidden = name.first() == Some(&b'.');
    let shows_hidden = matches!(tokens.first(), Some(Token::OneOf(set, true)) if set == b".");
    let expected = (!hidden || shows_hidden) && by_definition(&tokens, name);
    assert_eq!(parsed.matches(name), expected, "{}", text.escape_ascii());
}

enum Token {
    Star,
    /// One of these bytes, and whether it was a byte that stands for itself.
    OneOf(Vec<u8>, bool),
}

fn tokens(mut text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let Some((&byte, behind)) = text.split_first() {
        text = behind;
        tokens.push(match (byte, behind) {
            (b'*', _) => Token::Star,
            (b'?', _) => Token::OneOf((0..=u8::MAX).collect(), false),
            (b'\\', [escaped, behind @ ..]) => {
                text = behind;
                Token::OneOf(vec![*escaped], true)
            }
            (b'[', _) => match set(behind) {
                Some((members, behind)) => {
                    text = behind;
                    Token::OneOf(members, false)
                }
                None => Token::OneOf(vec![byte], true),
            },
            _ => Token::OneOf(vec![byte], true),
        });
    }
    tokens
}

/// The members of a set, and what is behind its bracket.
fn set(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut rest = &text[usize::from(negated)..];
    // Each with whether a backslash made it ordinary.
    let mut items: Vec<(u8, bool)> = Vec::new();
    loop {
        rest = match rest {
            [] => return None,
            [b']', behind @ ..] if !items.is_empty() => {
                rest = behind;
                break;
            }
            [b'\\', byte, behind @ ..] => {
                items.push((*byte, true));
                behind
            }
            [byte, behind @ ..] => {
                items.push((*byte, false));
                behind
            }
        };
    }
    let mut members = Vec::new();
    let mut items = &items[..];
    while let Some((&(low, _), behind)) = items.split_first() {
        items = match behind {
            [(b'-', false), (high, _), behind @ ..] => {
                members.extend(low..=*high);
                behind
            }
            _ => {
                members.push(low);
                behind
            }
        };
    }
    let all = 0..=u8::MAX;
    Some((all.filter(|byte| members.contains(byte) != negated).collect(), rest))
}

fn by_definition(tokens: &[Token], name: &[u8]) -> bool {
    // Whether the tokens so far match the first bytes of the name, for each number of bytes.
    let mut reached: Vec<bool> = (0..=name.len()).map(|length| length == 0).collect();
    for token in tokens {
        let mut next = vec![false; name.len() + 1];
        for length in 0..=name.len() {
            next[length] = match token {
                Token::Star => reached[..=length].contains(&true),
                Token::OneOf(members, _) => {
                    length > 0 && reached[length - 1] && members.contains(&name[length - 1])
                }
            };
        }
        reached = next;
    }
    reached[name.len()]
}
