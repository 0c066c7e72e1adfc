//! An open file of the local store.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::errno::error;
use super::{Store, attributes, text};
use crate::limits::DEFAULT_READ_BYTES;
use crate::{Entry, ErrorKind, Operation, Readable, Result};
use longshore_path::VirtualPath;

/// O_NONBLOCK: a pipe would else be waited for, by a thread that others need.
pub(super) const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

struct LocalFile {
    file: Arc<OwnedFd>,
    entry: Entry,
}

pub(super) fn open(store: &Arc<Store>, path: &VirtualPath) -> Operation<Box<dyn Readable>> {
    if let Some(result) = store.root.open_cached(text(path), FLAGS) {
        return Operation::Ready(result.map_err(error).and_then(|file| readable(file, path)));
    }
    let (store, path) = (Arc::clone(store), path.clone());
    Operation::blocking(move || {
        let file = store.root.open_at(text(&path), FLAGS).map_err(error)?;
        readable(file, &path)
    })
}

fn readable(file: OwnedFd, path: &VirtualPath) -> Result<Box<dyn Readable>> {
    let status = attributes::status(&file).map_err(error)?;
    match attributes::file_type(&status) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(ErrorKind::IsADirectory.into()),
        _ => return Err(ErrorKind::NotAFile.into()),
    }
    let entry = attributes::entry(path.file_name().unwrap_or_default(), &status, None);
    Ok(Box::new(LocalFile { file: Arc::new(file), entry }))
}

impl Readable for LocalFile {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn read_at(&mut self, offset: u64, mut buffer: Vec<u8>) -> Operation<Vec<u8>> {
        if buffer.capacity() == 0 {
            buffer.reserve(DEFAULT_READ_BYTES);
        }
        // Bytes that are there from the last round are kept, only the rest is cleared.
        buffer.resize(buffer.capacity(), 0);
        match read(&self.file, offset, &mut buffer, 0, ReadWriteFlags::NOWAIT) {
            (length, Ok(())) => {
                buffer.truncate(length);
                Operation::Ready(Ok(buffer))
            }
            // Not in memory, or a file system that cannot tell: a job reads the rest.
            (begun, Err(_)) => {
                let file = Arc::clone(&self.file);
                Operation::blocking(move || {
                    let (length, result) = read(&file, offset, &mut buffer, begun, ReadWriteFlags::empty());
                    buffer.truncate(length);
                    result.map_err(error).map(|()| buffer)
                })
            }
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

/// Fills `buffer` from its octet `length` on, until it is full or the file ends; the new length in any case.
fn read(
    file: &OwnedFd,
    offset: u64,
    buffer: &mut [u8],
    mut length: usize,
    flags: ReadWriteFlags,
) -> (usize, rustix::io::Result<()>) {
    while length < buffer.len() {
        // No file is longer than the kernel can count, and asking beyond that is an error, not an end.
        let Some(position) = offset.checked_add(length as u64) else { break };
        let Some(room @ 1..) = (i64::MAX as u64).checked_sub(position) else { break };
        let rest = &mut buffer[length..];
        let asked = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
        let rest = &mut rest[..asked];
        let result = if flags.is_empty() {
            rustix::io::pread(file, rest, position)
        } else {
            rustix::io::preadv2(file, &mut [IoSliceMut::new(rest)], position, flags)
        };
        match result {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => return (length, Err(errno)),
        }
    }
    (length, Ok(()))
}
