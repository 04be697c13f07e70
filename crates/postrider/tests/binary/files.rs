//! Files of a node: whose they are, and a store that goes away under it.

use crate::testkit::{Dev, Running, eventually, folder, postrider, run, said, status_of, written};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_that_dev_makes_is_its_owners_alone() {
    let above = folder();
    let data = above.path().join("data");
    // The mask of most machines, under which files are made readable by all.
    let dev = Dev::start(&data);
    assert_eq!(mode_of(&data), 0o700);
    let entries: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(entries.len() > 6, "{entries:?}");
    for path in entries {
        assert_eq!(mode_of(&path), 0o600, "{}", path.display());
    }
    let checked = said(&dev.tool(&["check"]));
    assert!(!checked.contains("others"), "{checked}");
}

#[test]
fn check_reports_files_that_others_may_read() {
    let folder = folder();
    let store = folder.path().join("postrider.db");
    let text = format!(
        "[secrets]\nmaster_key = \"{:064}\"\n[store]\npath = {store:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n",
        7
    );
    let config = written(folder.path(), "postrider.toml", &text);
    assert!(run(&["migrate", "--config", &config]).status.success());
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    set(&store, 0o644);
    set(Path::new(&config), 0o644);
    set(folder.path(), 0o777);
    let checked = said(&run(&["check", "--config", &config]));
    for problem in [
        "the master key is in the configuration: ",
        "postrider.db may be read or written by others (mode 644)",
        "another store in the place of this one",
    ] {
        assert!(checked.contains(problem), "{problem:?} is not in:\n{checked}");
    }
    set(&store, 0o600);
    set(Path::new(&config), 0o600);
    set(folder.path(), 0o700);
    let checked = run(&["check", "--config", &config]);
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn a_node_is_found_by_a_link_to_its_store_and_not_started_twice() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let other = crate::testkit::folder();
    symlink(
        folder.path().join("postrider.db"),
        other.path().join("postrider.db"),
    )
    .unwrap();
    symlink(folder.path().join("master.key"), other.path().join("master.key")).unwrap();
    let by_link = other.path().to_str().unwrap();
    let checked = said(&run(&["check", "--data", by_link]));
    assert!(checked.contains("running"), "{checked}");
    let second = run(&[
        "dev",
        "--data",
        by_link,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    assert!(
        said(&second).contains("in use by another process"),
        "{}",
        said(&second)
    );
    assert!(said(&second).contains("which serves it"), "{}", said(&second));
    drop(dev);
}

/// Whether a send was answered as done.
fn is_taken(dev: &Dev) -> bool {
    dev.send("+447700900123")["RetCode"] == 0
}

/// Sends until the file has pages in it, and not only its log.
fn checkpointed(dev: &Dev, store: &Path) {
    eventually("a checkpoint", || {
        is_taken(dev).then_some(())?;
        (std::fs::metadata(store).unwrap().len() > 8_192).then_some(())
    });
}

/// Replaces a store by a copy of itself, as a restore under a running node does.
fn replaced(store: &Path) {
    let other = store.with_extension("other");
    std::fs::copy(store, &other).unwrap();
    std::fs::rename(other, store).unwrap();
}

#[test]
fn a_store_that_goes_away_under_load_is_noticed_and_nothing_more_is_accepted() {
    type Harm = fn(&Path);
    let harms: [Harm; 5] = [
        |store| std::fs::remove_file(store).unwrap(),
        |store| std::fs::rename(store, store.with_extension("away")).unwrap(),
        replaced,
        |store| {
            let file = std::fs::File::options().write(true).open(store).unwrap();
            file.set_len(0).unwrap();
        },
        |store| std::fs::remove_file(store.with_extension("db-wal")).unwrap(),
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let folder = folder();
        let dev = Dev::start(folder.path());
        let store = folder.path().join("postrider.db");
        checkpointed(&dev, &store);
        let ready = format!("{}/readyz", dev.metrics());
        eventually("readiness", || (status_of(&ready) == "200").then_some(()));
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                // Until it is refused, and then never taken again.
                eventually("a refusal", || (!is_taken(&dev)).then_some(()));
                (0..20).filter(|_| is_taken(&dev)).count()
            });
            std::thread::sleep(Duration::from_millis(200));
            harm(&store);
            eventually("unreadiness", || (status_of(&ready) == "503").then_some(()));
            assert_eq!(sending.join().unwrap(), 0, "harm {n}");
        });
        let log = dev.running.err.wait_for("store files lost");
        assert!(log.contains("/proc/") && log.contains("/fd/"), "harm {n}: {log}");
        // It goes on, so that what it holds can be saved.
        assert_eq!(status_of(&format!("{}/livez", dev.metrics())), "200", "harm {n}");
        assert!(
            crate::testkit::curl(&[&format!("{}/metrics", dev.metrics())]).contains("postrider_store_lost 1")
        );
        assert!(dev.running.stop().success(), "harm {n}");
    }
}

