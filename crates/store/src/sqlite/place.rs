//! Where a store's files are, and whose they are.
//!
//! A store has one path: links are followed first, so that whoever names it otherwise finds the same lock. Its files belong to
//! their owner alone. SQLite makes `-wal` and `-shm` with the mode of the database file, so that file is made here, before
//! SQLite opens it.

use super::SqliteConfig;
use crate::StoreError;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Links followed one after the other, as the system does it.
const LINKS_MAX: usize = 40;
/// What only the owner may open.
const OWNER_ONLY: u32 = 0o600;
/// What the group may read.
const GROUP_READS: u32 = 0o640;
/// All bits that say what somebody may do.
const PERMISSIONS: u32 = 0o777;

/// The files that hold what is stored.
const DATA: [&str; 3] = ["", "-wal", "-shm"];
/// The files that only processes of the owner need.
const OWN: [&str; 4] = [".lock", ".turn", ".durable", ".damaged"];

/// The path of a file beside the store.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The path of a store with all links followed, also where the store is not there yet.
///
/// # Errors
/// When its folder is not there or cannot be entered, or links lead in a circle.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.canonicalize()?,
            _ => Path::new(".").canonicalize()?,
        };
        match path.read_link() {
            Ok(target) => path = folder.join(target),
            // There is none yet.
            Err(_) => return Ok(path.file_name().map_or(folder.clone(), |name| folder.join(name))),
        }
    }
    Err(io::Error::other("too many links, one after the other"))
}

/// Refuses a store that has other names: a process that opens it by another one finds neither its lock nor its log.
///
/// # Errors
/// [`StoreError::Other`] with what to do.
pub(super) fn one_name_only(store: &Path) -> Result<(), StoreError> {
    let names = std::fs::metadata(store).map_or(1, |file| file.nlink());
    if names > 1 {
        return Err(StoreError::Other(format!(
            "the store {path} has {names} names (hard links), and a second process could open it by another one without \
             seeing its lock or its write-ahead log. What to do: `find {root} -xdev -samefile {path}` lists the names; \
             remove all but one, or put a copy in this one's place (`cp {path} {path}.copy && mv {path}.copy {path}`, with \
             everything stopped)",
            path = store.display(),
            root = mount_point_of(store).display(),
        )));
    }
    if is_mount_point(store) {
        return Err(StoreError::Other(format!(
            "the store {} is mounted as a single file: its write-ahead log and its lock would lie in another folder than those \
             of whoever opens the file at its own place. Mount the folder instead",
            store.display()
        )));
    }
    Ok(())
}

/// The folder at which the file system is mounted that a file is on: all its names are below that. A file system that is mounted
/// in several places is looked through from this one.
fn mount_point_of(file: &Path) -> PathBuf {
    let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    let own = device(&path);
    let above = path.ancestors().skip(1);
    let highest = above.take_while(|folder| device(folder) == own).last();
    highest.unwrap_or(Path::new("/")).to_owned()
}

/// Whether a file system is mounted on just this file, as containers do with single files. Reads Linux's list of
/// mounts.
fn is_mount_point(path: &Path) -> bool {
    // The fifth column, with blanks and the like as octal digits.
    let written = path
        .to_string_lossy()
        .replace('\\', "\\134")
        .replace(' ', "\\040");
    std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| {
        mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some(&written))
    })
}

