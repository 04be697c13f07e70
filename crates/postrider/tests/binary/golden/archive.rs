//! The files of a golden store: packed, extracted, copied.

use crate::testkit::{folder, said};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The content of an archive. Lock files, the socket and the shared memory of a killed node are of no use elsewhere.
const FILES: [&str; 6] = [
    "postrider.db",
    "postrider.db-wal",
    "postrider.db.durable",
    "master.key",
    "catalog.toml",
    "known.json",
];

/// Writes an archive.
pub(super) fn pack(folder: &Path, archive: &Path) {
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let output = Command::new("tar")
        .args(["--owner=0", "--group=0", "--sort=name", "-I", "gzip -9n", "-C"])
        .arg(folder)
        .arg("-cf")
        .arg(archive)
        .args(FILES)
        .output()
        .unwrap();
    assert!(output.status.success(), "tar: {}", said(&output));
}

/// Extracts an archive.
pub(super) fn unpacked(archive: &Path) -> TempDir {
    let folder = folder();
    let output = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "tar: {}", said(&output));
    restrict(folder.path());
    folder
}

/// A copy of the files of an archive that exist in a directory.
pub(super) fn copied(from: &Path) -> TempDir {
    let folder = folder();
    for name in FILES.iter().filter(|name| from.join(name).exists()) {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    restrict(folder.path());
    folder
}

/// Makes a directory and its files accessible to their owner only: the program warns of others.
pub(super) fn restrict(folder: &Path) {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
}
