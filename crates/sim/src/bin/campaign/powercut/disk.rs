//! A disk as a power cut leaves it: what was synced is there, and of the rest anything.
//!
//! The model promises less than any file system does: a sync of a file makes its octets and its size durable, a sync of the
//! folder makes its entries durable, and nothing else orders anything.

use std::collections::{BTreeMap, HashMap};

use super::record::{Entry, Operation};
use super::rng::ImageRng;

/// The files of an image, by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Which of what was not synced is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ImageKind {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// What was done first, up to any point.
    Prefix,
    /// Any writes of any file.
    Subset,
    /// Any sectors of 512 octets of any writes.
    Sectors,
    /// What was done first, and of the write after that the first sectors of 512 octets.
    Torn512,
    /// The same with pages of 4 KiB.
    Torn4096,
    /// All that was written, and of the folder's entries only what was done first, name by name.
    EntriesLost,
    /// All that was written within the sizes that files had when they were synced.
    GrowthLost,
    /// The sizes of files, and of what made them longer only zeros.
    GrowthEmpty,
}

impl ImageKind {
    /// All there are.
    pub(crate) const ALL: [Self; 10] = [
        Self::Nothing,
        Self::Everything,
        Self::Prefix,
        Self::Subset,
        Self::Sectors,
        Self::Torn512,
        Self::Torn4096,
        Self::EntriesLost,
        Self::GrowthLost,
        Self::GrowthEmpty,
    ];

    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing unsynced",
            Self::Everything => "everything",
            Self::Prefix => "a prefix",
            Self::Subset => "random writes",
            Self::Sectors => "random sectors",
            Self::Torn512 => "torn at 512 octets",
            Self::Torn4096 => "torn at 4 KiB",
            Self::EntriesLost => "entries lost",
            Self::GrowthLost => "growth lost",
            Self::GrowthEmpty => "growth empty",
        }
    }
}

/// Something that is not on the disk for certain.
#[derive(Clone, Debug)]
struct Change<'r> {
    /// In which order it was done, over all files.
    no: usize,
    what: FileChange<'r>,
}

#[derive(Clone, Copy, Debug)]
enum FileChange<'r> {
    Write { offset: usize, data: &'r [u8] },
    Resize { size: usize },
}

#[derive(Clone, Debug)]
enum EntryChange {
    Added { name: String, file: usize },
    Removed { name: String },
    Moved { from: String, to: String },
}

impl EntryChange {
    /// The name by which it is in order with others.
    fn name(&self) -> &str {
        match self {
            Self::Added { name, .. } | Self::Removed { name } => name,
            Self::Moved { to, .. } => to,
        }
    }

    fn apply(&self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Self::Added { name, file } => {
                entries.insert(name.clone(), *file);
            }
            Self::Removed { name } => {
                entries.remove(name);
            }
            Self::Moved { from, to } => {
                if let Some(file) = entries.remove(from) {
                    entries.insert(to.clone(), file);
                }
            }
        }
    }
}

/// A file, with or without a name.
#[derive(Clone, Debug, Default)]
struct File<'r> {
    durable: Vec<u8>,
    pending: Vec<Change<'r>>,
}

impl File<'_> {
    /// Makes the changes before `until` durable, or, if the sync failed, drops them.
    fn settle(&mut self, until: usize, durable: bool) {
        let count = self.pending.partition_point(|change| change.no < until);
        for change in self.pending.drain(..count) {
            if durable {
                apply(&mut self.durable, change.what);
            }
        }
    }
}

fn apply(octets: &mut Vec<u8>, change: FileChange<'_>) {
    match change {
        FileChange::Write { offset, data } => {
            let end = offset + data.len();
            if octets.len() < end {
                octets.resize(end, 0);
            }
            if let Some(place) = octets.get_mut(offset..end) {
                place.copy_from_slice(data);
            }
        }
        FileChange::Resize { size } => octets.resize(size, 0),
    }
}

/// Syncs that are ignored although the program made them: negative controls, which must be detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IgnoredSyncs {
    /// None is ignored: the record as it is.
    None,
    /// No sync does anything.
    AllSyncs,
    /// As with `synchronous = NORMAL`: the write-ahead log is synced by checkpoints only.
    CommitSyncs,
    /// Entries of the folder are never synced.
    FolderSyncs,
}

