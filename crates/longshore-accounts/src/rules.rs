//! Permissions by path: an ordered list of patterns, each with what it grants and what it revokes. Nothing in here
//! knows whether a path exists, or what a symbolic link leads to: the path is the one that the peer named.

use std::fmt;
use std::str::FromStr;

use longshore_path::VirtualPath;
use memchr::memmem;

use crate::Permissions;
use crate::limits::{PATH_RULES_LIMIT, PATTERN_COMPONENTS_LIMIT, PATTERN_LIMIT_BYTES};

/// What an account may do more or less at the paths that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// Which paths.
    pub pattern: PathPattern,
    /// What is allowed there beside what is allowed already.
    pub grant: Permissions,
    /// What is not allowed there, even if this rule grants it.
    pub revoke: Permissions,
}

/// The rules of one account, at most [`PATH_RULES_LIMIT`].
///
/// Every rule that matches applies, in order, each to what the rules before it left: a later rule wins where two
/// speak of the same permission, and leaves alone what it does not speak of. General rules therefore come first and
/// exceptions after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    rules: Vec<PathRule>,
}

/// More rules than [`PATH_RULES_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} path rules are more than the {limit} that one account may have", limit = PATH_RULES_LIMIT)]
pub struct TooManyRules(pub usize);

impl PathRules {
    /// No rules.
    pub const NONE: PathRules = PathRules { rules: Vec::new() };

    /// These rules, in this order.
    ///
    /// # Errors
    /// [`TooManyRules`].
    pub fn new(rules: Vec<PathRule>) -> Result<PathRules, TooManyRules> {
        if rules.len() > PATH_RULES_LIMIT { Err(TooManyRules(rules.len())) } else { Ok(PathRules { rules }) }
    }

    /// What they make of some permissions at a path.
    pub fn apply(&self, permissions: Permissions, path: &VirtualPath) -> Permissions {
        if self.rules.is_empty() {
            return permissions;
        }
        let components: Vec<&[u8]> = path.components().collect();
        let matching = self.rules.iter().filter(|rule| rule.pattern.matches_components(&components));
        matching.fold(permissions, |permissions, rule| permissions.union(rule.grant).minus(rule.revoke))
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &PathRule> {
        self.rules.iter()
    }
}

/// A pattern of paths: an absolute path in which `*` within a name stands for any bytes or none, and a component
/// `**` for any number of components or none.
///
/// `/incoming/*` is what lies directly in that directory, `/incoming/**` the directory and all below it, `/**/*.tmp`
/// every such name anywhere. Names are compared byte by byte; every other character stands for itself, and there is
/// no way to write a star that is only a star.
#[derive(Clone, PartialEq, Eq)]
pub struct PathPattern {
    components: Vec<Component>,
}

#[derive(Clone, PartialEq, Eq)]
enum Component {
    /// `**`.
    AnyDepth,
    /// What stands between the stars, one part more than there are stars.
    Name(Vec<Vec<u8>>),
}

/// Why a text is no [`PathPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin at the root.
    #[error("a pattern begins with /, as every path does")]
    NotAbsolute,
    /// Two slashes in a row, or one at the end.
    #[error(
        "a name is missing between two slashes or behind the last one; for all below a directory write /**"
    )]
    EmptyName,
    /// `.` or `..`, which no path holds.
    #[error(". and .. never match: paths are resolved before they are compared")]
    Dots,
    /// `**` with something beside it.
    #[error("** stands for whole directories and has to stand alone between slashes")]
    StarsInName,
    /// A control character, which no path holds.
    #[error("the control character 0x{0:02X} never matches: no path holds it")]
    Control(u8),
    /// More than [`PATTERN_LIMIT_BYTES`].
    #[error("a pattern has at most {} bytes", PATTERN_LIMIT_BYTES)]
    TooLong,
    /// More than [`PATTERN_COMPONENTS_LIMIT`] components.
    #[error("a pattern has at most {} names", PATTERN_COMPONENTS_LIMIT)]
    TooDeep,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: impl AsRef<[u8]>) -> Result<PathPattern, PatternError> {
        let text = text.as_ref();
        if text.len() > PATTERN_LIMIT_BYTES {
            return Err(PatternError::TooLong);
        }
        let below = text.strip_prefix(b"/").ok_or(PatternError::NotAbsolute)?;
        if below.is_empty() {
            return Ok(PathPattern { components: Vec::new() });
        }
        let mut components: Vec<Component> = Vec::new();
        for name in below.split(|&byte| byte == b'/') {
            let component = component(name)?;
            // Any depth twice is any depth.
            if component != Component::AnyDepth || components.last() != Some(&Component::AnyDepth) {
                components.push(component);
            }
        }
        if components.len() > PATTERN_COMPONENTS_LIMIT {
            return Err(PatternError::TooDeep);
        }
        Ok(PathPattern { components })
    }

    /// Whether the path matches, from its first component to its last.
    pub fn matches(&self, path: &VirtualPath) -> bool {
        self.matches_components(&path.components().collect::<Vec<_>>())
    }

    /// Each component of the path is held against each of the pattern at most once: between two `**` the first place
    /// that matches will do, since what follows may begin anywhere behind it.
    fn matches_components(&self, path: &[&[u8]]) -> bool {
        let mut runs = self.components.split(|component| *component == Component::AnyDepth);
        let first = runs.next().unwrap_or_default();
        let Some(last) = runs.next_back() else {
            return path.len() == first.len() && all_match(first, path);
        };
        if path.len() < first.len() + last.len() {
            return false;
        }
        let (start, rest) = path.split_at(first.len());
        let (mut rest, end) = rest.split_at(rest.len() - last.len());
        if !all_match(first, start) || !all_match(last, end) {
            return false;
        }
        for run in runs {
            // A run is never empty, as two `**` in a row were made one.
            match rest.windows(run.len()).position(|window| all_match(run, window)) {
                Some(place) => rest = &rest[place + run.len()..],
                None => return false,
            }
        }
        true
    }
}

