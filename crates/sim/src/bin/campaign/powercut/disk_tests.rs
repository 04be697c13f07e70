//! Which images are possible, from records written by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sim::seed::Seed;

use super::*;

const DB: u64 = 10;
const LOG: u64 = 11;

fn entry(inode: u64, what: Operation<'_>) -> Entry<'_> {
    Entry {
        thread: 1,
        at_ns: 0,
        inode,
        what,
    }
}

fn created(inode: u64, path: &str) -> Entry<'_> {
    entry(inode, Operation::Created { path })
}

fn written(inode: u64, offset: u64, data: &[u8]) -> Entry<'_> {
    entry(inode, Operation::Written { offset, data })
}

fn synced(inode: u64) -> [Entry<'static>; 2] {
    [
        entry(inode, Operation::SyncBegun),
        entry(inode, Operation::SyncDone),
    ]
}

fn folder_synced() -> Entry<'static> {
    entry(0, Operation::FolderSynced)
}

fn played<'r>(ignored_syncs: IgnoredSyncs, entries: impl IntoIterator<Item = Entry<'r>>) -> Disk<'r> {
    let mut disk = Disk::new(ignored_syncs);
    for entry in entries {
        disk.play(&entry);
    }
    disk
}

/// All images of a kind that a hundred throws come to.
fn images(disk: &Disk<'_>, kind: ImageKind) -> BTreeSet<Files> {
    let image = |no| disk.image(kind, &mut ImageRng::new(Seed(1), no));
    (0..100).map(image).collect()
}

fn files(of: &[(&str, &[u8])]) -> Files {
    of.iter()
        .map(|(name, octets)| ((*name).to_owned(), octets.to_vec()))
        .collect()
}

/// A file of 4 octets that is on the disk.
fn durable() -> Vec<Entry<'static>> {
    let mut entries = vec![created(DB, "s.db"), written(DB, 0, b"aaaa")];
    entries.extend(synced(DB));
    entries.push(folder_synced());
    entries
}

#[test]
fn what_was_synced_is_in_every_image() {
    let disk = played(IgnoredSyncs::None, durable());
    assert_eq!(disk.unsynced(), 0);
    for kind in ImageKind::ALL {
        assert_eq!(
            images(&disk, kind),
            [files(&[("s.db", b"aaaa")])].into(),
            "{kind:?}"
        );
    }
}

#[test]
fn what_was_not_synced_is_there_in_whole_in_part_or_not_at_all() {
    let more = [written(DB, 0, b"bb"), written(DB, 2, b"cc")];
    let disk = played(IgnoredSyncs::None, durable().into_iter().chain(more));
    let possible = |of: &[&[u8; 4]]| -> BTreeSet<Files> {
        of.iter().map(|octets| files(&[("s.db", &octets[..])])).collect()
    };
    assert_eq!(images(&disk, ImageKind::Nothing), possible(&[b"aaaa"]));
    assert_eq!(images(&disk, ImageKind::Everything), possible(&[b"bbcc"]));
    assert_eq!(
        images(&disk, ImageKind::Prefix),
        possible(&[b"aaaa", b"bbaa", b"bbcc"])
    );
    assert_eq!(
        images(&disk, ImageKind::Subset),
        possible(&[b"aaaa", b"bbaa", b"aacc", b"bbcc"])
    );
    assert_eq!(images(&disk, ImageKind::GrowthLost), possible(&[b"bbcc"]));
}

#[test]
fn a_sync_reaches_what_was_written_before_it_began() {
    let mut entries = durable();
    let [begun, done] = synced(DB);
    entries.extend([written(DB, 0, b"b"), begun, written(DB, 1, b"c")]);
    let before = played(IgnoredSyncs::None, entries.clone());
    assert_eq!(
        images(&before, ImageKind::Nothing),
        [files(&[("s.db", b"aaaa")])].into()
    );
    entries.push(done);
    let after = played(IgnoredSyncs::None, entries);
    assert_eq!(
        images(&after, ImageKind::Nothing),
        [files(&[("s.db", b"baaa")])].into()
    );
    assert_eq!(
        images(&after, ImageKind::Everything),
        [files(&[("s.db", b"bcaa")])].into()
    );
}

