//! The directories that are served: each opened once, however many accounts see it, and kept over reloads, because
//! a store counts what is in use.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use longshore_server::Trees;
use longshore_storage::local::{Local, LocalOptions};

use crate::Failure;
use crate::config::Settings;

/// Open directories by device and inode.
#[derive(Clone, Default)]
pub(crate) struct Stores {
    open: HashMap<(u64, u64), Local>,
}

/// The name of a tree among those that are served: its root.
pub(crate) fn tree_name(root: &Path) -> String {
    root.to_string_lossy().into_owned()
}

pub(crate) fn roots(settings: &Settings) -> BTreeSet<&PathBuf> {
    let accounts = settings.accounts.iter().map(|account| &account.tenancy);
    accounts.chain(&settings.anonymous).map(|tenancy| &tenancy.root).collect()
}

impl Stores {
    /// The directories of these settings; those that are open already stay the same stores.
    pub(crate) fn open(&self, settings: &Settings) -> Result<(Stores, Trees), Failure> {
        let (mut stores, mut trees, mut wrong) = (Stores::default(), Trees::default(), Vec::new());
        for root in roots(settings) {
            match self.store(root) {
                Ok((id, store)) => {
                    // Two paths to one directory are one store too.
                    let store = stores.open.entry(id).or_insert(store);
                    trees = trees.with(&tree_name(root), store.clone());
                }
                Err(cause) => wrong.push(format!("{} cannot be served: {cause}", root.display())),
            }
        }
        if wrong.is_empty() {
            return Ok((stores, trees));
        }
        Err(Failure::new(wrong.join("\n"))
            .hint("make the directory, and let the user who runs longshore read it"))
    }

    fn store(&self, root: &Path) -> Result<((u64, u64), Local), String> {
        let metadata = root.metadata().map_err(|error| error.to_string())?;
        let id = (metadata.dev(), metadata.ino());
        match self.open.get(&id) {
            // One that is open keeps its inode number from being given to another directory.
            Some(store) => Ok((id, store.clone())),
            None => {
                let store = Local::open(root, LocalOptions::default()).map_err(|error| error.to_string())?;
                Ok((id, store))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_accounts::Permissions;

    use super::*;
    use crate::config::Tenancy;

    fn settings(root: &Path) -> Settings {
        Settings {
            anonymous: Some(Tenancy::new(root.to_owned(), Permissions::READ_ONLY)),
            ..Settings::default()
        }
    }

    #[test]
    fn one_directory_is_one_store_as_long_as_it_is_the_same() {
        let base = std::env::temp_dir().join(format!("longshore-stores-{}", std::process::id()));
        let (root, other) = (base.join("a"), base.join("b"));
        std::fs::create_dir_all(&root).expect("a directory");
        std::os::unix::fs::symlink("a", &other).expect("a link");
        let ids = |stores: &Stores| stores.open.keys().copied().collect::<Vec<_>>();
        let (first, _) = Stores::default().open(&settings(&root)).expect("it is there");
        let (again, _) = first.open(&settings(&other)).expect("a way to the same");
        assert_eq!(ids(&first), ids(&again));
        std::fs::remove_dir(&root).expect("it is empty");
        let failure = first.open(&settings(&root)).err().expect("it is gone");
        assert!(failure.what.contains("cannot be served: No such file"), "{}", failure.what);
        std::fs::create_dir(&root).expect("another one of the same name");
        let (new, _) = first.open(&settings(&root)).expect("it is there again");
        assert_ne!(ids(&first), ids(&new), "the name is the same, the directory is not");
        std::fs::remove_dir_all(&base).expect("it is ours");
    }
}
