//! Files and folders in memory, each with what is durable of it. No FUSE here, so that it can be
//! tested alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::content::Content;
use crate::faults::Faults;

/// The root folder's number (FUSE's, too).
pub(super) const ROOT: u64 = 1;

/// Why an operation fails, in the words of errno(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoEntry,
    Exists,
    NotFolder,
    IsFolder,
    NotEmpty,
    Full,
}

/// What is under one number.
#[derive(Clone, Debug)]
pub(super) enum Thing {
    File(Content),
    Folder {
        now: Names,
        durable: Names,
    },
    Link(PathBuf),
    /// A name for a socket; the kernel does the rest.
    Socket,
}

/// Names in a folder and what they name.
pub(super) type Names = BTreeMap<OsString, u64>;

/// One thing and who may use it.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) thing: Thing,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What a crash took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Files with content that was not synced.
    pub files: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// Folders with changes that were not synced.
    pub folders: usize,
}

/// The whole disk.
#[derive(Debug)]
pub(super) struct Tree {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    capacity: Option<usize>,
    syncs: u64,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Inode {
            thing: Thing::folder(),
            mode: 0o755,
            uid: 0,
            gid: 0,
        };
        Self {
            inodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            capacity: None,
            syncs: 0,
        }
    }

    /// How many bytes fit; `None` for no limit.
    pub(super) fn set_capacity(&mut self, capacity: Option<usize>) {
        self.capacity = capacity;
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// How often something was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(super) fn inode(&self, number: u64) -> Result<&Inode, Refused> {
        self.inodes.get(&number).ok_or(Refused::NoEntry)
    }

    pub(super) fn inode_mut(&mut self, number: u64) -> Result<&mut Inode, Refused> {
        self.inodes.get_mut(&number).ok_or(Refused::NoEntry)
    }

    pub(super) fn file_mut(&mut self, number: u64) -> Result<&mut Content, Refused> {
        match &mut self.inode_mut(number)?.thing {
            Thing::File(content) => Ok(content),
            _ => Err(Refused::IsFolder),
        }
    }

    pub(super) fn names(&self, folder: u64) -> Result<&Names, Refused> {
        match &self.inode(folder)?.thing {
            Thing::Folder { now, .. } => Ok(now),
            _ => Err(Refused::NotFolder),
        }
    }

    fn names_mut(&mut self, folder: u64) -> Result<&mut Names, Refused> {
        match &mut self.inode_mut(folder)?.thing {
            Thing::Folder { now, .. } => Ok(now),
            _ => Err(Refused::NotFolder),
        }
    }

    pub(super) fn lookup(&self, folder: u64, name: &OsStr) -> Result<u64, Refused> {
        self.names(folder)?
            .get(name)
            .copied()
            .ok_or(Refused::NoEntry)
    }

    pub(super) fn create(
        &mut self,
        folder: u64,
        name: &OsStr,
        inode: Inode,
    ) -> Result<u64, Refused> {
        if self.names(folder)?.contains_key(name) {
            return Err(Refused::Exists);
        }
        let number = self.next;
        self.next += 1;
        self.names_mut(folder)?.insert(name.to_owned(), number);
        self.inodes.insert(number, inode);
        Ok(number)
    }

    pub(super) fn link(&mut self, number: u64, folder: u64, name: &OsStr) -> Result<(), Refused> {
        if self.names(folder)?.contains_key(name) {
            return Err(Refused::Exists);
        }
        self.names_mut(folder)?.insert(name.to_owned(), number);
        Ok(())
    }

    /// Takes a name away. The file stays for those who have it open, and until its folder is synced.
    pub(super) fn unlink(&mut self, folder: u64, name: &OsStr) -> Result<(), Refused> {
        self.names_mut(folder)?
            .remove(name)
            .map(drop)
            .ok_or(Refused::NoEntry)
    }

    pub(super) fn remove_folder(&mut self, folder: u64, name: &OsStr) -> Result<(), Refused> {
        if !self.names(self.lookup(folder, name)?)?.is_empty() {
            return Err(Refused::NotEmpty);
        }
        self.unlink(folder, name)
    }

    pub(super) fn rename(
        &mut self,
        folder: u64,
        name: &OsStr,
        to: u64,
        new_name: &OsStr,
    ) -> Result<(), Refused> {
        let number = self.lookup(folder, name)?;
        if let Ok(replaced) = self.lookup(to, new_name)
            && let Ok(names) = self.names(replaced)
            && !names.is_empty()
        {
            return Err(Refused::NotEmpty);
        }
        self.names_mut(folder)?.remove(name);
        self.names_mut(to)?.insert(new_name.to_owned(), number);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        number: u64,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        let old = self.file_mut(number)?.now().len();
        self.reserve((offset + bytes.len()).saturating_sub(old))?;
        self.file_mut(number)?.write(offset, bytes);
        Ok(())
    }

    pub(super) fn resize(&mut self, number: u64, size: usize) -> Result<(), Refused> {
        let old = self.file_mut(number)?.now().len();
        self.reserve(size.saturating_sub(old))?;
        self.file_mut(number)?.resize(size);
        Ok(())
    }

    fn reserve(&self, more: usize) -> Result<(), Refused> {
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => Err(Refused::Full),
            _ => Ok(()),
        }
    }

    /// How many bytes all files have.
    pub(super) fn used(&self) -> usize {
        let sizes = self.inodes.values().map(|inode| match &inode.thing {
            Thing::File(content) => content.now().len(),
            _ => 0,
        });
        sizes.sum()
    }

    /// `fsync` of a file (its content) or a folder (its names).
    pub(super) fn sync(&mut self, number: u64) -> Result<(), Refused> {
        self.syncs += 1;
        match &mut self.inode_mut(number)?.thing {
            Thing::File(content) => content.sync(),
            Thing::Folder { now, durable } => durable.clone_from(now),
            Thing::Link(_) | Thing::Socket => {}
        }
        Ok(())
    }

    /// The power fails: what is not durable is forgotten. With `torn`, parts of it survive by chance,
    /// as on a real disk, which may write what it was not yet asked to.
    pub(super) fn crash(&mut self, mut torn: Option<&mut Faults>) -> Lost {
        let mut lost = Lost::default();
        for inode in self.inodes.values_mut() {
            match &mut inode.thing {
                Thing::File(content) if !content.is_clean() => {
                    if let Some(faults) = torn.as_deref_mut()
                        && faults.chance(50)
                    {
                        let most = content.unsynced() as u64 + 1;
                        content.persist(usize::try_from(faults.below(most)).unwrap_or(0));
                    }
                    lost.files += 1;
                    lost.bytes += content.unsynced();
                    content.crash();
                }
                Thing::Folder { now, durable } if now != durable => {
                    if let Some(faults) = torn.as_deref_mut()
                        && faults.chance(50)
                    {
                        durable.clone_from(now);
                    }
                    lost.folders += 1;
                    now.clone_from(durable);
                }
                _ => {}
            }
        }
        self.forget_the_nameless();
        lost
    }

    fn forget_the_nameless(&mut self) {
        let mut named = BTreeSet::from([ROOT]);
        let mut folders = vec![ROOT];
        while let Some(folder) = folders.pop() {
            for number in self.names(folder).into_iter().flat_map(BTreeMap::values) {
                if named.insert(*number) && self.names(*number).is_ok() {
                    folders.push(*number);
                }
            }
        }
        self.inodes.retain(|number, _| named.contains(number));
    }
}

