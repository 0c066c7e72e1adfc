//! Storage and accounts on one side, the words of the protocol on the other.
//!
//! Here, and nowhere else, rights are checked and errors of storage become failures of the protocol. Not inside:
//! reply codes (a command's row picks them), and the bytes of files.

use std::sync::Arc;

use longshore_accounts::{Account, Mode, Permission, Permissions, TlsNeed, WeekMinute, Weekday};
use longshore_path::VirtualPath;
use longshore_proto::limits::STATUS_LIMIT_ENTRIES;
use longshore_proto::listing::{self, Item, ItemKind, Rights};
use longshore_proto::server::{self, QuotaStatus, StorageOp, StorageOutcome, UploadStart};
use longshore_proto::time::UnixTime;
use longshore_proto::verbs::{Direction, Failure};
use longshore_storage::{
    Abandoned, Backend, Detail, Directory, Durability, Entry, Error, ErrorKind, Kind, Quota, Readable,
    Timestamp, Upload, UploadPlan, UploadRequest,
};

use crate::bandwidth::{Pace, Throttle};
use crate::seats::CrewSeat;
use crate::server::Shared;
use crate::work::{self, Pool};

/// Somebody who is logged in, with the files that account sees.
pub(crate) struct Tenant {
    /// Shared with other sessions of the account.
    pub(crate) account: Arc<Account>,
    /// Its place among the sessions of the account.
    pub(crate) crew: CrewSeat,
    pub(crate) pace: Pace,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) durability: Durability,
    /// How quick its store is with what it waits for.
    pub(crate) jobs: work::Quickness,
}

/// What a session has open for its transfer.
#[derive(Default)]
pub(crate) enum Opened {
    #[default]
    Nothing,
    File(Box<dyn Readable>),
    Directory(Box<dyn Directory>),
    /// A listing of one file: the entry under the name it was asked by.
    Entry(Box<Entry>),
    Upload(Box<dyn Upload>),
    /// An upload that has come whole, with all its octets, of which none is written. Only a commit follows.
    Whole(Box<dyn Upload>, Vec<u8>),
    /// An upload that a quota or a limit has refused: nobody could ever finish what is there of it.
    Refused(Box<dyn Upload>),
}

/// An operation's outcome, what it opened, and the system's words where it failed.
pub(crate) struct Performed {
    pub(crate) outcome: StorageOutcome,
    pub(crate) opened: Opened,
    pub(crate) cause: Option<String>,
}

/// What the protocol calls what must be protected.
pub(crate) fn need(need: TlsNeed) -> server::TlsNeed {
    match need {
        TlsNeed::Nothing => server::TlsNeed::Nothing,
        TlsNeed::Login => server::TlsNeed::Login,
        TlsNeed::Data => server::TlsNeed::Data,
    }
}

/// What the protocol calls an error of storage.
pub(crate) fn failure(error: &Error) -> Failure {
    match error.kind {
        ErrorKind::NotFound => Failure::NotFound,
        ErrorKind::PermissionDenied => Failure::NoPermission,
        ErrorKind::NotADirectory => Failure::NotADirectory,
        ErrorKind::IsADirectory => Failure::IsADirectory,
        ErrorKind::NotAFile => Failure::NotAFile,
        ErrorKind::AlreadyExists => Failure::Exists,
        ErrorKind::NotEmpty => Failure::NotEmpty,
        ErrorKind::NameNotAllowed => Failure::Name,
        ErrorKind::NoSpace => Failure::NoSpace,
        ErrorKind::QuotaExceeded => Failure::Quota,
        ErrorKind::FileTooLarge => Failure::TooLarge,
        ErrorKind::OffsetBeyondEnd => Failure::BeyondEnd,
        ErrorKind::Busy => Failure::Busy,
        ErrorKind::ReadOnly => Failure::ReadOnly,
        ErrorKind::Unsupported => Failure::Unsupported,
        ErrorKind::Failed => Failure::Fault,
    }
}

