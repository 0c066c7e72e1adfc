//! What every client is asked to do: the rows of the table.
//!
//! Not inside: how it is checked, which is in `suite`, and what a client cannot do, which is in `gaps`.

use std::fmt;

/// One thing that people do with a client of FTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Files of sizes at the edges of buffers.
    Upload,
    /// A file that is there already.
    Replace,
    /// From where a broken upload ended; what was stored before stays.
    ResumeUpload,
    /// Behind what a file holds, and to a file that is not there.
    Append,
    /// Files of sizes at the edges of buffers.
    Download,
    /// From where the local file ends; what was fetched before stays.
    ResumeDownload,
    /// Twenty files up and twenty down, over one control connection.
    SeveralFiles,
    /// Both ways in TYPE A.
    Text,
    /// Names of 300 files and a folder, then of an empty folder.
    List,
    /// Names with spaces and beyond ASCII: sent, fetched, listed, deleted.
    Names,
    /// Names that begin or end with a space: sent, fetched, listed, deleted.
    NamesWithOuterSpaces,
    /// Names with signs that shells, URLs and patterns give a meaning: sent, fetched, listed, deleted.
    NamesWithSigns,
    /// Folders made and removed.
    Folders,
    /// A new name for a file.
    Rename,
    /// One file of two.
    Delete,
    /// The local file has the time of the remote one.
    ReadTime,
    /// The remote file has the time of the local one.
    SetTime,
    /// A small tree sent by one command.
    MirrorUp,
    /// A small tree fetched by one command.
    MirrorDown,
    /// The client says so and does no more.
    WrongPassword,
    /// The client says so.
    MissingFile,
    /// Reading without an account.
    Anonymous,
    /// An upload by somebody who may not write: the client says so, and nothing is stored.
    RefusedUpload,
}

impl Operation {
    /// All of them, in the order of the table.
    pub const ALL: &[Operation] = &[
        Operation::Upload,
        Operation::Replace,
        Operation::ResumeUpload,
        Operation::Append,
        Operation::Download,
        Operation::ResumeDownload,
        Operation::SeveralFiles,
        Operation::Text,
        Operation::List,
        Operation::Names,
        Operation::NamesWithOuterSpaces,
        Operation::NamesWithSigns,
        Operation::Folders,
        Operation::Rename,
        Operation::Delete,
        Operation::ReadTime,
        Operation::SetTime,
        Operation::MirrorUp,
        Operation::MirrorDown,
        Operation::WrongPassword,
        Operation::MissingFile,
        Operation::Anonymous,
        Operation::RefusedUpload,
    ];

    /// Its name in results and tables.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Upload => "upload",
            Operation::Replace => "upload over a file",
            Operation::ResumeUpload => "resume an upload",
            Operation::Append => "append",
            Operation::Download => "download",
            Operation::ResumeDownload => "resume a download",
            Operation::SeveralFiles => "several files, one session",
            Operation::Text => "text (TYPE A)",
            Operation::List => "list a folder",
            Operation::Names => "names with spaces, UTF-8",
            Operation::NamesWithOuterSpaces => "names with outer spaces",
            Operation::NamesWithSigns => "names with signs",
            Operation::Folders => "make and remove folders",
            Operation::Rename => "rename",
            Operation::Delete => "delete",
            Operation::ReadTime => "read the time",
            Operation::SetTime => "set the time",
            Operation::MirrorUp => "mirror a tree up",
            Operation::MirrorDown => "mirror a tree down",
            Operation::WrongPassword => "wrong password",
            Operation::MissingFile => "missing file",
            Operation::Anonymous => "read as anonymous",
            Operation::RefusedUpload => "refused upload",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_its_names_differ() {
        // The last variant counts those before it.
        assert_eq!(Operation::ALL.len(), Operation::RefusedUpload as usize + 1);
        assert!(Operation::ALL.is_sorted());
        for (index, operation) in Operation::ALL.iter().enumerate() {
            let others = &Operation::ALL[index + 1..];
            assert!(others.iter().all(|other| other.name() != operation.name()), "{operation}");
        }
    }
}
