//! What the cases are written with.

use longshore_path::VirtualPath;

use super::{Errand, Subject};
use crate::{
    Backend, Committed, Detail, Directory, Durability, Entry, Error, ErrorKind, Operation, Part, Result,
    Upload, UploadPlan, UploadRequest, Usage,
};

/// Who uploads where the case does not care.
pub(super) const OWNER: &str = "anna";

/// A store under examination.
pub(super) struct Kit<'a> {
    pub(super) backend: Box<dyn Backend>,
    pub(super) reserved_names: &'a [&'a [u8]],
    block_on: Option<&'a dyn Fn(Errand<'_>)>,
}

#[track_caller]
pub(super) fn path(path: impl AsRef<[u8]>) -> VirtualPath {
    VirtualPath::new(path).expect("the kit's own paths are valid")
}

/// An upload of a whole file, by [`OWNER`], which may overwrite.
#[track_caller]
pub(super) fn request(name: impl AsRef<[u8]>, plan: UploadPlan) -> UploadRequest {
    UploadRequest {
        overwrite: true,
        // One case asks for the others; syncing in all of them would only take time.
        durability: Durability::None,
        ..UploadRequest::new(path(name), OWNER, plan)
    }
}

#[track_caller]
pub(super) fn check_error<T>(result: Result<T>, expected: ErrorKind) {
    match result {
        Ok(_) => panic!("succeeded instead of: {expected}"),
        Err(Error { kind, .. }) => assert_eq!(kind, expected),
    }
}