/// Carries out one operation. `opened` is what the session had open; it comes back with the outcome unless the
/// operation used it up.
pub(crate) async fn perform(tenant: &Tenant, pool: &Pool, op: StorageOp, mut opened: Opened) -> Performed {
    let result = match op {
        StorageOp::Commit => match std::mem::take(&mut opened) {
            Opened::Upload(upload) => {
                pool.run_awaited(&tenant.jobs, upload.commit()).await.map(|_| StorageOutcome::Done)
            }
            Opened::Whole(upload, octets) => {
                pool.run_awaited(&tenant.jobs, upload.commit_with(octets)).await.map(|_| StorageOutcome::Done)
            }
            _ => Err(ErrorKind::Failed.into()),
        },
        StorageOp::Abandon => {
            // Whatever comes of it, the transfer's own failure is the answer.
            let (resumable, cause) = match std::mem::take(&mut opened) {
                Opened::Upload(upload) => abandon(tenant, pool, upload).await,
                Opened::Refused(upload) => {
                    let discarded = pool.run(upload.discard()).await;
                    (None, discarded.err().as_ref().and_then(for_the_log))
                }
                _ => (None, None),
            };
            return Performed { outcome: StorageOutcome::Abandoned { resumable }, opened, cause };
        }
        op => attempt(tenant, pool, op, &mut opened).await,
    };
    match result {
        Ok(outcome) => Performed { outcome, opened, cause: None },
        Err(error) => {
            let outcome = StorageOutcome::Failed(failure(&error));
            let cause = for_the_log(&error);
            Performed { outcome, opened, cause }
        }
    }
}

/// Gives an upload up; what a next one can go on from, and the system's words where even that failed.
async fn abandon(tenant: &Tenant, pool: &Pool, upload: Box<dyn Upload>) -> (Option<u64>, Option<String>) {
    let path = upload.path().clone();
    match pool.run(upload.abandon()).await {
        Ok(Abandoned { kept_bytes: Some(_) }) => {
            // A finished file of that name hides the part: then SIZE and REST speak of that file.
            let part = pool.run(tenant.backend.part(&tenant.account.name, &path)).await;
            (part.ok().map(|part| part.size), None)
        }
        Ok(_) => (None, None),
        Err(error) => (None, for_the_log(&error)),
    }
}

/// What an operator should know of an error. The ordinary ones are answers, no events.
fn for_the_log(error: &Error) -> Option<String> {
    use ErrorKind::{Busy, Failed, NoSpace, OffsetBeyondEnd, QuotaExceeded, ReadOnly, Unsupported};
    let told = [Busy, Failed, NoSpace, OffsetBeyondEnd, ReadOnly, Unsupported];
    // That an account has used up its quota is its own affair; that the file system has one is not.
    let by_system = error.kind == QuotaExceeded && error.source.is_some();
    (by_system || told.contains(&error.kind)).then(|| error.to_string())
}