#[test]
fn what_a_sync_failed_to_write_comes_back_only_when_it_is_written_again() {
    let mut entries = durable();
    let [begun, done] = synced(DB);
    entries.extend([
        written(DB, 0, b"b"),
        begun.clone(),
        entry(DB, Operation::SyncFailed),
    ]);
    entries.extend([begun, done]);
    let lost = played(IgnoredSyncs::None, entries.clone());
    assert_eq!(
        images(&lost, ImageKind::Everything),
        [files(&[("s.db", b"aaaa")])].into()
    );
    entries.push(written(DB, 0, b"b"));
    entries.extend(synced(DB));
    let again = played(IgnoredSyncs::None, entries);
    assert_eq!(
        images(&again, ImageKind::Nothing),
        [files(&[("s.db", b"baaa")])].into()
    );
}

#[test]
fn a_write_is_torn_at_sectors_or_pages() {
    let page = [7; 8_192];
    let mut entries = durable();
    entries.push(written(DB, 0, &page));
    let disk = played(IgnoredSyncs::None, entries);
    for (kind, size) in [(ImageKind::Torn512, 512), (ImageKind::Torn4096, 4_096)] {
        let seen: BTreeSet<usize> = images(&disk, kind)
            .iter()
            .map(|image| image["s.db"].iter().filter(|octet| **octet == 7).count())
            .collect();
        assert!(seen.iter().all(|octets| octets % size == 0), "{kind:?}: {seen:?}");
        assert!(seen.contains(&0) && seen.contains(&8_192), "{kind:?}: {seen:?}");
        assert!(seen.len() > 2, "{kind:?}: {seen:?}");
    }
    let sectors = images(&disk, ImageKind::Sectors);
    assert!(sectors.len() > 50, "all sorts of them");
    let unaligned: Vec<_> = pieces(500, &page[..600], 512)
        .map(|(at, data)| (at, data.len()))
        .collect();
    assert_eq!(unaligned, [(500, 12), (512, 512), (1_024, 76)]);
}

#[test]
fn growth_is_lost_or_empty() {
    let mut entries = durable();
    entries.push(written(DB, 2, b"bbbb"));
    let disk = played(IgnoredSyncs::None, entries);
    assert_eq!(
        images(&disk, ImageKind::GrowthLost),
        [files(&[("s.db", b"aabb")])].into()
    );
    assert_eq!(
        images(&disk, ImageKind::GrowthEmpty),
        [files(&[("s.db", b"aabb\0\0")])].into()
    );
}

#[test]
fn entries_of_the_folder_are_lost_until_it_is_synced() {
    let mut entries = durable();
    entries.extend([created(LOG, "s.db-wal"), written(LOG, 0, b"w")]);
    entries.extend(synced(LOG));
    entries.push(entry(0, Operation::Unlinked { path: "s.db" }));
    let disk = played(IgnoredSyncs::None, entries.clone());
    let both = files(&[("s.db", b"aaaa"), ("s.db-wal", b"w")]);
    let old = files(&[("s.db", b"aaaa")]);
    let new = files(&[("s.db-wal", b"w")]);
    assert_eq!(images(&disk, ImageKind::Nothing), [old.clone()].into());
    assert_eq!(images(&disk, ImageKind::Everything), [new.clone()].into());
    assert_eq!(
        images(&disk, ImageKind::EntriesLost),
        [files(&[]), both, old, new.clone()].into()
    );
    entries.push(folder_synced());
    let after = played(IgnoredSyncs::None, entries);
    assert_eq!(images(&after, ImageKind::Nothing), [new].into());
}

