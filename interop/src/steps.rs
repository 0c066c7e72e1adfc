//! What a client is asked, in words that every client has, and what it answered.
//!
//! Not inside: the command lines, which are in `drivers`.

use std::fmt;

use crate::run::Finished;

/// One thing to do. Of two names the first is where bytes come from and the second where they go; remote names are
/// within the folder of the case, local ones within the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send a file, as bytes.
    Put(&'a str, &'a str),
    /// Send a file as text.
    PutText(&'a str, &'a str),
    /// Send a file with its time.
    PutDated(&'a str, &'a str),
    /// Send a file behind what the other one holds.
    Append(&'a str, &'a str),
    /// Send what the other file lacks.
    ResumePut(&'a str, &'a str),
    /// Fetch a file, as bytes.
    Get(&'a str, &'a str),
    /// Fetch a file as text.
    GetText(&'a str, &'a str),
    /// Fetch a file with its time.
    GetDated(&'a str, &'a str),
    /// Fetch what the local file lacks.
    ResumeGet(&'a str, &'a str),
    /// Fetch the beginning of a file and stop, by ABOR where the client has it, so that the session goes on.
    StopGet(&'a str),
    /// Say the names in a folder.
    List(&'a str),
    /// Make a folder.
    MakeFolder(&'a str),
    /// Remove an empty folder.
    RemoveFolder(&'a str),
    /// Give a file another name.
    Rename(&'a str, &'a str),
    /// Delete a file.
    Delete(&'a str),
    /// Send a folder with all it holds.
    MirrorUp(&'a str, &'a str),
    /// Fetch a folder with all it holds.
    MirrorDown(&'a str, &'a str),
}

impl<'a> Step<'a> {
    /// The step in words, as the programs in `scripts/` take it: what to do, then the names.
    pub(crate) fn words(self) -> Vec<&'a str> {
        match self {
            Step::Put(from, to) => vec!["put", from, to],
            Step::PutText(from, to) => vec!["put-text", from, to],
            Step::PutDated(from, to) => vec!["put-dated", from, to],
            Step::Append(from, to) => vec!["append", from, to],
            Step::ResumePut(from, to) => vec!["resume-put", from, to],
            Step::Get(from, to) => vec!["get", from, to],
            Step::GetText(from, to) => vec!["get-text", from, to],
            Step::GetDated(from, to) => vec!["get-dated", from, to],
            Step::ResumeGet(from, to) => vec!["resume-get", from, to],
            Step::StopGet(name) => vec!["stop-get", name],
            Step::List(folder) => vec!["list", folder],
            Step::MakeFolder(folder) => vec!["make-folder", folder],
            Step::RemoveFolder(folder) => vec!["remove-folder", folder],
            Step::Rename(from, to) => vec!["rename", from, to],
            Step::Delete(name) => vec!["delete", name],
            Step::MirrorUp(from, to) => vec!["mirror-up", from, to],
            Step::MirrorDown(from, to) => vec!["mirror-down", from, to],
        }
    }
}

/// Why the server refuses a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The password is wrong.
    Login,
    /// There is no such file.
    Missing,
    /// This account may not write.
    NoPermission,
    /// The folder is not empty.
    NotEmpty,
    /// The data connection does not resume the session of its control connection.
    NotResumed,
}

/// What a client answered to some steps: one run of its program or several, the last of which may have been refused.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) runs: Vec<Finished>,
    pub(crate) is_refused: bool,
}

impl Answer {
    /// The lines of all standard outputs.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.runs.iter().flat_map(Finished::lines)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.iter().try_for_each(|run| run.fmt(f))
    }
}