impl<'a> Kit<'a> {
    pub(super) fn new(subject: &Subject<'a>) -> Kit<'a> {
        Kit { backend: (subject.make)(), reserved_names: subject.reserved_names, block_on: subject.block_on }
    }

    pub(super) fn wait<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T> {
        match (operation, self.block_on) {
            (Operation::Pending(future), Some(block_on)) => {
                let mut result = None;
                block_on(Box::pin(async { result = Some(future.await) }));
                result.expect("block_on runs what it is given to the end")
            }
            (operation, _) => operation.wait(),
        }
    }

    #[track_caller]
    pub(super) fn stat(&self, name: impl AsRef<[u8]>) -> Result<Entry> {
        self.wait(self.backend.stat(&path(name)))
    }

    #[track_caller]
    pub(super) fn make_directory(&self, name: impl AsRef<[u8]>) {
        self.wait(self.backend.make_directory(&path(name), None)).expect("a directory is made");
    }

    #[track_caller]
    pub(super) fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<()> {
        self.wait(self.backend.rename(&path(from), &path(to), overwrite))
    }

    /// All of a file, read in small pieces.
    #[track_caller]
    pub(super) fn read(&self, name: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let mut file = self.wait(self.backend.open_read(&path(name)))?;
        let mut contents = Vec::new();
        loop {
            let piece = self.wait(file.read_at(contents.len() as u64, Vec::with_capacity(1000)))?;
            if piece.is_empty() {
                return Ok(contents);
            }
            contents.extend_from_slice(&piece);
        }
    }

    #[track_caller]
    pub(super) fn check_contents(&self, name: impl AsRef<[u8]>, expected: &[u8]) {
        let contents = self.read(name.as_ref()).expect("the file can be read");
        assert!(
            contents == expected,
            "{}: {} octets, not the expected {}",
            path(name),
            contents.len(),
            expected.len()
        );
    }

    #[track_caller]
    pub(super) fn list(&self, name: impl AsRef<[u8]>) -> Vec<Entry> {
        let mut directory = self.open_directory(name);
        let mut entries = Vec::new();
        self.list_rest(&mut *directory, &mut entries, 0);
        entries
    }

    #[track_caller]
    pub(super) fn open_directory(&self, name: impl AsRef<[u8]>) -> Box<dyn Directory> {
        self.wait(self.backend.open_directory(&path(name))).expect("the directory opens")
    }

    /// Lists to the end, batch by batch, where the next one has this number.
    #[track_caller]
    pub(super) fn list_rest(&self, directory: &mut dyn Directory, entries: &mut Vec<Entry>, number: u64) {
        for number in number.. {
            let batch = self.wait(directory.next_entries(Detail::All)).expect("the directory can be read");
            let Some(batch) = batch else { break };
            assert_eq!(batch.number, number, "batches are counted");
            entries.extend(batch.entries);
        }
        let again = self.wait(directory.next_entries(Detail::All)).expect("the end can be asked for twice");
        assert_eq!(again, None, "after its end a listing goes on");
    }

    /// The sorted names in a directory are these.
    #[track_caller]
    pub(super) fn check_names(&self, name: impl AsRef<[u8]>, expected: &[&str]) {
        let mut names: Vec<_> =
            self.list(name).iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
        names.sort();
        assert_eq!(names, expected);
    }

    #[track_caller]
    pub(super) fn open(&self, request: UploadRequest) -> Result<Box<dyn Upload>> {
        self.wait(self.backend.open_upload(request))
    }

    #[track_caller]
    pub(super) fn write(&self, upload: &mut dyn Upload, octets: &[u8]) {
        let before = upload.position();
        let buffer = self.wait(upload.write(octets.to_vec())).expect("the octets are written");
        assert!(buffer.is_empty(), "the buffer comes back emptied");
        assert_eq!(upload.position(), before + octets.len() as u64);
    }

    /// Opens, and writes `octets` without ending it.
    #[track_caller]
    pub(super) fn begin(&self, request: UploadRequest, octets: &[u8]) -> Box<dyn Upload> {
        let mut upload = self.open(request).expect("the upload opens");
        if !octets.is_empty() {
            self.write(&mut *upload, octets);
        }
        upload
    }

    #[track_caller]
    pub(super) fn commit(&self, upload: Box<dyn Upload>) -> Committed {
        self.wait(upload.commit()).expect("the commit succeeds")
    }

    #[track_caller]
    pub(super) fn abandon(&self, upload: Box<dyn Upload>) -> Option<u64> {
        self.wait(upload.abandon()).expect("giving up succeeds").kept_bytes
    }

    /// Stores a whole file.
    #[track_caller]
    pub(super) fn put(&self, name: impl AsRef<[u8]>, octets: &[u8]) {
        let upload = self.begin(request(name, UploadPlan::Replace), octets);
        self.commit(upload);
    }

    /// What is used, which must be what a new count finds.
    #[track_caller]
    pub(super) fn usage(&self) -> Usage {
        let known = self.wait(self.backend.usage()).expect("the usage is known");
        let counted = self.wait(self.backend.recount()).expect("the usage can be counted");
        assert_eq!(known, counted, "what is known is not what is counted");
        known
    }

    #[track_caller]
    pub(super) fn check_usage(&self, bytes: u64, files: u64) {
        assert_eq!(self.usage(), Usage { bytes, files });
    }

    #[track_caller]
    pub(super) fn remove(&self, name: impl AsRef<[u8]>) {
        self.wait(self.backend.remove_file(&path(name))).expect("the file is removed");
    }

    #[track_caller]
    pub(super) fn discard(&self, upload: Box<dyn Upload>) {
        self.wait(upload.discard()).expect("discarding succeeds");
    }

    /// Leaves a part of [`OWNER`]'s.
    #[track_caller]
    pub(super) fn cut(&self, name: impl AsRef<[u8]>, octets: &[u8]) {
        let upload = self.begin(request(name, UploadPlan::Replace), octets);
        assert_eq!(self.abandon(upload), Some(octets.len() as u64), "the part is kept");
    }

    #[track_caller]
    pub(super) fn part(&self, owner: &str, name: impl AsRef<[u8]>) -> Result<Part> {
        self.wait(self.backend.part(owner, &path(name)))
    }

    #[track_caller]
    pub(super) fn check_part(&self, owner: &str, name: impl AsRef<[u8]>, expected: Option<u64>) {
        match (self.part(owner, name), expected) {
            (Ok(part), Some(size)) => assert_eq!(part.size, size),
            (Ok(part), None) => panic!("there is a part of {} octets", part.size),
            (Err(error), Some(_)) => panic!("there is no part: {error}"),
            (result, None) => check_error(result, ErrorKind::NotFound),
        }
    }
}
