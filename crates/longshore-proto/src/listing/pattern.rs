//! Patterns in the last component of a path: `*.txt`, `photo-[0-9]?.jpg`.
//!
//! Not inside: walking directories. A pattern sees one name at a time.

/// A pattern with wildcards, as shells know them, over bytes:
/// - `*` is any sequence, the empty one too; `?` is any byte;
/// - `[abc]`, `[a-z]` is one byte of a set, `[!abc]` or `[^abc]` one that is not in it. `]` is a member where
///   it comes first, `-` where it comes first or last. A `[` that nothing closes is an ordinary byte. Classes
///   by name, `[[:digit:]]`, are not known.
/// - a backslash makes the byte behind it ordinary, in sets as well; at the end it is ordinary itself.
///
/// A dot that begins a name is matched only by a dot that begins the pattern, so `*` leaves hidden files out,
/// as in every shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
    sets: Vec<Set>,
    /// Tokens other than stars: no shorter name can match.
    length_minimum: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    AnyByte,
    /// One byte of the set with this index.
    OneOf(usize),
    Star,
}

/// One bit for each byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set([u128; 2]);

impl Set {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 7)] |= 1 << (byte & 0x7F);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 7)] & 1 << (byte & 0x7F) != 0
    }
}

impl Pattern {
    /// Reads a pattern. `None` when it has no `*`, `?` or `[`, and so is a plain name. A name with one of
    /// them behind a backslash is a pattern that matches one name only.
    pub fn parse(text: &[u8]) -> Option<Pattern> {
        if !text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
            return None;
        }
        let mut pattern = Pattern { tokens: Vec::new(), sets: Vec::new(), length_minimum: 0 };
        let mut rest = text;
        // Where one bracket is not closed, no later one is: not looking again keeps this linear.
        let mut brackets_close = true;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            let token = match (byte, behind.split_first()) {
                // More stars than one in a row are one.
                (b'*', _) if pattern.tokens.last() == Some(&Token::Star) => continue,
                (b'*', _) => Token::Star,
                (b'?', _) => Token::AnyByte,
                (b'\\', Some((&escaped, behind))) => {
                    rest = behind;
                    Token::Byte(escaped)
                }
                (b'[', _) if brackets_close => match parse_set(behind) {
                    Some((set, behind)) => {
                        rest = behind;
                        pattern.sets.push(set);
                        Token::OneOf(pattern.sets.len() - 1)
                    }
                    None => {
                        brackets_close = false;
                        Token::Byte(byte)
                    }
                },
                _ => Token::Byte(byte),
            };
            pattern.length_minimum += usize::from(token != Token::Star);
            pattern.tokens.push(token);
        }
        Some(pattern)
    }

    /// Whether `name` matches as a whole. The cost is at most the product of the two lengths, and nearly
    /// always their sum: what lies between two stars is searched from the left once and never tried anew.
    pub fn matches(&self, name: &[u8]) -> bool {
        if name.len() < self.length_minimum {
            return false;
        }
        if name.first() == Some(&b'.') && self.tokens.first() != Some(&Token::Byte(b'.')) {
            return false;
        }
        let mut parts = self.tokens.split(|token| *token == Token::Star);
        let head = parts.next().unwrap_or_default();
        let Some(tail) = parts.next_back() else {
            return name.len() == head.len() && self.part_matches(head, name);
        };
        // Both fit beside each other, for the name is not shorter than all parts together.
        let (begin, name) = name.split_at(head.len());
        let (name, end) = name.split_at(name.len() - tail.len());
        if !self.part_matches(head, begin) || !self.part_matches(tail, end) {
            return false;
        }
        // The leftmost place of each part leaves the most room for those behind it, so no other is ever
        // needed.
        let mut rest = name;
        parts.all(|part| {
            let place = (0..(rest.len() + 1).saturating_sub(part.len()))
                .find(|&place| self.part_matches(part, &rest[place..place + part.len()]));
            if let Some(place) = place {
                rest = &rest[place + part.len()..];
            }
            place.is_some()
        })
    }

    /// Whether a part without stars matches the bytes, which are as many.
    fn part_matches(&self, part: &[Token], bytes: &[u8]) -> bool {
        part.iter().zip(bytes).all(|(token, &byte)| match *token {
            Token::Byte(expected) => byte == expected,
            Token::OneOf(index) => self.sets[index].contains(byte),
            Token::AnyByte | Token::Star => true,
        })
    }
}