async fn attempt(
    tenant: &Tenant,
    pool: &Pool,
    op: StorageOp,
    opened: &mut Opened,
) -> longshore_storage::Result<StorageOutcome> {
    let backend = &tenant.backend;
    Ok(match op {
        StorageOp::ChangeDirectory(path) => {
            let entry = pool.run(backend.stat(&path)).await?;
            match entry.kind {
                Kind::Directory => StorageOutcome::Done,
                _ => return Err(ErrorKind::NotADirectory.into()),
            }
        }
        StorageOp::MakeDirectory(path) => {
            tenant.may(Permission::MakeDirectory, &path)?;
            let mode = tenant.account.directory_mode.map(Mode::bits);
            pool.run(backend.make_directory(&path, mode)).await?;
            StorageOutcome::Done
        }
        StorageOp::RemoveDirectory(path) => {
            tenant.may(Permission::RemoveDirectory, &path)?;
            pool.run(backend.remove_directory(&path)).await?;
            StorageOutcome::Done
        }
        StorageOp::RemoveFile(path) => {
            tenant.may(Permission::Delete, &path)?;
            pool.run(backend.remove_file(&path)).await?;
            StorageOutcome::Done
        }
        StorageOp::RenameFrom(path) => {
            tenant.may(Permission::Rename, &path)?;
            pool.run(backend.stat(&path)).await?;
            StorageOutcome::Done
        }
        StorageOp::Rename { from, to } => {
            tenant.may(Permission::Rename, &from)?;
            tenant.may(Permission::Rename, &to)?;
            let overwrite = tenant.account.permissions_at(&to).allows(Permission::Overwrite);
            pool.run(backend.rename(&from, &to, overwrite)).await?;
            StorageOutcome::Done
        }
        StorageOp::Size(path) => StorageOutcome::Size(tenant.size_and_time(pool, &path).await?.0),
        StorageOp::Modified(path) => {
            StorageOutcome::Modified(unix_time(tenant.size_and_time(pool, &path).await?.1))
        }
        StorageOp::SetModified(path, time) => {
            tenant.may(Permission::SetTimes, &path)?;
            let time = Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds };
            pool.run(backend.set_modified(&path, time)).await?;
            StorageOutcome::Done
        }
        StorageOp::SetMode(path, mode) => {
            tenant.may(Permission::SetModes, &path)?;
            StorageOutcome::Mode(pool.run(backend.set_mode(&path, mode)).await?)
        }
        StorageOp::Quota => StorageOutcome::Quota(tenant.quota_status(pool).await?),
        StorageOp::Facts(path, facts) => {
            tenant.may(Permission::List, &path)?;
            let entry = pool.run(backend.stat(&path)).await?;
            let mut line = Vec::with_capacity(160);
            let rights = rights(entry.kind, tenant.account.permissions_at(&path));
            facts.write_entry(&mut line, &item(&entry, rights), path.as_bytes());
            StorageOutcome::Lines { lines: vec![line], directory: false }
        }
        StorageOp::StatusListing(path) => tenant.status_listing(pool, &path).await?,
        StorageOp::FreeSpace(path) => {
            tenant.may(Permission::Write, &path)?;
            let free = pool.run(backend.free_space(&path)).await?;
            StorageOutcome::FreeSpace(tenant.room(pool, free).await?)
        }
        StorageOp::OpenRetrieve { path, offset } => {
            tenant.may(Permission::Read, &path)?;
            let file = pool.run_awaited(&tenant.jobs, backend.open_read(&path)).await?;
            if offset > file.entry().size {
                return Err(ErrorKind::OffsetBeyondEnd.into());
            }
            *opened = Opened::File(file);
            StorageOutcome::Opened
        }
        StorageOp::OpenListing { path, directory_only } => {
            tenant.may(Permission::List, &path)?;
            *opened = match pool.run(backend.open_directory(&path)).await {
                Err(error) if error.kind == ErrorKind::NotADirectory && !directory_only => {
                    Opened::Entry(Box::new(pool.run(backend.stat(&path)).await?))
                }
                result => Opened::Directory(result?),
            };
            StorageOutcome::Opened
        }
        StorageOp::OpenUpload { path, start } => {
            tenant.may(Permission::Write, &path)?;
            let permissions = tenant.account.permissions_at(&path);
            let (plan, overwrite) = match start {
                UploadStart::Replace => (UploadPlan::Replace, permissions.allows(Permission::Overwrite)),
                UploadStart::Unique => (UploadPlan::Unique, false),
                UploadStart::Append => (UploadPlan::Append, permissions.allows(Permission::Append)),
                UploadStart::At(offset) => {
                    (UploadPlan::At(offset), permissions.allows(Permission::Overwrite))
                }
            };
            let account = &tenant.account;
            let request = UploadRequest {
                overwrite,
                durability: tenant.durability,
                quota: tenant.quota(),
                file_limit_bytes: account.limits.file_bytes,
                mode: account.file_mode.map(Mode::bits),
                ..UploadRequest::new(path, account.name.clone(), plan)
            };
            // With a quota, what is used may have to be counted first, file by file.
            let upload = match request.quota.is_none() {
                true => pool.run_awaited(&tenant.jobs, backend.open_upload(request)).await?,
                false => pool.run(backend.open_upload(request)).await?,
            };
            let path = upload.path().clone();
            *opened = Opened::Upload(upload);
            StorageOutcome::UploadOpened(path)
        }
        StorageOp::Commit | StorageOp::Abandon => return Err(ErrorKind::Failed.into()),
    })
}

