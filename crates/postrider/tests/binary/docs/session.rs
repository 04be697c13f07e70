//! A shell in a folder of its own, in which the blocks of a page are run one after the other as a reader would paste them.

use crate::testkit::WAIT_MAX;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver as Channel, RecvTimeoutError, channel};
use tempfile::TempDir;

/// The ports that the pages name.
const PORTS: [u16; 6] = [8080, 8081, 9090, 2775, 2780, 9000];
/// Hosts of the pages that stand for others' machines: all are this one here.
const HOSTS: [&str; 5] = [
    "smpp2.example.net",
    "smpp.example.net",
    "smpp.example.in",
    "smsc.example",
    "10.0.0.9",
];
/// Folders of the machine that the pages name.
const FOLDERS: [&str; 2] = ["/etc/postrider", "/var/lib/postrider"];

/// What a command printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Printed {
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The shell; it and all it started end when it is dropped.
pub(crate) struct Session {
    folder: TempDir,
    shell: Child,
    input: ChildStdin,
    said: Channel<String>,
    /// What is another here than on the page.
    replaced: Vec<(String, String)>,
    runs: usize,
    page: String,
}

/// An address of this machine that no other test uses, so that no port on it is taken between choosing and using it.
fn own_address() -> IpAddr {
    static SESSIONS: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(
        127,
        100_u8.wrapping_add(SESSIONS.fetch_add(1, Ordering::Relaxed)),
        high,
        low.max(1),
    );
    // Not every system has all of 127.0.0.0/8.
    match TcpListener::bind((own, 0)) {
        Ok(_) => own.into(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

impl Session {
    /// An empty folder with a shell in it.
    pub(crate) fn start(page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join(".run");
        let bin = run.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(folder.path().join("target/release")).unwrap();
        for place in [
            bin.join("postrider"),
            folder.path().join("target/release/postrider"),
        ] {
            symlink(env!("CARGO_BIN_EXE_postrider"), place).unwrap();
        }
        let address = own_address();
        // All are held until all are known, so that they differ.
        let free: Vec<TcpListener> = PORTS
            .iter()
            .map(|_| TcpListener::bind((address, 0)).unwrap())
            .collect();
        let ports: Vec<(u16, u16)> = PORTS
            .iter()
            .zip(&free)
            .map(|(named, free)| (*named, free.local_addr().unwrap().port()))
            .collect();
        drop(free);
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc"])
            .current_dir(folder.path())
            .env_remove("POSTRIDER_MASTER_KEY")
            .env_remove("COLUMNS")
            .env("NO_COLOR", "1")
            .env("HOME", folder.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("RUN", &run)
            .env("AT", address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        for (named, free) in &ports {
            command.env(format!("PORT_{named}"), free.to_string());
        }
        let mut shell = command.spawn().unwrap();
        let input = shell.stdin.take().unwrap();
        let (said_by, said) = channel();
        let output = BufReader::new(shell.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if said_by.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Self {
            replaced: replaced(address, &ports, folder.path()),
            folder,
            shell,
            input,
            said,
            runs: 0,
            page: page.to_owned(),
        };
        session.run("the beginning", include_str!("session.sh"));
        session
    }

    /// The folder that the commands run in.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A text of the page as it is here: with other ports, hosts and folders.
    pub(crate) fn here(&self, text: &str) -> String {
        let here = self.replaced.iter();
        here.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Runs commands in the shell; each must end well.
    pub(crate) fn run(&mut self, what: &str, commands: &str) -> Printed {
        self.runs += 1;
        let run = self.folder.path().join(".run");
        let file = |end: &str| run.join(format!("{}.{end}", self.runs));
        std::fs::write(file("sh"), self.here(commands)).unwrap();
        let mark = format!("run {} is done", self.runs);
        let mut line = String::new();
        let _ = writeln!(
            line,
            "source '{}' </dev/null >'{}' 2>'{}'; echo '{mark}'",
            file("sh").display(),
            file("out").display(),
            file("err").display()
        );
        // A shell that has ended shows below.
        let _ = self
            .input
            .write_all(line.as_bytes())
            .and_then(|()| self.input.flush());
        let end = loop {
            match self.said.recv_timeout(WAIT_MAX * 2) {
                Ok(said) if said == mark => break Ok(()),
                Ok(_) => {}
                Err(end) => break Err(end),
            }
        };
        let read = |end: &str| std::fs::read_to_string(file(end)).unwrap_or_default();
        let printed = Printed {
            out: read("out"),
            err: read("err"),
        };
        if let Err(end) = end {
            let why = match end {
                RecvTimeoutError::Timeout => "does not end",
                RecvTimeoutError::Disconnected => "failed",
            };
            panic!(
                "{}, {what}: {why}:\n{}\n--- standard output\n{}\n--- standard error\n{}",
                self.page,
                self.here(commands),
                printed.out,
                printed.err
            );
        }
        printed
    }

    /// Stops in order what runs in the other terminals.
    pub(crate) fn finish(mut self) {
        self.run(
            "the end",
            "stop_terminal dev\nstop_terminal serve\nstop_terminal sim\n",
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The shell leads a group that has all it started; it is waited for afterwards only, so the group is still its own.
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.shell.wait();
    }
}

fn replaced(address: IpAddr, ports: &[(u16, u16)], folder: &Path) -> Vec<(String, String)> {
    let mut replaced = Vec::new();
    for (named, free) in ports {
        for host in ["127.0.0.1", "localhost", "0.0.0.0"].iter().chain(&HOSTS) {
            replaced.push((format!("{host}:{named}"), format!("{address}:{free}")));
        }
        replaced.push((
            format!("(\"127.0.0.1\", {named})"),
            format!("(\"{address}\", {free})"),
        ));
        replaced.push((format!("port = {named}\n"), format!("port = {free}\n")));
    }
    for host in HOSTS.iter().chain(&["127.0.0.1"]) {
        replaced.push((format!("host = \"{host}\""), format!("host = \"{address}\"")));
    }
    let hook = ports.iter().find(|(named, _)| *named == 9000).unwrap().1;
    replaced.push((
        "https://crm.example".to_owned(),
        format!("http://{address}:{hook}"),
    ));
    for named in FOLDERS {
        replaced.push((named.to_owned(), format!("{}{named}", folder.display())));
    }
    replaced
}