/// Opens a file beside the store for its owner alone, and makes it when there is none: with the owner of the store where
/// root does it. A link is not followed.
pub(super) fn open_private(path: &Path, store: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(OWNER_ONLY);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let made = options.clone().create_new(true).open(path);
    match made {
        Ok(file) => {
            give(&file, store)?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Gives a file that root has made to the owner of `like`, or where that is not there yet to the owner of its folder: the user
/// of the service is to open it.
fn give(file: &File, like: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = like.parent().filter(|folder| !folder.as_os_str().is_empty());
    let owner = std::fs::metadata(like).or_else(|_| std::fs::metadata(folder.unwrap_or(Path::new("."))));
    match owner {
        Ok(owner) => Ok(fchown(file, Some(owner.uid()), Some(owner.gid()))?),
        Err(_) => Ok(()),
    }
}

/// Makes the database file, empty, unless it is there.
pub(super) fn make(store: &Path, config: &SqliteConfig) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(wanted(config));
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = options
        .open(store)
        .and_then(|file| give(&file, folder.unwrap_or(Path::new("."))));
    match made {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unwritable(format!(
            "make the store {}: {error}",
            store.display()
        ))),
    }
}

/// The mode of what holds what is stored.
fn wanted(config: &SqliteConfig) -> u32 {
    if config.group_may_read {
        GROUP_READS
    } else {
        OWNER_ONLY
    }
}

/// Takes from others what they may do with files of this process's user: earlier releases made them as the umask said.
pub(super) fn tighten(store: &Path, config: &SqliteConfig) {
    let own = OWN.map(|suffix| (suffix, OWNER_ONLY));
    for (suffix, wanted) in DATA.map(|suffix| (suffix, wanted(config))).into_iter().chain(own) {
        let path = beside(store, suffix);
        let Ok(file) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let before = file.mode() & PERMISSIONS;
        // What its owner took from himself stays so.
        let after = (before & 0o700) | (wanted & 0o077);
        if !file.is_file() || before == after {
            continue;
        }
        match std::fs::set_permissions(&path, Permissions::from_mode(after)) {
            Ok(()) => {
                let (before, after) = (format!("{before:03o}"), format!("{after:03o}"));
                tracing::info!(path = %path.display(), %before, %after, "file mode changed");
            }
            Err(error) => tracing::warn!(
                path = %path.display(),
                %error,
                "file mode not changed"
            ),
        }
    }
}

/// What other users of the machine may do with a store's files and its folder, each in a sentence. The group may read what
/// `config` lets it read.
pub(super) fn open_to_others(store: &Path, config: &SqliteConfig) -> Vec<String> {
    let store = resolved(store).unwrap_or_else(|_| store.to_owned());
    let mut found = Vec::new();
    if let Some(folder) = store.parent()
        && let Ok(about) = std::fs::metadata(folder)
    {
        let mode = about.mode();
        let sticky = mode & 0o1000 != 0;
        if mode & 0o022 != 0 && !sticky {
            found.push(format!(
                "{} may be written to by others (mode {:03o}): they can put another store in the place of this one; chmod go-w it",
                folder.display(),
                mode & PERMISSIONS
            ));
        }
    }
    found.extend(of_other_owners(&store));
    let data = DATA.map(|suffix| (suffix, wanted(config)));
    for (suffix, wanted) in data.into_iter().chain(OWN.map(|suffix| (suffix, OWNER_ONLY))) {
        let path = beside(&store, suffix);
        let Ok(file) = std::fs::metadata(&path) else {
            continue;
        };
        let mode = file.mode() & PERMISSIONS;
        // An empty file is no store yet, and the first start closes it.
        let is_empty = suffix.is_empty() && file.len() == 0;
        if mode & 0o077 & !wanted != 0 && !is_empty {
            let what = if suffix == ".lock" || suffix == ".turn" {
                "may be held by others"
            } else {
                "may be read or written by others"
            };
            found.push(format!(
                "{} {what} (mode {mode:03o}); chmod {wanted:o} it, or restart the node, which does so when it starts",
                path.display()
            ));
        }
    }
    found
}

/// Files of a store that the user who serves it cannot open: made by root in a folder of his, or beside a store of his.
fn of_other_owners(store: &Path) -> Vec<String> {
    let owner_of = |path: &Path| std::fs::metadata(path).ok().map(|about| about.uid());
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    let of_folder = owner_of(folder.unwrap_or(Path::new(".")));
    let of_store = owner_of(store);
    // Other owners of a folder are usual: a group may write to it.
    let user = match (of_folder, of_store) {
        (Some(user), Some(0)) => user,
        (_, Some(user)) => user,
        _ => return Vec::new(),
    };
    let files = DATA.into_iter().chain(OWN).map(|suffix| beside(store, suffix));
    let others = files.filter_map(|path| {
        let owner = owner_of(&path).filter(|owner| *owner != user)?;
        Some(format!(
            "{} belongs to user {owner}, and a node of user {user} cannot open it; `chown {user} {0}`",
            path.display()
        ))
    });
    others.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_store_has_one_path_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (real, other) = (folder.join("real"), folder.join("other"));
        std::fs::create_dir_all(&real).unwrap();
        symlink(&real, &other).unwrap();
        let store = real.join("p.db");
        symlink("real/p.db", folder.join("link.db")).unwrap();
        symlink("link.db", folder.join("link of link.db")).unwrap();
        symlink("circle.db", folder.join("circle.db")).unwrap();
        for exists in [false, true] {
            for name in [
                "real/p.db",
                "other/p.db",
                "link.db",
                "link of link.db",
                "other/../real/p.db",
            ] {
                assert_eq!(
                    resolved(&folder.join(name)).unwrap(),
                    store,
                    "{name}, there: {exists}"
                );
            }
            std::fs::write(&store, "x").unwrap();
        }
        assert!(resolved(&folder.join("circle.db")).is_err());
        assert!(resolved(&folder.join("nowhere/p.db")).is_err());
    }

    #[test]
    fn a_private_file_is_made_private_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (store, lock) = (folder.path().join("p.db"), folder.path().join("p.db.lock"));
        std::fs::write(&store, "").unwrap();
        open_private(&lock, &store).unwrap();
        open_private(&lock, &store).unwrap();
        assert_eq!(std::fs::metadata(&lock).unwrap().mode() & 0o777, 0o600);
        std::fs::remove_file(&lock).unwrap();
        symlink(&store, &lock).unwrap();
        assert!(open_private(&lock, &store).is_err());
    }
}