fn component(name: &[u8]) -> Result<Component, PatternError> {
    match name {
        b"" => return Err(PatternError::EmptyName),
        b"." | b".." => return Err(PatternError::Dots),
        b"**" => return Ok(Component::AnyDepth),
        _ => {}
    }
    if let Some(&byte) = name.iter().find(|byte| byte.is_ascii_control()) {
        return Err(PatternError::Control(byte));
    }
    if memmem::find(name, b"**").is_some() {
        return Err(PatternError::StarsInName);
    }
    Ok(Component::Name(name.split(|&byte| byte == b'*').map(<[u8]>::to_vec).collect()))
}

fn all_match(pattern: &[Component], names: &[&[u8]]) -> bool {
    pattern.iter().zip(names).all(|(component, name)| match component {
        Component::AnyDepth => true,
        Component::Name(parts) => name_matches(parts, name),
    })
}

/// In one pass over the name: of the parts between stars the first place that matches will do.
fn name_matches(parts: &[Vec<u8>], name: &[u8]) -> bool {
    let (first, rest) = parts.split_first().expect("splitting gives at least one part");
    let Some((last, middle)) = rest.split_last() else { return name == first.as_slice() };
    let Some(inner) = name.strip_prefix(first.as_slice()) else { return false };
    let Some(mut inner) = inner.strip_suffix(last.as_slice()) else { return false };
    for part in middle {
        match memmem::find(inner, part) {
            Some(place) => inner = &inner[place + part.len()..],
            None => return false,
        }
    }
    true
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<PathPattern, PatternError> {
        PathPattern::new(text)
    }
}

