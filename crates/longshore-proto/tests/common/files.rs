//! A tree of files in a map, with one file open at a time, as a session has it.
//!
//! Not inside: contents. A file is as long as the bytes that were moved into it.

use std::collections::BTreeMap;

use longshore_path::VirtualPath;
use longshore_proto::listing::Facts;
use longshore_proto::server::{QuotaStatus, StorageOp, StorageOutcome, UploadStart};
use longshore_proto::time::UnixTime;
use longshore_proto::verbs::Failure;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Directory,
    File { size: u64, modified: UnixTime },
}

/// What the running transfer has open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Open {
    #[default]
    Nothing,
    File {
        rest: u64,
    },
    Listing {
        path: Vec<u8>,
    },
    Upload {
        path: Vec<u8>,
        kept: u64,
    },
}

/// All there is.
#[derive(Clone, Debug)]
pub struct Files {
    nodes: BTreeMap<Vec<u8>, Node>,
    pub open: Open,
    /// What FreeSpace says.
    pub free: Option<u64>,
    /// What Quota says, and whether an account that logs in has one.
    pub quota: Option<QuotaStatus>,
    /// More entries than STAT lists are anywhere.
    pub crowded: bool,
}

const LONG_AGO: UnixTime = UnixTime { seconds: 981_173_106, nanoseconds: 0 };

impl Default for Files {
    fn default() -> Files {
        let mut nodes = BTreeMap::new();
        nodes.insert(b"/".to_vec(), Node::Directory);
        Files { nodes, open: Open::Nothing, free: Some(1_000_000), quota: None, crowded: false }
    }
}

impl Files {
    pub fn add_directory(&mut self, path: &[u8]) {
        self.nodes.insert(path.to_vec(), Node::Directory);
    }

    pub fn add_file(&mut self, path: &[u8], size: u64) {
        self.nodes.insert(path.to_vec(), Node::File { size, modified: LONG_AGO });
    }

    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The names in a directory; a file is a list of itself.
    pub fn names(&self, path: &[u8]) -> Vec<Vec<u8>> {
        if let Some(Node::File { .. }) = self.get(path) {
            return vec![path.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec()];
        }
        let prefix = if path == b"/" { b"/".to_vec() } else { [path, b"/"].concat() };
        self.nodes
            .keys()
            .filter_map(|name| name.strip_prefix(prefix.as_slice()))
            .filter(|rest| !rest.is_empty() && !rest.contains(&b'/'))
            .map(<[u8]>::to_vec)
            .collect()
    }

    /// Bytes came in for the open upload; they are a file only when it is committed.
    pub fn perform(&mut self, op: &StorageOp, received: u64) -> StorageOutcome {
        self.attempt(op, received).unwrap_or_else(StorageOutcome::Failed)
    }