/// Reads a set whose `[` has been read; the set and what is behind its `]`. `None` when nothing closes it.
fn parse_set(text: &[u8]) -> Option<(Set, &[u8])> {
    let (negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut set = Set([0; 2]);
    let mut is_first = true;
    loop {
        if let (false, [b']', behind @ ..]) = (is_first, rest) {
            if negated {
                set.0 = set.0.map(|bits| !bits);
            }
            return Some((set, behind));
        }
        is_first = false;
        let (low, behind) = member(rest)?;
        rest = behind;
        match rest {
            [b'-', behind @ ..] if !matches!(behind, [] | [b']', ..]) => {
                let (high, behind) = member(behind)?;
                rest = behind;
                (low..=high).for_each(|byte| set.insert(byte));
            }
            _ => set.insert(low),
        }
    }
}

/// One member of a set, and what is behind it.
fn member(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', byte, behind @ ..] | [byte, behind @ ..] => Some((*byte, behind)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: impl AsRef<[u8]>, matching: &[&str], other: &[&str]) {
        let pattern = Pattern::parse(pattern.as_ref()).expect("a pattern");
        for name in matching {
            assert!(pattern.matches(name.as_bytes()), "{name:?} must match");
        }
        for name in other {
            assert!(!pattern.matches(name.as_bytes()), "{name:?} must not match");
        }
    }

    #[test]
    fn plain_names_are_no_patterns() {
        for name in ["", "a", "a.txt", ".", "a\\b", "]", "a-b", "{a,b}", "~"] {
            assert_eq!(Pattern::parse(name.as_bytes()), None, "{name:?}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check("*", &["", "a", "abc", "a.b", "a.", "é"], &[".", "..", ".a"]);
        check("**", &["", "a", "abc"], &[".a"]);
        check("?", &["a", "?", "*"], &["", "ab", ".", "é"]);
        check("??", &["é", "ab", "a."], &["a", "abc", ".a"]);
        check("*.txt", &["a.txt", "a.b.txt", "a.txt.txt"], &[".txt", "txt", "a.txt2", "a.tx", "a.TXT"]);
        check("a*", &["a", "ab", "a.b"], &["", "b", "ba", "A"]);
        check("a*b", &["ab", "aab", "abb", "axb", "abab"], &["a", "b", "aba", "xab"]);
        check("a*b*c", &["abc", "aXbXc", "abcbc"], &["ac", "acb", "abcb"]);
        check("*a*", &["a", "xa", "ax", "xax"], &["", "x", ".a"]);
        check("*aba*aba*", &["abaaba", "xabaxabax", "ababaaba"], &["ababa", "aba"]);
        check("a?c", &["abc", "a?c", "a.c"], &["ac", "abbc"]);
        check("?*", &["a", "ab"], &["", ".a"]);
        check("*?", &["a", "ab"], &["", ".a"]);
        check("*ab", &["ab", "abab", "aab"], &["aba", "b"]);
        check("ab*ab", &["abab", "abxab"], &["ab", "aba", "abb"]);
    }

    #[test]
    fn a_leading_dot_is_matched_by_a_dot_only() {
        check(".*", &[".", "..", ".a", ".a.b"], &["a", "a.b", ""]);
        check("?a", &["xa"], &[".a"]);
        check("[.]a", &[], &[".a"]);
        check("[!x]a", &["ya"], &[".a", "xa"]);
        check("\\.*", &[".a"], &["a"]);
        check("*a", &["b.a", "a"], &[".a"]);
    }

    #[test]
    fn sets() {
        check("[abc]", &["a", "b", "c"], &["", "d", "ab", "[abc]"]);
        check("[a-c]x", &["ax", "bx", "cx"], &["dx", "-x", "x"]);
        check("[a-cx-z]", &["b", "y"], &["d", "-"]);
        check("[!a-c]", &["d", "-", "!"], &["a", "b", "", "dd"]);
        check("[^a-c]", &["d", "^"], &["a", "c"]);
        check("[]]", &["]"], &["", "[]]", "[]"]);
        check("[]-a]", &["]", "^", "_", "`", "a"], &["b", "-"]);
        check("[!]]", &["a"], &["]"]);
        check("[]abc]", &["]", "a"], &["d"]);
        check("[a-]", &["a", "-"], &["b", "]"]);
        check("[-a]", &["a", "-"], &["b"]);
        check("[a!]", &["a", "!"], &["b"]);
        check("[a^]", &["a", "^"], &["b"]);
        check("[[]", &["["], &["]", "[[]"]);
        check("[*?]", &["*", "?"], &["a"]);
        check("[z-a]", &[], &["a", "z", "m", "-"]);
        check("[!z-a]", &["a", "-"], &["", "ab"]);
        check("[a-a]", &["a"], &["b", "-"]);
        check("[\\]]", &["]"], &["\\", "a"]);
        check("[\\\\]", &["\\"], &["]"]);
        check("[a\\-c]", &["a", "-", "c"], &["b"]);
        check("[a-\\c]", &["a", "b", "c"], &["d", "\\"]);
        check("[[:digit:]]", &["d]", ":]", "[]"], &["1", "1]"]);
        check("photo-[0-9]*.jp*g", &["photo-1.jpg", "photo-12.jpeg"], &["photo-.jpg", "photo-x.jpg"]);
    }

    #[test]
    fn sets_of_bytes_beyond_ascii() {
        check(b"[\x80-\xFF]*", &["é", "한글"], &["e", "a"]);
        check(b"[!\0-\x7F]\xA9", &["é"], &["e"]);
        let pattern = Pattern::parse(b"[\0-\xFF]").expect("a pattern");
        for byte in (0..=u8::MAX).filter(|byte| *byte != b'.') {
            assert!(pattern.matches(&[byte]));
        }
    }

    #[test]
    fn brackets_that_nothing_closes_are_ordinary() {
        check("[", &["["], &["", "a"]);
        check("a[b", &["a[b"], &["ab", "a"]);
        check("[]", &["[]"], &["", "]"]);
        check("[!]", &["[!]"], &["a"]);
        check("[a-", &["[a-"], &["a"]);
        check("[a\\]", &["[a]"], &["a", "[a\\]"]);
        check("[*", &["[", "[a"], &["a"]);
        check("[?[", &["[a["], &["[a"]);
        check("[\\", &["[\\"], &["["]);
        check("*[", &["[", "a["], &["a"]);
        // Closed ones before it still count.
        check("[ab][c", &["a[c", "b[c"], &["[ab][c", "ac"]);
        assert!(Pattern::parse(&b"[".repeat(100_000)).expect("a pattern").matches(&b"[".repeat(100_000)));
    }

    #[test]
    fn backslashes() {
        check("\\*", &["*"], &["a", "\\*", "\\"]);
        check("a\\?b*", &["a?b", "a?bc"], &["axb"]);
        check("\\[a]", &["[a]"], &["a"]);
        check("\\a*", &["a", "ab"], &["\\a"]);
        check("*\\", &["\\", "a\\"], &["a"]);
        check("*\\\\", &["\\", "a\\"], &["a"]);
        check("\\**", &["*", "*a"], &["a"]);
    }

    #[test]
    fn many_stars_are_not_many_tries() {
        // Tried one by one, the places of the stars are more than any machine could go through.
        let name = b"a".repeat(255);
        let almost = [b"a*".repeat(127), b"b".to_vec()].concat();
        assert!(!Pattern::parse(&almost).expect("a pattern").matches(&name));
        let middle = [b"*a".repeat(100), b"*b*".to_vec(), b"*a".repeat(100)].concat();
        assert!(!Pattern::parse(&middle).expect("a pattern").matches(&name));
        let sets = [b"*[ab]".repeat(255), b"*".to_vec()].concat();
        assert!(Pattern::parse(&sets).expect("a pattern").matches(&name));
        let longest = [b"*a".repeat(2047), b"*".to_vec()].concat();
        assert!(!Pattern::parse(&longest).expect("a pattern").matches(&name));
        assert!(Pattern::parse(&b"*".repeat(4096)).expect("a pattern").matches(&name));
    }

    /// The definition, word by word and without any cleverness; only for small inputs.
    fn matches_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|count| matches_by_definition(rest, &name[count..])),
            [b'?', rest @ ..] => !name.is_empty() && matches_by_definition(rest, &name[1..]),
            [byte, rest @ ..] => name.first() == Some(byte) && matches_by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_defined(
            pattern in prop::collection::vec(prop::sample::select(&b"ab**?"[..]), 0..9),
            name in prop::collection::vec(prop::sample::select(&b"ab"[..]), 0..9),
        ) {
            if let Some(parsed) = Pattern::parse(&pattern) {
                prop_assert_eq!(parsed.matches(&name), matches_by_definition(&pattern, &name));
            }
        }

        #[test]
        fn an_escaped_name_matches_itself_only(
            name in prop::collection::vec(any::<u8>(), 0..12),
            other in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut pattern: Vec<u8> = name.iter().flat_map(|&byte| [b'\\', byte]).collect();
            if let Some(parsed) = Pattern::parse(&pattern) {
                prop_assert!(parsed.matches(&name));
                prop_assert_eq!(parsed.matches(&other), name == other);
            }
            pattern.push(b'*');
            let hidden = name.is_empty() && other.first() == Some(&b'.');
            let expected = other.starts_with(&name) && !hidden;
            prop_assert_eq!(Pattern::parse(&pattern).expect("a pattern").matches(&other), expected);
        }

        #[test]
        fn bytes_never_cause_a_panic(
            pattern in prop::collection::vec(prop::sample::select(&b"ab*?[[]]!^-\\.\xFF\0"[..]), 0..24),
            name in prop::collection::vec(prop::sample::select(&b"ab*[]-.\xFF"[..]), 0..12),
        ) {
            if let Some(parsed) = Pattern::parse(&pattern) {
                parsed.matches(&name);
            }
        }
    }
}