#[test]
fn what_a_removed_store_held_is_saved_through_its_descriptors() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let session = dev.send_for_session("+447700900123");
    let store = folder.path().join("postrider.db");
    std::fs::remove_file(&store).unwrap();
    let log = dev.running.err.wait_for("store files lost");
    // As the log says it.
    let (_, commands) = log.split_once('`').unwrap();
    let (commands, _) = commands.split_once('`').unwrap();
    let script = format!("cd {} && {commands}", folder.path().display());
    crate::testkit::sh(&script, "");
    assert!(dev.running.stop().success());
    let refused = run(&["check", "--data", folder.path().to_str().unwrap()]);
    assert!(
        said(&refused).contains("is gone: it was there at"),
        "{}",
        said(&refused)
    );
    for suffix in ["", "-wal"] {
        let saved = folder.path().join(format!("postrider.saved.db{suffix}"));
        std::fs::rename(saved, folder.path().join(format!("postrider.db{suffix}"))).unwrap();
    }
    let _ = std::fs::remove_file(folder.path().join("postrider.db-shm"));
    let found = run(&["status", &session, "--data", folder.path().to_str().unwrap()]);
    assert!(
        found.status.success() && said(&found).contains("+447700900123"),
        "{}",
        said(&found)
    );
    let again = Running::start(postrider(&[
        "dev",
        "--data",
        folder.path().to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]));
    again.out.wait_for("Messages of the sandbox:");
    assert!(again.stop().success());
}

#[test]
fn check_and_tools_ask_the_node_whether_the_store_is_still_its_own() {
    type Harm = fn(&Path);
    let harms: [Harm; 3] = [
        replaced,
        |store| std::fs::remove_file(store.with_extension("db-wal")).unwrap(),
        |store| std::fs::remove_file(store).unwrap(),
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let folder = folder();
        let dev = Dev::start(folder.path());
        let store = folder.path().join("postrider.db");
        checkpointed(&dev, &store);
        harm(&store);
        dev.running.err.wait_for("store files lost");
        let before = std::fs::read(&store).ok();
        let checked = dev.tool(&["check"]);
        let printed = said(&checked);
        assert_eq!(checked.status.code(), Some(3), "harm {n}: {printed}");
        assert!(
            printed.contains("lost its files and rejects all requests: ")
                && printed.contains("running, its store files are lost"),
            "harm {n}: {printed}"
        );
        assert!(
            !printed.contains("no problems found") && !printed.contains("disk"),
            "harm {n}: {printed}"
        );
        let catalog = written(
            folder.path(),
            "more.toml",
            "[[carrier]]\nname = \"more\"\ntype = \"sandbox\"\n",
        );
        let words = if n == 2 {
            "is gone: it was there at"
        } else {
            "lost its files and rejects all requests: "
        };
        for command in [
            &["apply", &catalog][..],
            &["export"],
            &["status", "+447700900123"],
        ] {
            let refused = dev.tool(command);
            assert_eq!(
                refused.status.code(),
                Some(1),
                "harm {n}, {command:?}: {}",
                said(&refused)
            );
            assert!(
                said(&refused).contains(words),
                "harm {n}, {command:?}: {}",
                said(&refused)
            );
        }
        assert!(
            std::fs::read(&store).ok() == before,
            "harm {n}: a tool has written"
        );
        assert!(dev.running.stop().success(), "harm {n}");
    }
}

/// An octet in the middle of what counts of a log: behind it may stand what an earlier pass has left, under other salts
/// (https://www.sqlite.org/fileformat2.html#walformat).
fn middle_of(log: &[u8]) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let frame = FRAME_HEADER + u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let frames = log[HEADER..].chunks_exact(frame);
    let counted = frames.take_while(|of| of[8..16] == log[16..24]).count();
    HEADER + counted / 2 * frame + frame / 2
}