impl Tenant {
    /// All limits of bandwidth that hold for a transfer.
    pub(crate) fn throttle(&self, direction: Direction, shared: &Shared) -> Throttle {
        let crew = &self.crew.0;
        match direction {
            Direction::Receive => self.pace.upload([&crew.upload, &shared.upload]),
            Direction::Send => self.pace.download([&crew.download, &shared.download]),
        }
    }

    fn may(&self, permission: Permission, path: &VirtualPath) -> longshore_storage::Result<()> {
        if self.account.permissions_at(path).allows(permission) {
            Ok(())
        } else {
            Err(ErrorKind::PermissionDenied.into())
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        Quota { bytes: self.account.limits.quota_bytes, files: self.account.limits.quota_files }
    }

    /// How much of its quota is used; `None` without one.
    async fn quota_status(&self, pool: &Pool) -> longshore_storage::Result<Option<QuotaStatus>> {
        let Quota { bytes, files } = self.quota();
        if self.quota().is_none() {
            return Ok(None);
        }
        let used = pool.run(self.backend.usage()).await?;
        Ok(Some(QuotaStatus { bytes: used.bytes, limit_bytes: bytes, files: used.files, limit_files: files }))
    }

    /// What is left for one more file, by the store's space, the quota and the limit of one file.
    async fn room(&self, pool: &Pool, free: Option<u64>) -> longshore_storage::Result<Option<u64>> {
        let left = self.quota_status(pool).await?.map(|quota| {
            let bytes = quota.limit_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(quota.bytes));
            let full = quota.limit_files.is_some_and(|limit| quota.files >= limit);
            if full { 0 } else { bytes }
        });
        Ok([free, left, self.account.limits.file_bytes].into_iter().flatten().min())
    }

    /// Of a finished file; where none is, of the part that this account may continue.
    async fn size_and_time(
        &self,
        pool: &Pool,
        path: &VirtualPath,
    ) -> longshore_storage::Result<(u64, Timestamp)> {
        let permissions = self.account.permissions_at(path);
        let stat = if permissions.allows(Permission::List) || permissions.allows(Permission::Read) {
            pool.run(self.backend.stat(path)).await
        } else {
            Err(ErrorKind::NotFound.into())
        };
        match stat {
            Ok(entry) => match entry.kind {
                Kind::File => Ok((entry.size, entry.modified)),
                Kind::Directory => Err(ErrorKind::IsADirectory.into()),
                Kind::Other => Err(ErrorKind::NotAFile.into()),
            },
            Err(error) if error.kind == ErrorKind::NotFound && permissions.allows(Permission::Write) => {
                let part = pool.run(self.backend.part(&self.account.name, path)).await?;
                Ok((part.size, part.modified))
            }
            Err(error) => Err(error),
        }
    }

    /// What STAT shows: bounded, for all of it is held at once.
    async fn status_listing(
        &self,
        pool: &Pool,
        path: &VirtualPath,
    ) -> longshore_storage::Result<StorageOutcome> {
        self.may(Permission::List, path)?;
        let now = unix_time(now());
        let long = |entry: &Entry| {
            let mut line = Vec::with_capacity(80);
            listing::unix::write_line(&mut line, &item(entry, Rights::NONE), now);
            // Only the line's end: a name may end in spaces.
            line.truncate(line.len().saturating_sub(2));
            line
        };
        let mut directory = match pool.run(self.backend.open_directory(path)).await {
            Err(error) if error.kind == ErrorKind::NotADirectory => {
                let entry = pool.run(self.backend.stat(path)).await?;
                return Ok(StorageOutcome::Lines { lines: vec![long(&entry)], directory: false });
            }
            result => result?,
        };
        let mut lines = Vec::new();
        while let Some(batch) = pool.run(directory.next_entries(Detail::All)).await? {
            if lines.len() + batch.entries.len() > STATUS_LIMIT_ENTRIES {
                return Ok(StorageOutcome::TooMany);
            }
            lines.extend(batch.entries.iter().map(long));
        }
        Ok(StorageOutcome::Lines { lines, directory: true })
    }

