//! What the kernel knocks at: FUSE's calls, answered from the tree.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyStatfs, ReplyWrite, Request, WriteFlags,
};

use super::content::Content;
use super::tree::{Inode, Refused, Thing, Tree};

/// The kernel may keep nothing: after a crash every look must see the durable state.
const TTL: Duration = Duration::ZERO;
/// The size in which `df` counts.
const BLOCK: u32 = 4096;
/// What an unlimited disk says of its size: 1 GiB.
const ROOMY: usize = 1 << 30;
/// `O_DSYNC`, which `O_SYNC` contains (Linux, all architectures that we build for).
const O_DSYNC: i32 = 0o10000;
/// The bits of a mode that say what a thing is (inode(7)), and two of their values.
const S_IFMT: u32 = 0o170_000;
const S_IFSOCK: u32 = 0o140_000;
const S_IFREG: u32 = 0o100_000;
pub(super) fn lock(tree: &Mutex<Tree>) -> MutexGuard<'_, Tree> {
    tree.lock().unwrap_or_else(PoisonError::into_inner)
}
impl From<Refused> for Errno {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoEntry => Self::ENOENT,
            Refused::Exists => Self::EEXIST,
            Refused::NotFolder => Self::ENOTDIR,
            Refused::IsFolder => Self::EISDIR,
            Refused::NotEmpty => Self::ENOTEMPTY,
            Refused::Full => Self::ENOSPC,
        }
    }
}

fn size_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn attributes(number: u64, inode: &Inode) -> FileAttr {
    let (kind, size) = match &inode.thing {
        Thing::File(content) => (FileType::RegularFile, content.now().len() as u64),
        Thing::Folder { .. } => (FileType::Directory, 0),
        Thing::Link(target) => (FileType::Symlink, target.as_os_str().len() as u64),
        Thing::Socket => (FileType::Socket, 0),
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: inode.mode,
        nlink: 1,
        uid: inode.uid,
        gid: inode.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn inode(thing: Thing, mode: u32, umask: u32, request: &Request) -> Inode {
    Inode {
        thing,
        mode: u16::try_from(mode & !umask & 0o7777).unwrap_or(0o600),
        uid: request.uid(),
        gid: request.gid(),
    }
}

/// What the kernel knocks at.
pub(super) struct Door(pub(super) Arc<Mutex<Tree>>);

impl Door {
    fn made(&self, folder: INodeNo, name: &OsStr, inode: Inode, reply: ReplyEntry) {
        let mut tree = lock(&self.0);
        let made = tree.create(folder.0, name, inode);
        match made.and_then(|number| Ok(attributes(number, tree.inode(number)?))) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(refused) => reply.error(refused.into()),
        }
    }
}

fn done(outcome: Result<(), Refused>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(refused) => reply.error(refused.into()),
    }
}

impl Filesystem for Door {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let tree = lock(&self.0);
        let found = tree.lookup(parent.0, name);
        match found.and_then(|number| Ok(attributes(number, tree.inode(number)?))) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match lock(&self.0).inode(number.0) {
            Ok(inode) => reply.attr(&TTL, &attributes(number.0, inode)),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<fuser::TimeOrNow>,
        _mtime: Option<fuser::TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = lock(&self.0);
        let resized = size.map_or(Ok(()), |size| tree.resize(number.0, size_of(size)));
        match resized.and_then(|()| tree.inode_mut(number.0)) {
            Ok(inode) => {
                inode.mode = mode
                    .and_then(|mode| u16::try_from(mode & 0o7777).ok())
                    .unwrap_or(inode.mode);
                inode.uid = uid.unwrap_or(inode.uid);
                inode.gid = gid.unwrap_or(inode.gid);
                reply.attr(&TTL, &attributes(number.0, inode));
            }
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match lock(&self.0).inode(number.0).map(|inode| &inode.thing) {
            Ok(Thing::Link(target)) => reply.data(target.as_os_str().as_encoded_bytes()),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _device: u32,
        reply: ReplyEntry,
    ) {
        let thing = match mode & S_IFMT {
            S_IFSOCK => Thing::Socket,
            S_IFREG => Thing::File(Content::default()),
            _ => return reply.error(Errno::EPERM),
        };
        self.made(parent, name, inode(thing, mode, umask, request), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        self.made(
            parent,
            name,
            inode(Thing::folder(), mode, umask, request),
            reply,
        );
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let link = Thing::Link(target.to_owned());
        self.made(parent, name, inode(link, 0o777, 0, request), reply);
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut tree = lock(&self.0);
        let linked = tree.link(number.0, parent.0, name);
        match linked.and_then(|()| Ok(attributes(number.0, tree.inode(number.0)?))) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(lock(&self.0).unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(lock(&self.0).remove_folder(parent.0, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut tree = lock(&self.0);
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        let taken = tree.lookup(to.0, new_name).is_ok();
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && taken {
            return reply.error(Errno::EEXIST);
        }
        done(tree.rename(parent.0, name, to.0, new_name), reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut tree = lock(&self.0);
        let file = inode(Thing::File(Content::default()), mode, umask, request);
        let made = tree.create(parent.0, name, file);
        match made.and_then(|number| Ok(attributes(number, tree.inode(number)?))) {
            Ok(attributes) => {
                let nothing = FopenFlags::empty();
                reply.created(&TTL, &attributes, Generation(0), FileHandle(0), nothing);
            }
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.0).file_mut(number.0) {
            Ok(content) => {
                let start = size_of(offset).min(content.now().len());
                let end = start.saturating_add(size as usize).min(content.now().len());
                reply.data(&content.now()[start..end]);
            }
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut tree = lock(&self.0);
        let mut written = tree.write(number.0, size_of(offset), data);
        if written.is_ok() && flags.0 & O_DSYNC != 0 {
            written = tree.sync(number.0);
        }
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // Only plain allocation, which may grow the file; the rest is not for a log.
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let mut tree = lock(&self.0);
        let end = size_of(offset.saturating_add(length));
        let size = tree
            .file_mut(number.0)
            .map(|content| content.now().len().max(end));
        done(size.and_then(|size| tree.resize(number.0, size)), reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A close syncs nothing.
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(lock(&self.0).sync(number.0), reply);
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(lock(&self.0).sync(number.0), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let tree = lock(&self.0);
        let names = match tree.names(number.0) {
            Ok(names) => names,
            Err(refused) => return reply.error(refused.into()),
        };
        let own = [(".", number.0), ("..", number.0)].map(|(name, at)| (OsStr::new(name), at));
        let all = own
            .into_iter()
            .chain(names.iter().map(|(name, at)| (name.as_os_str(), *at)));
        for (position, (name, at)) in all.enumerate().skip(size_of(offset)) {
            let kind = match tree.inode(at).map(|inode| &inode.thing) {
                Ok(Thing::Folder { .. }) => FileType::Directory,
                Ok(Thing::Link(_)) => FileType::Symlink,
                Ok(Thing::Socket) => FileType::Socket,
                _ => FileType::RegularFile,
            };
            if reply.add(INodeNo(at), position as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let tree = lock(&self.0);
        let total = tree.capacity().unwrap_or(ROOMY);
        let free = total.saturating_sub(tree.used()) as u64 / u64::from(BLOCK);
        let total = total as u64 / u64::from(BLOCK);
        reply.statfs(total, free, free, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