/// As it was written, with what no terminal should see escaped.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.components.is_empty() {
            return f.write_str("/");
        }
        for component in &self.components {
            match component {
                Component::AnyDepth => f.write_str("/**")?,
                Component::Name(parts) => {
                    write!(f, "/{}", longshore_path::display(&parts.join(&b'*')))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Account, Permission};

    fn pattern(text: &str) -> PathPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn path(text: &str) -> VirtualPath {
        VirtualPath::new(text).expect("a path")
    }

    #[track_caller]
    fn check(text: &str, matching: &[&str], others: &[&str]) {
        let pattern = pattern(text);
        for matching in matching {
            assert!(pattern.matches(&path(matching)), "{text} matches {matching}");
        }
        for other in others {
            assert!(!pattern.matches(&path(other)), "{text} does not match {other}");
        }
    }

    #[track_caller]
    fn refused(text: &str, expected: PatternError) {
        assert_eq!(PathPattern::new(text), Err(expected), "{text:?}");
    }

    #[test]
    fn patterns() {
        check("/", &["/"], &["/a", "/a/b"]);
        check("/a", &["/a", "/a/"], &["/", "/a/b", "/b", "/A", "/aa"]);
        check("/*", &["/a", "/.hidden"], &["/", "/a/b"]);
        check("/a/*", &["/a/b", "/a/.b"], &["/a", "/a/b/c", "/b/a"]);
        check("/*/b", &["/a/b", "/b/b"], &["/b", "/a/a/b", "/a/b/b"]);
        check("/*.tmp", &["/a.tmp", "/.tmp"], &["/a.tmp.x", "/a/a.tmp", "/tmp"]);
        check("/a*c", &["/ac", "/abc", "/abcc"], &["/a", "/ab", "/abcd", "/cac"]);
        check("/a*b*c", &["/abc", "/aXbXc", "/abbc", "/abcbc"], &["/ac", "/acb", "/aXcXb"]);
        check("/aa*aa", &["/aaaa", "/aabaa"], &["/aaa", "/aa"]);
        check("/*a*", &["/a", "/xay"], &["/x", "/"]);
        check("/[a]?", &["/[a]?"], &["/a", "/ab"]);
        check("/한*", &["/한글", "/한"], &["/글"]);
    }

    #[test]
    fn patterns_of_any_depth() {
        check("/**", &["/", "/a", "/a/b/c"], &[]);
        check("/a/**", &["/a", "/a/b", "/a/b/c"], &["/", "/ab", "/b/a"]);
        check("/**/a", &["/a", "/b/a", "/b/c/a"], &["/", "/a/b", "/ba"]);
        check("/a/**/b", &["/a/b", "/a/x/b", "/a/x/y/b"], &["/a", "/b", "/a/b/c", "/x/a/b"]);
        check("/**/a/**", &["/a", "/x/a", "/a/x", "/x/a/y"], &["/", "/x", "/x/ab"]);
        check("/**/a/b/**/c", &["/a/b/c", "/a/a/b/x/c"], &["/a/c/b", "/a/x/b/c", "/a/b"]);
        check("/**/**/a", &["/a", "/x/a"], &["/"]);
        check("/**/*.tmp", &["/a.tmp", "/x/y/a.tmp"], &["/a", "/a.tmp/x"]);
        check("/**/a/*/**", &["/a/b", "/x/a/b/c"], &["/a", "/x/a"]);
        check("/a/**/a", &["/a/a", "/a/x/a"], &["/a"]);
    }

    #[test]
    fn what_is_no_pattern() {
        refused("", PatternError::NotAbsolute);
        refused("a", PatternError::NotAbsolute);
        refused("**", PatternError::NotAbsolute);
        refused("//", PatternError::EmptyName);
        refused("/a/", PatternError::EmptyName);
        refused("/a//b", PatternError::EmptyName);
        refused("/.", PatternError::Dots);
        refused("/a/../b", PatternError::Dots);
        refused("/a**", PatternError::StarsInName);
        refused("/**a", PatternError::StarsInName);
        refused("/***", PatternError::StarsInName);
        refused("/a\nb", PatternError::Control(b'\n'));
        refused("/a\0b", PatternError::Control(0));
        refused("/a\x7f", PatternError::Control(0x7F));
        assert!(PathPattern::new(format!("/{}", "x".repeat(PATTERN_LIMIT_BYTES - 1))).is_ok());
        refused(&format!("/{}", "x".repeat(PATTERN_LIMIT_BYTES)), PatternError::TooLong);
        assert!(PathPattern::new("/x".repeat(PATTERN_COMPONENTS_LIMIT)).is_ok());
        refused(&"/x".repeat(PATTERN_COMPONENTS_LIMIT + 1), PatternError::TooDeep);
    }

    fn rule(text: &str, grant: Permissions, revoke: Permissions) -> PathRule {
        PathRule { pattern: pattern(text), grant, revoke }
    }

    #[test]
    fn rules_apply_in_order() {
        let writing = Permissions::NONE.with(Permission::Write).with(Permission::MakeDirectory);
        let read = Permissions::NONE.with(Permission::Read);
        let account = Account {
            rules: PathRules::new(vec![
                rule("/incoming/**", writing, read),
                rule("/incoming/done/**", Permissions::NONE, writing),
                rule("/**/readme.txt", read, Permissions::NONE),
                rule("/secret/**", Permissions::ALL, Permissions::ALL),
            ])
            .expect("few rules"),
            ..Account::new("camera", "files")
        };
        let at = |text: &str| account.permissions_at(&path(text));
        let list = Permissions::NONE.with(Permission::List);
        assert_eq!(at("/"), Permissions::READ_ONLY);
        assert_eq!(at("/incoming"), list.union(writing));
        assert_eq!(at("/incoming/a/b.jpg"), list.union(writing));
        assert_eq!(at("/incoming/done/b.jpg"), list, "a later rule takes away what an earlier one gave");
        assert_eq!(at("/incoming/done/readme.txt"), Permissions::READ_ONLY, "and leaves alone the rest");
        assert_eq!(at("/secret/x"), Permissions::NONE, "revoking is stronger within one rule");
        assert_eq!(account.rules.iter().len(), 4);
    }

    #[test]
    fn so_many_rules_and_no_more() {
        let rules = vec![rule("/**", Permissions::NONE, Permissions::NONE); PATH_RULES_LIMIT];
        assert!(PathRules::new(rules.clone()).is_ok());
        let more = [rules, vec![rule("/", Permissions::NONE, Permissions::NONE)]].concat();
        let error = PathRules::new(more).expect_err("one too many");
        assert_eq!(error.to_string(), "65 path rules are more than the 64 that one account may have");
    }

    /// What the documentation says, tried out place by place.
    fn by_definition(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], path) => path.is_empty(),
            (["**", rest @ ..], path) => {
                (0..=path.len()).any(|skipped| by_definition(rest, &path[skipped..]))
            }
            ([name, rest @ ..], [first, below @ ..]) => {
                name_by_definition(name.as_bytes(), first.as_bytes()) && by_definition(rest, below)
            }
            (_, []) => false,
        }
    }

    fn name_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            ([b'*', rest @ ..], name) => {
                (0..=name.len()).any(|skipped| name_by_definition(rest, &name[skipped..]))
            }
            ([byte, rest @ ..], [first, below @ ..]) => byte == first && name_by_definition(rest, below),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_defined(
            pattern in prop::collection::vec("(\\*\\*|[ab]{1,2}|\\*?[ab]\\*?|[ab]\\*[ab])", 0..6),
            path in prop::collection::vec("[ab]{1,3}", 0..7),
        ) {
            let compiled = PathPattern::new(format!("/{}", pattern.join("/"))).expect("a pattern");
            let virtual_path = VirtualPath::new(format!("/{}", path.join("/"))).expect("a path");
            let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            prop_assert_eq!(compiled.matches(&virtual_path), by_definition(&pattern, &path));
            prop_assert_eq!(compiled.to_string().parse(), Ok(compiled));
        }

        #[test]
        fn no_bytes_panic(pattern in prop::collection::vec(any::<u8>(), 0..40), path in "/[a-z*/.]{0,40}") {
            if let (Ok(pattern), Ok(path)) = (PathPattern::new(pattern), VirtualPath::new(path)) {
                pattern.matches(&path);
            }
        }
    }
}
