//! READMEs whose commands are run: the blocks of shell in them, and what they promise to show.
//!
//! A block that begins with three backticks and `sh` is run. A block of `text` behind it is what one sees then: its
//! lines, in this order, among those that the commands print; `…` stands for anything within a line. Not inside:
//! the running ([`shell`](crate::shell)).

/// One block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of the README on which the commands begin, counted from 1.
    pub(crate) line: usize,
    pub(crate) commands: String,
    /// The lines that one sees then.
    pub(crate) shown: Vec<String>,
}

/// All blocks of a README, in order.
///
/// # Panics
/// When one does not end.
#[track_caller]
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether a block of text would belong to the last block of commands.
    let mut awaits_shown = false;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let mut inside = Vec::new();
        loop {
            let (_, line) =
                lines.next().unwrap_or_else(|| panic!("the block of line {} has no end", index + 1));
            if line == "```" {
                break;
            }
            inside.push(line.to_owned());
        }
        match language {
            "sh" => blocks.push(Block { line: index + 2, commands: inside.join("\n"), shown: Vec::new() }),
            "text" if awaits_shown => {
                blocks.last_mut().expect("one of commands came before").shown = inside;
            }
            _ => {}
        }
        awaits_shown = language == "sh";
    }
    blocks
}

/// The first of the promised lines that is not among those of the output, each behind the one before it.
pub(crate) fn missing<'a>(shown: &'a [String], output: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(|line| line.trim_end_matches('\r'));
    shown.iter().find(|promised| !lines.any(|line| matches(promised, line))).map(String::as_str)
}

/// Whether a line is the promised one, in which `…` stands for anything.
fn matches(promised: &str, line: &str) -> bool {
    let mut parts = promised.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_shell_with_what_they_show() {
        let text = "# A\n\n```sh\none\ntwo\n```\n\nThen:\n\n```text\nseen\n```\n\n```text\nanother\n```\n\n\
                    ```toml\na = 1\n```\n\n```sh\nthree\n```\n";
        let block = |line, commands: &str, shown: &[&str]| Block {
            line,
            commands: commands.to_owned(),
            shown: shown.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(blocks(text), [block(4, "one\ntwo", &["seen"]), block(23, "three", &[])]);
    }

    #[test]
    #[should_panic(expected = "the block of line 2 has no end")]
    fn a_block_that_does_not_end_is_an_error() {
        blocks("a\n```sh\none\n");
    }

    #[track_caller]
    fn check(shown: &[&str], output: &str, expected: Option<&str>) {
        let shown: Vec<String> = shown.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(missing(&shown, output), expected);
    }

    #[test]
    fn promised_lines_are_found_in_their_order() {
        check(&[], "", None);
        check(&["b"], "a\nb\r\nc\n", None);
        check(&["b"], "ab\n", Some("b"));
        check(&["a", "b"], "a\nb", None);
        check(&["b", "a"], "a\nb", Some("a"));
        check(&["a", "a"], "a\n", Some("a"));
        check(&["…Z #1 …@1.2.3.4 stored …"], "10:00:00Z #1 a@1.2.3.4 stored (1 B) /x", None);
        check(&["a…a"], "a", Some("a…a"));
        check(&["a…b…c"], "abc", None);
        check(&["a…b…c"], "acb", Some("a…b…c"));
        check(&["…"], "", Some("…"));
        check(&["…"], "anything", None);
    }
}