impl Thing {
    pub(super) fn folder() -> Self {
        Self::Folder {
            now: Names::new(),
            durable: Names::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tree: &mut Tree, name: &str, bytes: &[u8]) -> u64 {
        let thing = Thing::File(Content::default());
        let inode = Inode {
            thing,
            mode: 0o600,
            uid: 0,
            gid: 0,
        };
        let number = tree.create(ROOT, OsStr::new(name), inode).unwrap();
        tree.write(number, 0, bytes).unwrap();
        number
    }

    fn read(tree: &mut Tree, name: &str) -> Option<Vec<u8>> {
        let number = tree.lookup(ROOT, OsStr::new(name)).ok()?;
        Some(tree.file_mut(number).unwrap().now().to_vec())
    }

    #[test]
    fn a_synced_file_in_an_unsynced_folder_has_no_name() {
        let mut tree = Tree::new();
        let number = file(&mut tree, "a", b"text");
        tree.sync(number).unwrap();
        tree.crash(None);
        assert_eq!(read(&mut tree, "a"), None);
    }

    #[test]
    fn an_unsynced_file_in_a_synced_folder_is_empty() {
        let mut tree = Tree::new();
        file(&mut tree, "a", b"text");
        tree.sync(ROOT).unwrap();
        tree.crash(None);
        assert_eq!(read(&mut tree, "a"), Some(Vec::new()));
    }

    #[test]
    fn a_replaced_file_is_the_old_or_the_new_one() {
        let mut tree = Tree::new();
        let old = file(&mut tree, "a", b"old");
        tree.sync(old).unwrap();
        tree.sync(ROOT).unwrap();
        let new = file(&mut tree, "a.new", b"new");
        tree.sync(new).unwrap();
        tree.rename(ROOT, OsStr::new("a.new"), ROOT, OsStr::new("a"))
            .unwrap();
        assert_eq!(read(&mut tree, "a"), Some(b"new".to_vec()));
        tree.crash(None);
        assert_eq!(read(&mut tree, "a"), Some(b"old".to_vec()));
    }

    #[test]
    fn a_full_disk_refuses_and_keeps_what_it_has() {
        let mut tree = Tree::new();
        let number = file(&mut tree, "a", b"1234");
        tree.set_capacity(Some(6));
        assert_eq!(tree.write(number, 4, b"567"), Err(Refused::Full));
        tree.write(number, 0, b"4321").unwrap();
        tree.set_capacity(None);
        tree.write(number, 4, b"567").unwrap();
        assert_eq!(read(&mut tree, "a"), Some(b"4321567".to_vec()));
    }
}