/// A disk while a record is played.
#[derive(Clone, Debug)]
pub(crate) struct Disk<'r> {
    ignored_syncs: IgnoredSyncs,
    files: Vec<File<'r>>,
    /// Files by their inodes.
    inodes: HashMap<u64, usize>,
    /// As the running program sees them.
    names: BTreeMap<String, usize>,
    /// As they are on the disk for certain.
    durable: BTreeMap<String, usize>,
    pending: Vec<(usize, EntryChange)>,
    /// Syncs under way: what was done before they began.
    syncs: HashMap<(u32, u64), usize>,
    /// With [`IgnoredSyncs::CommitSyncs`]: syncs of the log that count only if their thread goes on with the database.
    unconfirmed: HashMap<u32, (usize, usize)>,
    done: usize,
}

/// The end of the name of a write-ahead log.
const WAL: &str = "-wal";

impl<'r> Disk<'r> {
    /// An empty folder.
    pub(crate) fn new(ignored_syncs: IgnoredSyncs) -> Self {
        Self {
            ignored_syncs,
            files: Vec::new(),
            inodes: HashMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            syncs: HashMap::new(),
            unconfirmed: HashMap::new(),
            done: 0,
        }
    }

    /// How many changes are not on the disk for certain.
    #[cfg(test)]
    pub(crate) fn unsynced(&self) -> usize {
        self.files.iter().map(|file| file.pending.len()).sum::<usize>() + self.pending.len()
    }

    /// Plays one entry.
    pub(crate) fn play(&mut self, entry: &Entry<'r>) {
        self.done += 1;
        let no = self.done;
        match entry.what {
            // What was there before the record began is not known, and nothing of the store.
            Operation::Opened { .. } | Operation::Mapped => {}
            Operation::Created { path } => {
                let file = self.files.len();
                self.files.push(File::default());
                self.inodes.insert(entry.inode, file);
                let name = path.to_owned();
                self.enter(EntryChange::Added { name, file });
            }
            Operation::Written { offset, data } => {
                self.confirm_checkpoint(entry);
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                self.change(entry.inode, no, FileChange::Write { offset, data });
            }
            Operation::Truncated { size } => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                self.change(entry.inode, no, FileChange::Resize { size });
            }
            Operation::SyncBegun => {
                self.syncs.insert((entry.thread, entry.inode), no);
            }
            Operation::SyncDone => self.synced(entry),
            Operation::SyncFailed => {
                if let Some(until) = self.syncs.remove(&(entry.thread, entry.inode))
                    && let Some(file) = self.file(entry.inode)
                {
                    file.settle(until, false);
                }
            }
            Operation::Unlinked { path } => self.enter(EntryChange::Removed { name: path.into() }),
            Operation::Renamed { from, to } => self.enter(EntryChange::Moved {
                from: from.into(),
                to: to.into(),
            }),
            Operation::Linked { from, to } => {
                if let Some(file) = self.names.get(from).copied() {
                    let name = to.to_owned();
                    self.enter(EntryChange::Added { name, file });
                }
            }
            Operation::FolderSynced => {
                if !matches!(
                    self.ignored_syncs,
                    IgnoredSyncs::AllSyncs | IgnoredSyncs::FolderSyncs
                ) {
                    for (_, change) in self.pending.drain(..) {
                        change.apply(&mut self.durable);
                    }
                }
            }
        }
    }

    fn enter(&mut self, change: EntryChange) {
        change.apply(&mut self.names);
        self.pending.push((self.done, change));
    }

    fn file(&mut self, inode: u64) -> Option<&mut File<'r>> {
        let file = self.inodes.get(&inode)?;
        self.files.get_mut(*file)
    }

    fn change(&mut self, inode: u64, no: usize, what: FileChange<'r>) {
        if let Some(file) = self.file(inode) {
            file.pending.push(Change { no, what });
        }
    }

    fn is_wal(&self, file: usize) -> bool {
        let named = |(name, known): (&String, &usize)| *known == file && name.ends_with(WAL);
        self.names.iter().any(named)
    }

    fn synced(&mut self, entry: &Entry<'r>) {
        let Some(until) = self.syncs.remove(&(entry.thread, entry.inode)) else {
            return;
        };
        let Some(file) = self.inodes.get(&entry.inode).copied() else {
            return;
        };
        match self.ignored_syncs {
            IgnoredSyncs::AllSyncs => return,
            IgnoredSyncs::CommitSyncs if self.is_wal(file) => {
                self.unconfirmed.insert(entry.thread, (file, until));
                return;
            }
            _ => {}
        }
        if let Some(file) = self.files.get_mut(file) {
            file.settle(until, true);
        }
    }

    /// A thread writes: if it has synced the log and goes on with another file, that sync was a checkpoint's.
    fn confirm_checkpoint(&mut self, entry: &Entry<'r>) {
        let Some((synced, until)) = self.unconfirmed.remove(&entry.thread) else {
            return;
        };
        if self.inodes.get(&entry.inode) != Some(&synced)
            && let Some(file) = self.files.get_mut(synced)
        {
            file.settle(until, true);
        }
    }

    /// What a power cut leaves now.
    pub(crate) fn image(&self, kind: ImageKind, rng: &mut ImageRng) -> Files {
        let cut = self.cut(kind, rng);
        let mut entries = self.durable.clone();
        let mut lost: BTreeMap<&str, bool> = BTreeMap::new();
        for (no, change) in &self.pending {
            let kept = match kind {
                ImageKind::Nothing => false,
                ImageKind::EntriesLost | ImageKind::Subset | ImageKind::Sectors => {
                    // Of the changes of one name the first ones, up to any point.
                    let lost = lost.entry(change.name()).or_default();
                    *lost |= rng.hits(0.5);
                    !*lost
                }
                _ => *no <= cut,
            };
            if kept {
                change.apply(&mut entries);
            }
        }
        let content = |file: usize, rng: &mut ImageRng| match self.files.get(file) {
            Some(file) => content(file, kind, cut, rng),
            None => Vec::new(),
        };
        entries
            .into_iter()
            .map(|(name, file)| (name, content(file, rng)))
            .collect()
    }

    /// The number of the last change that is on the disk.
    fn cut(&self, kind: ImageKind, rng: &mut ImageRng) -> usize {
        if !matches!(kind, ImageKind::Prefix | ImageKind::Torn512 | ImageKind::Torn4096) {
            return usize::MAX;
        }
        let writes = self.files.iter().flat_map(|file| &file.pending);
        let mut changes: Vec<usize> = writes.map(|change| change.no).collect();
        changes.extend(self.pending.iter().map(|(no, _)| *no));
        changes.sort_unstable();
        match rng.below(changes.len() + 1).checked_sub(1) {
            Some(last) => changes.get(last).copied().unwrap_or(usize::MAX),
            None => 0,
        }
    }
}