#[test]
fn check_leaves_what_a_kill_has_left_as_it_is() {
    let folder = folder();
    let mut dev = Dev::start(folder.path());
    // So many commits that some are behind the damage: one alone could be what a power cut had left.
    for _ in 0..40 {
        dev.send_for_session("+447700900123");
    }
    dev.running.signal("KILL");
    dev.running.ended();
    let contents = || -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries
            .filter(|entry| entry.file_type().unwrap().is_file())
            .filter(|entry| !entry.path().to_string_lossy().ends_with("-shm"))
            .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = contents();
    let data = folder.path().to_str().unwrap();
    for more in [
        &["check", "--data", data][..],
        &["check", "--deep", "--data", data],
    ] {
        let checked = run(more);
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(contents() == before, "{more:?}");
    }
    // A damaged log is reported, and left for the node that starts next.
    let wal = folder.path().join("postrider.db-wal");
    let mut log = std::fs::read(&wal).unwrap();
    let at = middle_of(&log);
    log[at] ^= 16;
    std::fs::write(&wal, &log).unwrap();
    let before = contents();
    let checked = run(&["check", "--data", data]);
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    for words in ["the write-ahead log is damaged", "nothing was changed"] {
        assert!(said(&checked).contains(words), "{}", said(&checked));
    }
    assert!(contents() == before);
    // Nothing of the remaining data is sent before the damage is acknowledged.
    for _ in 0..2 {
        let printed = second_node(folder.path());
        assert!(
            printed.contains("taken note") && printed.contains("sent again"),
            "{printed}"
        );
    }
    let refused = run(&["carrier", "list", "--data", data]);
    assert!(said(&refused).contains("taken note"), "{}", said(&refused));
    assert_eq!(std::fs::read(&wal).unwrap(), log);
    std::fs::remove_file(folder.path().join("postrider.db.damaged")).unwrap();
    let checked = run(&["check", "--data", data]);
    assert!(checked.status.success(), "{}", said(&checked));
    let dev = Dev::start(folder.path());
    assert!(is_taken(&dev));
    assert!(dev.running.stop().success());
}

#[test]
fn a_node_of_an_earlier_release_is_named_with_how_it_is_stopped() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    // Those wrote no number.
    let lock = folder.path().join("postrider.db.lock");
    std::fs::File::options()
        .write(true)
        .open(lock)
        .unwrap()
        .set_len(0)
        .unwrap();
    let data = folder.path().to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let second = run(&[&["dev", "--data", data][..], &listen].concat());
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    for words in ["a node of an earlier release serves it", "SIGTERM"] {
        assert!(said(&second).contains(words), "{}", said(&second));
    }
    drop(dev);
}

/// What a second node on the same store says when it ends.
fn second_node(data: &Path) -> String {
    let data = data.to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let second = run(&[&["dev", "--data", data][..], &listen].concat());
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    said(&second)
}

#[test]
fn a_removed_lock_file_lets_no_second_node_in_and_is_made_again() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let lock = folder.path().join("postrider.db.lock");
    std::fs::remove_file(&lock).unwrap();
    // At once, whether or not the first node has looked.
    let printed = second_node(folder.path());
    assert!(printed.contains("in use by another process"), "{printed}");
    dev.running.err.wait_for("lock file restored");
    let printed = second_node(folder.path());
    assert!(printed.contains("which serves it"), "{printed}");
    assert!(is_taken(&dev));
    assert_eq!(status_of(&format!("{}/readyz", dev.metrics())), "200");
    assert!(dev.running.stop().success());
}

#[test]
fn a_node_whose_locks_are_both_gone_accepts_nothing_more() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    // By one name each, as `rm` does it; between the two the first may be made again.
    let suffixes = ["lock", "durable"];
    eventually("a node that has noticed", || {
        for suffix in suffixes {
            let _gone = std::fs::remove_file(folder.path().join(format!("postrider.db.{suffix}")));
        }
        dev.running
            .err
            .so_far()
            .contains("store files lost")
            .then_some(())
    });
    assert!(!is_taken(&dev));
    assert_eq!(status_of(&format!("{}/readyz", dev.metrics())), "503");
    assert!(dev.running.stop().success());
}

#[test]
fn a_hard_link_to_a_served_store_is_reported_until_it_is_removed() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let other = folder.path().join("copy.db");
    std::fs::hard_link(folder.path().join("postrider.db"), &other).unwrap();
    let log = dev.running.err.wait_for("store has another hard link");
    assert!(log.contains("remove the other name"), "{log}");
    let ready = format!("{}/readyz", dev.metrics());
    eventually("unreadiness", || (status_of(&ready) == "503").then_some(()));
    let printed = crate::testkit::curl(&[&ready]);
    assert!(printed.contains("2 names (hard links)"), "{printed}");
    // It accepts requests meanwhile.
    assert!(is_taken(&dev));
    std::fs::remove_file(&other).unwrap();
    eventually("readiness", || (status_of(&ready) == "200").then_some(()));
    assert!(dev.running.stop().success());
}
