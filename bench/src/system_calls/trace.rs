//! What `strace -f` wrote, as numbers: how often each system call was made between two marks.
//!
//! The marks are commands that the client sends and the server does not know. The interval begins when the answer to the
//! first one has been sent and ends when the second one is read, so that what the marks cost is not counted.
//!
//! Not inside: how often a call may be made; that is [`super::bounds`].

use std::collections::{BTreeMap, HashMap};

/// System calls by name; one that failed is counted apart, with its error behind the name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// How a wake-up of the reactor is counted, whose bytes nobody reads.
pub(crate) const WAKE: &str = "write to wake";

/// What the client says at an end of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Begin,
    End,
}

impl Mark {
    /// The command, without its end. No server knows it.
    pub(crate) fn command(self, scenario: &str) -> String {
        let word = match self {
            Mark::Begin => "begins",
            Mark::End => "ends",
        };
        format!("XMARK {scenario} {word}")
    }
}

/// One call that has come to its end.
struct Call<'a> {
    name: &'a str,
    arguments: String,
    /// Such as `EAGAIN`.
    error: Option<&'a str>,
}

impl Call<'_> {
    fn reads(&self, text: &str) -> bool {
        matches!(self.name, "read" | "readv" | "recvfrom" | "recvmsg") && self.arguments.contains(text)
    }

    /// Sends what the server says to a command that it does not know.
    fn answers_a_mark(&self) -> bool {
        matches!(self.name, "write" | "writev" | "sendto" | "sendmsg") && self.arguments.contains("\"500 ")
    }

    fn key(&self) -> String {
        match self.error {
            Some(error) => format!("{} {error}", self.name),
            // An eventfd takes eight bytes and adds them up.
            None if self.name == "write" && self.arguments.contains("\"\\1\\0\\0\\0\\0\\0\\0\\0\", 8") => {
                WAKE.to_owned()
            }
            None => self.name.to_owned(),
        }
    }
}

/// Reads line by line. A call during which another thread made one stands on two lines, and counts where it ends.
#[derive(Default)]
struct Reader<'a> {
    unfinished: HashMap<&'a str, &'a str>,
}

impl<'a> Reader<'a> {
    fn call(&mut self, line: &'a str) -> Option<Call<'a>> {
        let (thread, text) = line.split_once(' ')?;
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            self.unfinished.insert(thread, begin);
            return None;
        }
        let (begin, end) = match text.strip_prefix("<... ") {
            Some(resumed) => (self.unfinished.remove(thread)?, resumed.split_once(" resumed>")?.1),
            None => ("", text),
        };
        // Signals and ends of threads have no result.
        let (end, result) = end.rsplit_once(" = ")?;
        let (name, arguments) = match begin.split_once('(') {
            Some((name, first)) => (name, format!("{first}{end}")),
            None => {
                let (name, arguments) = end.split_once('(')?;
                (name, arguments.to_owned())
            }
        };
        let mut words = result.split_whitespace();
        let error = (words.next()? == "-1").then(|| words.next()).flatten();
        Some(Call { name, arguments, error })
    }
}

/// What was called between the marks of a scenario.
///
/// # Errors
/// The trace lacks one of them.
pub(crate) fn between(trace: &str, scenario: &str) -> Result<Counts, String> {
    let (begin, end) = (Mark::Begin.command(scenario), Mark::End.command(scenario));
    let missing = |mark: &str| format!("the trace has no {mark:?}; does strace write what the server reads?");
    let mut reader = Reader::default();
    let mut calls = trace.lines().filter_map(|line| reader.call(line));
    calls.find(|call| call.reads(&begin)).ok_or_else(|| missing(&begin))?;
    calls.find(Call::answers_a_mark).ok_or_else(|| missing("500 "))?;
    let mut counts = Counts::new();
    for call in calls {
        if call.reads(&end) {
            return Ok(counts);
        }
        *counts.entry(call.key()).or_insert(0) += 1;
    }
    Err(missing(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between these lines of a trace, what is counted.
    #[track_caller]
    fn check(lines: &str, expected: &[(&str, u64)]) {
        let trace = format!(
            "7  recvfrom(9, \"XMARK x begins\\r\\n\", 4096, 0, NULL, NULL) = 16\n\
             7  sendto(9, \"500 XMARK is unknown\"..., 40, MSG_NOSIGNAL, NULL, 0) = 40\n\
             {lines}\n\
             7  recvfrom(9, \"XMARK x ends\\r\\n\", 4096, 0, NULL, NULL) = 14\n\
             7  close(3) = 0\n"
        );
        let expected: Counts = expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(between(&trace, "x"), Ok(expected), "{lines}");
    }

    #[test]
    fn calls_are_counted_between_the_marks_only() {
        check("", &[]);
        check("7  close(3) = 0\n8  close(4) = 0", &[("close", 2)]);
        check("7  close(3) = -1 EBADF (Bad file descriptor)", &[("close EBADF", 1)]);
        check(
            "7  recvfrom(9, 0x7f, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n\
             7  recvfrom(9, \"RETR a = b\\r\\n\", 4096, 0, NULL, NULL) = 12",
            &[("recvfrom", 1), ("recvfrom EAGAIN", 1)],
        );
        check("7  epoll_wait(3, [{events=EPOLLIN, data=0x1}], 1024, -1) = 1", &[("epoll_wait", 1)]);
        check(
            "7  write(5, \"\\1\\0\\0\\0\\0\\0\\0\\0\", 8) = 8\n7  write(1, \"line\", 4) = 4",
            &[("write", 1), (WAKE, 1)],
        );
        check("7  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) = 0x7f00", &[("mmap", 1)]);
        check("7  --- SIGCHLD {si_signo=SIGCHLD} ---\n8  +++ exited with 0 +++", &[]);
        check("8  exit(0) = ?", &[("exit", 1)]);
    }

    #[test]
    fn a_call_on_two_lines_counts_once_where_it_ends() {
        check(
            "7  futex(0x1, FUTEX_WAIT, 2 <unfinished ...>\n8  close(4) = 0\n7  <... futex resumed>) = -1 EAGAIN (x)",
            &[("close", 1), ("futex EAGAIN", 1)],
        );
        check("7  <... futex resumed>) = 0", &[]);
        check("7  futex(0x1, FUTEX_WAIT, 2 <unfinished ...>", &[]);
        check(
            "7  write(5, \"\\1\\0\\0\\0\\0\\0\\0\\0\", 8 <unfinished ...>\n7  <... write resumed>) = 8",
            &[(WAKE, 1)],
        );
    }

    #[test]
    fn a_mark_that_is_missing_is_named() {
        let begin = "7 read(9, \"XMARK x begins\\r\\n\", 4) = 4\n";
        let answer = "7 write(9, \"500 what\", 4) = 4\n";
        for (trace, mark) in [
            (String::new(), "XMARK x begins"),
            (begin.to_owned(), "500 "),
            (format!("{begin}{answer}7 close(1) = 0\n"), "XMARK x ends"),
            (format!("7 read(9, \"XMARK other begins\", 4) = 4\n{answer}"), "XMARK x begins"),
        ] {
            let error = between(&trace, "x").unwrap_err();
            assert!(error.contains(mark), "{mark:?} is not in {error:?}");
        }
    }
}