    fn attempt(&mut self, op: &StorageOp, received: u64) -> Result<StorageOutcome, Failure> {
        let done = Ok(StorageOutcome::Done);
        match op {
            StorageOp::ChangeDirectory(path) => self.directory(path).map(|()| StorageOutcome::Done),
            StorageOp::MakeDirectory(path) => {
                self.free_name(path)?;
                self.nodes.insert(path.as_bytes().to_vec(), Node::Directory);
                done
            }
            StorageOp::RemoveDirectory(path) => {
                self.directory(path)?;
                if !self.names(path.as_bytes()).is_empty() {
                    return Err(Failure::NotEmpty);
                }
                if path.is_root() {
                    return Err(Failure::NoPermission);
                }
                self.nodes.remove(path.as_bytes());
                done
            }
            StorageOp::RemoveFile(path) => {
                self.file(path)?;
                self.nodes.remove(path.as_bytes());
                done
            }
            StorageOp::RenameFrom(path) => self.there(path).map(|_| StorageOutcome::Done),
            StorageOp::Rename { from, to } => {
                let node = self.there(from)?.clone();
                if self.get(to.as_bytes()) == Some(&Node::Directory) || node == Node::Directory {
                    self.free_name(to)?;
                }
                self.parent(to)?;
                self.nodes.remove(from.as_bytes());
                self.nodes.insert(to.as_bytes().to_vec(), node);
                done
            }
            StorageOp::Size(path) => self.file(path).map(|(size, _)| StorageOutcome::Size(size)),
            StorageOp::Modified(path) => self.file(path).map(|(_, time)| StorageOutcome::Modified(time)),
            StorageOp::SetMode(path, mode) => self.there(path).map(|_| StorageOutcome::Mode(*mode)),
            StorageOp::Quota => Ok(StorageOutcome::Quota(self.quota)),
            StorageOp::SetModified(path, time) => {
                let (size, _) = self.file(path)?;
                self.nodes.insert(path.as_bytes().to_vec(), Node::File { size, modified: *time });
                done
            }
            StorageOp::Facts(path, facts) => {
                let kind = match self.there(path)? {
                    Node::Directory => "dir",
                    Node::File { .. } => "file",
                };
                let mut line = Vec::new();
                if facts.contains(Facts::TYPE) {
                    line.extend_from_slice(format!("type={kind};").as_bytes());
                }
                line.push(b' ');
                line.extend_from_slice(path.as_bytes());
                Ok(StorageOutcome::Lines { lines: vec![line], directory: false })
            }
            StorageOp::StatusListing(path) => {
                let directory = *self.there(path)? == Node::Directory;
                if directory && self.crowded {
                    return Ok(StorageOutcome::TooMany);
                }
                Ok(StorageOutcome::Lines { lines: self.names(path.as_bytes()), directory })
            }
            StorageOp::FreeSpace(_) => Ok(StorageOutcome::FreeSpace(self.free)),
            StorageOp::OpenRetrieve { path, offset } => {
                let (size, _) = self.file(path)?;
                let rest = size.checked_sub(*offset).ok_or(Failure::BeyondEnd)?;
                self.open = Open::File { rest };
                Ok(StorageOutcome::Opened)
            }
            StorageOp::OpenListing { path, directory_only } => {
                if *self.there(path)? != Node::Directory && *directory_only {
                    return Err(Failure::NotADirectory);
                }
                self.open = Open::Listing { path: path.as_bytes().to_vec() };
                Ok(StorageOutcome::Opened)
            }
            StorageOp::OpenUpload { path, start } => self.open_upload(path, *start),
            StorageOp::Abandon => {
                let resumable = match std::mem::take(&mut self.open) {
                    Open::Upload { path, kept } if !self.nodes.contains_key(&path) => {
                        Some(kept.saturating_add(received)).filter(|&bytes| bytes > 0)
                    }
                    _ => None,
                };
                Ok(StorageOutcome::Abandoned { resumable })
            }
            StorageOp::Commit => {
                let Open::Upload { path, kept } = std::mem::take(&mut self.open) else {
                    return Err(Failure::Fault);
                };
                let size = kept.saturating_add(received);
                self.nodes.insert(path, Node::File { size, modified: LONG_AGO });
                done
            }
        }
    }

    fn open_upload(&mut self, path: &VirtualPath, start: UploadStart) -> Result<StorageOutcome, Failure> {
        self.parent(path)?;
        let size = match self.get(path.as_bytes()) {
            Some(Node::Directory) => return Err(Failure::IsADirectory),
            Some(Node::File { size, .. }) => Some(*size),
            None => None,
        };
        let mut path = path.clone();
        let kept = match start {
            UploadStart::Replace => 0,
            UploadStart::Append => size.unwrap_or(0),
            UploadStart::At(offset) if offset <= size.unwrap_or(0) => offset,
            UploadStart::At(_) => return Err(Failure::BeyondEnd),
            UploadStart::Unique => {
                let wish = path.as_bytes().to_vec();
                let mut number = 0;
                while self.get(path.as_bytes()).is_some() {
                    number += 1;
                    let next = [wish.as_slice(), format!(".{number}").as_bytes()].concat();
                    path = VirtualPath::new(next).map_err(|_| Failure::Name)?;
                }
                0
            }
        };
        self.open = Open::Upload { path: path.as_bytes().to_vec(), kept };
        Ok(StorageOutcome::UploadOpened(path))
    }

    fn there(&self, path: &VirtualPath) -> Result<&Node, Failure> {
        self.get(path.as_bytes()).ok_or(Failure::NotFound)
    }

    fn directory(&self, path: &VirtualPath) -> Result<(), Failure> {
        match self.there(path)? {
            Node::Directory => Ok(()),
            Node::File { .. } => Err(Failure::NotADirectory),
        }
    }

    fn file(&self, path: &VirtualPath) -> Result<(u64, UnixTime), Failure> {
        match *self.there(path)? {
            Node::File { size, modified } => Ok((size, modified)),
            Node::Directory => Err(Failure::IsADirectory),
        }
    }

    fn parent(&self, path: &VirtualPath) -> Result<(), Failure> {
        match path.parent() {
            Some(parent) => self.directory(&parent),
            None => Err(Failure::IsADirectory),
        }
    }

    fn free_name(&self, path: &VirtualPath) -> Result<(), Failure> {
        if self.get(path.as_bytes()).is_some() {
            return Err(Failure::Exists);
        }
        self.parent(path)
    }
}