/// The octets of one file.
fn content(file: &File<'_>, kind: ImageKind, cut: usize, rng: &mut ImageRng) -> Vec<u8> {
    let mut octets = file.durable.clone();
    let kept = octets.len();
    // Each file has its own share, so that now one and now another is far ahead.
    let share = rng.unit();
    let mut torn = false;
    for Change { no, what } in &file.pending {
        match (kind, *what) {
            (ImageKind::Nothing, _) => {}
            (ImageKind::Subset, what) => {
                if rng.hits(share) {
                    apply(&mut octets, what);
                }
            }
            (ImageKind::Sectors, FileChange::Write { offset, data }) => {
                for (offset, data) in pieces(offset, data, 512) {
                    if rng.hits(share) {
                        apply(&mut octets, FileChange::Write { offset, data });
                    }
                }
            }
            (ImageKind::Torn512 | ImageKind::Torn4096, FileChange::Write { offset, data }) if *no > cut => {
                // The first one after the cut, of each file.
                if !std::mem::replace(&mut torn, true) {
                    let size = if kind == ImageKind::Torn512 { 512 } else { 4_096 };
                    let all: Vec<_> = pieces(offset, data, size).collect();
                    let count = rng.below(all.len() + 1);
                    for (offset, data) in all.into_iter().take(count) {
                        apply(&mut octets, FileChange::Write { offset, data });
                    }
                }
            }
            (ImageKind::GrowthLost, FileChange::Write { offset, data }) => {
                let room = kept.saturating_sub(offset).min(data.len());
                let data = data.get(..room).unwrap_or_default();
                if !data.is_empty() {
                    apply(&mut octets, FileChange::Write { offset, data });
                }
            }
            (ImageKind::GrowthLost, FileChange::Resize { .. }) => {}
            (ImageKind::GrowthEmpty, FileChange::Write { offset, data }) => {
                let room = kept.saturating_sub(offset).min(data.len());
                let (within, beyond) = data.split_at_checked(room).unwrap_or((data, &[]));
                if !within.is_empty() {
                    apply(&mut octets, FileChange::Write { offset, data: within });
                }
                let size = octets.len().max(offset + data.len());
                if !beyond.is_empty() {
                    octets.resize(size, 0);
                }
            }
            (_, what) => {
                if *no <= cut {
                    apply(&mut octets, what);
                }
            }
        }
    }
    octets
}

/// What a write does to each sector or page, which lie at multiples of `size`.
fn pieces(offset: usize, data: &[u8], size: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = data.get(at..).filter(|rest| !rest.is_empty())?;
        let begin = offset + at;
        let piece = rest.get(..(size - begin % size).min(rest.len()))?;
        at += piece.len();
        Some((begin, piece))
    })
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