    /// What may be done to an entry of a directory; without rules by path it is the same for all.
    pub(crate) fn permissions_of(&self, directory: &VirtualPath, name: &[u8]) -> Permissions {
        if self.account.rules.iter().len() == 0 {
            return self.account.permissions;
        }
        // A name that no path can hold cannot be reached by one either.
        directory.join(name).map_or(Permissions::NONE, |path| self.account.permissions_at(&path))
    }
}

/// An entry in the words of listings, with what may be done to it.
pub(crate) fn item(entry: &Entry, rights: Rights) -> Item<'_> {
    Item {
        name: &entry.name,
        kind: match entry.kind {
            Kind::File => ItemKind::File,
            Kind::Directory => ItemKind::Directory,
            Kind::Other => ItemKind::Other,
        },
        size: entry.size,
        modified: unix_time(entry.modified),
        mode: entry.mode,
        owner: entry.owner,
        group: entry.group,
        links: entry.links,
        unique: (entry.id.device, entry.id.inode),
        link_target: entry.link_target.as_deref(),
        rights,
    }
}

/// The `perm` fact (RFC 3659 section 7.5.5).
pub(crate) fn rights(kind: Kind, permissions: Permissions) -> Rights {
    let table: &[(Permission, Rights)] = match kind {
        Kind::File => &[
            (Permission::Append, Rights::APPEND),
            (Permission::Delete, Rights::DELETE),
            (Permission::Rename, Rights::RENAME),
            (Permission::Read, Rights::READ),
            (Permission::Overwrite, Rights::WRITE),
        ],
        Kind::Directory => &[
            (Permission::Write, Rights::CREATE),
            (Permission::RemoveDirectory, Rights::DELETE),
            (Permission::Rename, Rights::RENAME),
            (Permission::List, Rights::LIST),
            (Permission::MakeDirectory, Rights::MAKE_DIRECTORY),
            (Permission::Delete, Rights::PURGE),
        ],
        Kind::Other => &[(Permission::Delete, Rights::DELETE), (Permission::Rename, Rights::RENAME)],
    };
    let enter = if kind == Kind::Directory { Rights::ENTER } else { Rights::NONE };
    table
        .iter()
        .filter(|(permission, right)| {
            // Nothing is written without the right to write.
            let writes = [Rights::APPEND, Rights::WRITE].contains(right);
            permissions.allows(*permission) && (!writes || permissions.allows(Permission::Write))
        })
        .fold(enter, |rights, (_, right)| rights.union(*right))
}

/// The minute of the week in UTC, in which the hours of accounts are meant.
pub(crate) fn week_minute(now: Timestamp) -> Option<WeekMinute> {
    let minutes = now.seconds.div_euclid(60);
    let day = minutes.div_euclid(24 * 60);
    // 1970-01-01 was a Thursday, three days after a Monday.
    let weekday = Weekday::ALL[usize::try_from((day + 3).rem_euclid(7)).ok()?];
    WeekMinute::new(weekday, u16::try_from(minutes.rem_euclid(24 * 60)).ok()?)
}

/// The wall clock, for the dates of listings.
pub(crate) fn now() -> Timestamp {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() },
        Err(_) => Timestamp { seconds: 0, nanoseconds: 0 },
    }
}

pub(crate) fn unix_time(time: Timestamp) -> UnixTime {
    UnixTime { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_of_the_week() {
        let table = [
            (0, "Thu 00:00"),
            (-1, "Wed 23:59"),
            (86_399, "Thu 23:59"),
            (86_400, "Fri 00:00"),
            // 2026-11-20 13:04:59 UTC, a Friday.
            (1_795_179_899, "Fri 13:04"),
        ];
        for (seconds, expected) in table {
            let minute = week_minute(Timestamp { seconds, nanoseconds: 0 }).expect("a minute");
            assert_eq!(minute.to_string(), expected);
        }
    }
}
