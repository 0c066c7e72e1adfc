//! Files that are looked at again and again: which of them are others than they were, and whether what they hold now
//! is any good.
//!
//! Not inside: the clock, and what is done with what was read.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::limits::CERTIFICATE_LOOKS;

/// By what a file is known again; `None` where there is none.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// Some files that belong together.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    /// As they were when they were read, or refused for good.
    settled: Vec<Stamp>,
    /// Looks in a row that found them changed and no good.
    failures: u32,
    /// Whether the last ones that settled were refused.
    refused: bool,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T, E> {
    /// Nothing to speak of.
    Nothing,
    /// Others, which are good. `again` says that those before were refused.
    Good { what: T, again: bool },
    /// Others, which are not.
    Bad(E),
}

impl Watch {
    /// Watches these from now on: called before they are read, so that no change is missed.
    pub(crate) fn begin(files: Vec<PathBuf>) -> Watch {
        let settled = stamps(&files);
        Watch { files, settled, failures: 0, refused: false }
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Looks once. Files that belong together are replaced one after the other: what does not fit is given some more
    /// looks, then refused, and said so once.
    pub(crate) fn look<T, E>(&mut self, read: impl FnOnce() -> Result<T, E>) -> Found<T, E> {
        let now = stamps(&self.files);
        if now == self.settled {
            self.failures = 0;
            return Found::Nothing;
        }
        match read() {
            Ok(what) => {
                self.failures = 0;
                self.settled = now;
                Found::Good { what, again: std::mem::take(&mut self.refused) }
            }
            Err(_) if self.failures + 1 < CERTIFICATE_LOOKS => {
                self.failures += 1;
                Found::Nothing
            }
            Err(error) => {
                self.failures = 0;
                self.settled = now;
                self.refused = true;
                Found::Bad(error)
            }
        }
    }
}

/// The links that ACME clients turn to a new certificate are followed.
fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files
        .iter()
        .map(|file| {
            let metadata = file.metadata().ok()?;
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            // Rights that change, too.
            let changed = (metadata.ctime(), metadata.ctime_nsec());
            Some((metadata.dev(), metadata.ino(), metadata.size(), modified, changed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ground {
        directory: PathBuf,
        watch: Watch,
    }

    impl Ground {
        fn new(name: &str) -> Ground {
            let directory =
                std::env::temp_dir().join(format!("longshore-watch-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).expect("a directory");
            let files = vec![directory.join("a"), directory.join("b")];
            files.iter().for_each(|file| std::fs::write(file, "1").expect("a file"));
            Ground { watch: Watch::begin(files), directory }
        }

        /// Replaces a file as a whole.
        fn put(&self, name: &str, text: &str) {
            std::fs::write(self.directory.join("new"), text).expect("a file");
            std::fs::rename(self.directory.join("new"), self.directory.join(name)).expect("it is ours");
        }

        /// Good is a pair of two same texts.
        #[track_caller]
        fn check(&mut self, expected: Found<&str, &str>) {
            let files = self.watch.files().to_vec();
            let found = self.watch.look(|| {
                let texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).ok()).collect();
                if texts[0].is_some() && texts[0] == texts[1] {
                    Ok(texts.into_iter().flatten().next().unwrap_or_default())
                } else {
                    Err("no pair".to_owned())
                }
            });
            let expected = match expected {
                Found::Nothing => Found::Nothing,
                Found::Good { what, again } => Found::Good { what: what.to_owned(), again },
                Found::Bad(error) => Found::Bad(error.to_owned()),
            };
            assert_eq!(found, expected);
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }

    #[test]
    fn a_pair_that_is_replaced_one_by_one_is_waited_for() {
        let mut ground = Ground::new("pair");
        ground.check(Found::Nothing);
        ground.put("a", "2");
        ground.check(Found::Nothing);
        ground.check(Found::Nothing);
        ground.put("b", "2");
        ground.check(Found::Good { what: "2", again: false });
        ground.check(Found::Nothing);
        // Both between two looks.
        ground.put("a", "3");
        ground.put("b", "3");
        ground.check(Found::Good { what: "3", again: false });
    }

    #[test]
    fn what_does_not_fit_is_said_once_for_each_change() {
        let mut ground = Ground::new("bad");
        ground.put("a", "2");
        ground.check(Found::Nothing);
        ground.check(Found::Nothing);
        ground.check(Found::Bad("no pair"));
        ground.check(Found::Nothing);
        ground.check(Found::Nothing);
        ground.check(Found::Nothing);
        std::fs::remove_file(ground.directory.join("b")).expect("it is ours");
        ground.check(Found::Nothing);
        ground.check(Found::Nothing);
        ground.check(Found::Bad("no pair"));
        ground.check(Found::Nothing);
        ground.put("b", "2");
        ground.check(Found::Good { what: "2", again: true });
        ground.check(Found::Nothing);
    }

    #[test]
    fn each_way_to_change_a_file_is_seen() {
        use std::io::Write;
        let mut ground = Ground::new("ways");
        let [a, b] = ["a", "b"].map(|name| ground.directory.join(name));
        // Written to in place, grown by a byte.
        for file in [&a, &b] {
            let grown = std::fs::File::options().append(true).open(file);
            grown.and_then(|mut file| file.write_all(b"1")).expect("it is ours");
        }
        ground.check(Found::Good { what: "11", again: false });
        // Links that are turned, as ACME clients do.
        let live = ground.directory.join("live");
        std::fs::write(&live, "2").expect("a file");
        for file in [&a, &b] {
            std::fs::remove_file(file).expect("it is ours");
            std::os::unix::fs::symlink(&live, file).expect("nothing is there");
        }
        ground.check(Found::Good { what: "2", again: false });
        std::fs::write(ground.directory.join("next"), "3").expect("a file");
        std::fs::rename(ground.directory.join("next"), &live).expect("it is ours");
        ground.check(Found::Good { what: "3", again: false });
        ground.check(Found::Nothing);
    }
}