#[test]
fn a_rename_is_undone_until_the_folder_is_synced_and_an_inode_may_come_again() {
    let mut entries = durable();
    let renamed = Operation::Renamed {
        from: "s.db",
        to: "t.db",
    };
    entries.push(entry(0, renamed));
    let disk = played(IgnoredSyncs::None, entries.clone());
    assert_eq!(
        images(&disk, ImageKind::Nothing),
        [files(&[("s.db", b"aaaa")])].into()
    );
    assert_eq!(
        images(&disk, ImageKind::Everything),
        [files(&[("t.db", b"aaaa")])].into()
    );
    entries.extend([
        folder_synced(),
        entry(0, Operation::Unlinked { path: "t.db" }),
        created(DB, "u.db"),
        written(DB, 0, b"u"),
    ]);
    let disk = played(IgnoredSyncs::None, entries);
    assert_eq!(
        images(&disk, ImageKind::Nothing),
        [files(&[("t.db", b"aaaa")])].into()
    );
    assert_eq!(
        images(&disk, ImageKind::Everything),
        [files(&[("u.db", b"u")])].into()
    );
}

#[test]
fn each_kind_of_ignored_sync_loses_its_own_syncs_only() {
    let mut entries = durable();
    entries.extend([created(LOG, "s.db-wal"), folder_synced(), written(LOG, 0, b"1")]);
    entries.extend(synced(LOG));
    let one = |disk: &Disk<'_>| disk.image(ImageKind::Nothing, &mut ImageRng::new(Seed(1), 1));
    let all = played(IgnoredSyncs::None, entries.clone());
    assert_eq!(one(&all), files(&[("s.db", b"aaaa"), ("s.db-wal", b"1")]));
    let commits = played(IgnoredSyncs::CommitSyncs, entries.clone());
    assert_eq!(one(&commits), files(&[("s.db", b"aaaa"), ("s.db-wal", b"")]));
    assert_eq!(one(&played(IgnoredSyncs::AllSyncs, entries.clone())), files(&[]));
    assert_eq!(
        one(&played(IgnoredSyncs::FolderSyncs, entries.clone())),
        files(&[])
    );
    // A checkpoint syncs the log and goes on with the database.
    entries.push(written(DB, 0, b"b"));
    let commits = played(IgnoredSyncs::CommitSyncs, entries);
    assert_eq!(one(&commits), files(&[("s.db", b"aaaa"), ("s.db-wal", b"1")]));
}

/// What a program may do to two files.
fn operations() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0..8_u8, 0..32_u8, any::<u8>()), 0..60)
}

proptest! {
    #[test]
    fn every_image_lies_between_what_was_synced_and_what_was_written(operations in operations(), no in any::<u64>()) {
        let data: Vec<[u8; 4]> = operations.iter().map(|(.., octet)| [*octet; 4]).collect();
        let mut disk = Disk::new(IgnoredSyncs::None);
        disk.play(&created(DB, "s.db"));
        disk.play(&created(LOG, "s.db-wal"));
        disk.play(&folder_synced());
        for ((what, at, _), data) in operations.iter().zip(&data) {
            let inode = if what % 2 == 0 { DB } else { LOG };
            match what / 2 {
                0 | 1 => disk.play(&written(inode, u64::from(*at), data)),
                2 => disk.play(&entry(inode, Operation::Truncated { size: u64::from(*at) })),
                _ => synced(inode).iter().for_each(|entry| disk.play(entry)),
            }
        }
        let image = |kind| disk.image(kind, &mut ImageRng::new(Seed(7), no));
        let (nothing, everything) = (image(ImageKind::Nothing), image(ImageKind::Everything));
        for kind in ImageKind::ALL {
            let image = image(kind);
            prop_assert!(image.keys().all(|name| everything.contains_key(name)));
            // Each octet is one that some write or size put there.
            for (name, octets) in &image {
                let possible: BTreeSet<u8> = data.iter().flatten().copied().chain([0]).collect();
                prop_assert!(octets.iter().all(|octet| possible.contains(octet)), "{name}");
            }
            if disk.unsynced() == 0 {
                prop_assert_eq!(&image, &nothing);
                prop_assert_eq!(&image, &everything);
            }
            // The same throws come to the same image.
            prop_assert_eq!(disk.image(kind, &mut ImageRng::new(Seed(7), no)), image);
        }
    }
}
