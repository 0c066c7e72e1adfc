//! What clients cannot do, with the reason: the only cells of the table that need not say yes.
//!
//! Not inside: the operations, and how it is seen that a gap is there. What the server itself cannot do with a client is
//! no gap but a defect, and its test fails.

use crate::clients::Client;
use crate::operations::Operation;
use crate::way::Way;

/// Some operations that a client has not, or not on every way.
pub(crate) struct Gap {
    pub(crate) client: Client,
    pub(crate) operations: &'static [Operation],
    /// The ways on which it can nevertheless.
    pub(crate) works_on: &'static [Way],
    /// A sentence about the client, without its name.
    pub(crate) reason: &'static str,
}

const fn never(client: Client, operations: &'static [Operation], reason: &'static str) -> Gap {
    Gap { client, operations, works_on: &[], reason }
}

/// Every gap.
pub(crate) const GAPS: &[Gap] = &[
    never(Client::Curl, &[Operation::MirrorUp, Operation::MirrorDown], "moves single files"),
    never(Client::Lftp, &[Operation::Append], "has no command that appends to a whole file"),
    never(
        Client::Ncftp,
        &[Operation::ResumeUpload],
        "3.2.6 says by REST where the file goes on, then sends it from its beginning",
    ),
    never(
        Client::Tnftp,
        &[Operation::MirrorUp, Operation::MirrorDown],
        "moves the files of one folder at most",
    ),
    never(Client::Tnftp, &[Operation::SetTime], "has no command that sets a time"),
    never(
        Client::Wget,
        &[
            Operation::Upload,
            Operation::Replace,
            Operation::ResumeUpload,
            Operation::Append,
            Operation::Folders,
            Operation::Rename,
            Operation::Delete,
            Operation::SetTime,
            Operation::MirrorUp,
            Operation::RefusedUpload,
        ],
        "only fetches and lists",
    ),
    never(Client::Wget, &[Operation::ReadTime], "takes times from LIST, which has no minutes for old files"),
    never(
        Client::Rclone,
        &[Operation::ResumeUpload, Operation::Append, Operation::ResumeDownload],
        "moves whole files",
    ),
    never(Client::Rclone, &[Operation::Text], "knows only TYPE I"),
    never(Client::Ftplib, &[Operation::MirrorUp, Operation::MirrorDown], "has no method for trees"),
    never(Client::NetFtp, &[Operation::MirrorUp, Operation::MirrorDown], "has no method for trees"),
    never(Client::CommonsNet, &[Operation::MirrorUp, Operation::MirrorDown], "has no method for trees"),
    never(Client::BasicFtp, &[Operation::Text], "knows only TYPE I"),
];

/// The gap of a client at an operation.
pub(crate) fn gap(client: Client, operation: Operation) -> Option<&'static Gap> {
    GAPS.iter().find(|gap| gap.client == client && gap.operations.contains(&operation))
}

/// Whether a client has an operation on any way.
pub(crate) fn has(client: Client, operation: Operation) -> bool {
    gap(client, operation).is_none_or(|gap| !gap.works_on.is_empty())
}

/// The ways on which a client has an operation, whether this machine has their families or not.
pub(crate) fn ways_of(client: Client, operation: Operation) -> Vec<Way> {
    let works = |way: &Way| gap(client, operation).is_none_or(|gap| gap.works_on.contains(way));
    client.all_ways().into_iter().filter(works).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_explained_once() {
        for gap in GAPS {
            let reason = gap.reason;
            assert!(reason.len() > 10 && !reason.ends_with('.') && !gap.operations.is_empty(), "{reason:?}");
            let known = gap.client.all_ways();
            assert!(gap.works_on.iter().all(|way| known.contains(way)), "{}: {reason}", gap.client);
            assert!(gap.works_on.len() < known.len(), "{}: {reason}: no gap", gap.client);
            for &operation in gap.operations {
                let same = |other: &&Gap| other.client == gap.client && other.operations.contains(&operation);
                assert_eq!(GAPS.iter().filter(same).count(), 1, "{}, {operation}", gap.client);
            }
        }
    }

    #[test]
    fn ways_are_those_of_the_client_but_for_gaps() {
        assert_eq!(ways_of(Client::Curl, Operation::Upload), Client::Curl.all_ways());
        assert_eq!(ways_of(Client::Wget, Operation::Upload), []);
        assert!(has(Client::Wget, Operation::Download) && !has(Client::Wget, Operation::Upload));
    }
}
