//! A file's bytes: as they are now, and as they would be after a power cut.

use std::ops::Range;

/// What is written and what is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    // Written since the last sync, in order; neighbours are joined.
    dirty: Vec<Range<usize>>,
    // The shortest that the file was since the last sync, if it was cut.
    cut: Option<usize>,
}

impl Content {
    pub(super) fn now(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        match self.dirty.last_mut() {
            Some(last) if last.end == offset => last.end = end,
            _ => self.dirty.push(offset..end),
        }
    }

    pub(super) fn resize(&mut self, size: usize) {
        if size < self.now.len() {
            self.cut = Some(self.cut.unwrap_or(size).min(size));
        }
        self.now.resize(size, 0);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.cut.is_none() && self.now.len() == self.durable.len()
    }

    /// All of it is durable.
    pub(super) fn sync(&mut self) {
        let dirty: usize = self.dirty.iter().map(ExactSizeIterator::len).sum();
        self.persist(dirty);
    }

    /// The first `bytes` of what was written since the last sync are durable: how a power cut tears a
    /// write. (The size and a cut always are.)
    pub(super) fn persist(&mut self, mut bytes: usize) {
        if let Some(cut) = self.cut.take() {
            self.durable.truncate(cut);
        }
        self.durable.resize(self.now.len(), 0);
        for range in std::mem::take(&mut self.dirty) {
            let end = range.end.min(self.now.len());
            let start = range.start.min(end);
            let kept = start..(start + bytes.min(end - start));
            bytes -= kept.len();
            self.durable[kept.clone()].copy_from_slice(&self.now[kept]);
        }
    }

    /// How many bytes are written but not durable.
    pub(super) fn unsynced(&self) -> usize {
        self.dirty.iter().map(ExactSizeIterator::len).sum()
    }

    /// What is not durable is forgotten.
    pub(super) fn crash(&mut self) {
        self.now.clone_from(&self.durable);
        self.dirty.clear();
        self.cut = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_survives() {
        let mut content = Content::default();
        content.write(0, b"one ");
        content.sync();
        content.write(4, b"two");
        assert_eq!(content.now(), b"one two");
        content.crash();
        assert_eq!(content.now(), b"one ");
    }

    #[test]
    fn a_cut_that_was_synced_leaves_no_old_bytes_behind() {
        let mut content = Content::default();
        content.write(0, b"old old old");
        content.sync();
        content.resize(3);
        content.resize(6);
        content.sync();
        content.crash();
        assert_eq!(content.now(), b"old\0\0\0");
    }

    #[test]
    fn a_cut_that_was_not_synced_never_happened() {
        let mut content = Content::default();
        content.write(0, b"stays");
        content.sync();
        content.resize(0);
        content.crash();
        assert_eq!(content.now(), b"stays");
    }

    #[test]
    fn a_write_can_be_torn() {
        let mut content = Content::default();
        content.write(0, b"0123456789");
        content.persist(4);
        content.crash();
        assert_eq!(content.now(), b"0123\0\0\0\0\0\0");
    }
}
