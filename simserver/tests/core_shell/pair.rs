//! One tree of files, for the real programs and for the simulated ones.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flare_simserver::core::shell::{NotModelled, Place, run};
use flare_simserver::core::{LocalTime, VirtualFiles};
use flare_wire::Moment;

const DAY: u64 = 24 * 60 * 60;

/// Path, content, mode, age of the change and of the last access in seconds.
pub(crate) const FILES: &[(&str, &[u8], u32, u64, u64)] = &[
    ("readme.txt", b"first line\nsecond line\n\n\n\nsixth\tline\nlast without end", 0o644, 60, 30),
    ("log.txt", b"2026 - INFO - one\n2026 - ERROR - two\n2026 - INFO - three\n", 0o644, 90, 10 * DAY),
    ("log.json", b"{\"a\": 1}\n{\"b\": [2]}\n", 0o600, 3 * DAY, 2 * DAY),
    ("empty.txt", b"", 0o644, 400 * DAY, 5),
    ("newlines.txt", b"\n\n\nx\n\n\ny\n", 0o444, 100, 100),
    ("crlf.txt", b"one\r\ntwo\rthree\r\n", 0o644, 300, 300),
    ("binary.txt", b"abc\0def\nxyz\n", 0o644, 300, 300),
    ("latin.txt", b"ok\ncaf\xe9\nnoch\n", 0o644, 300, 300),
    ("unicode.txt", "Zürich\nÉCOLE\nécole\n日本語\nstraße\n".as_bytes(), 0o644, 300, 300),
    ("long.log", &[b'x'; 9000], 0o644, 300, 300),
    ("patterns.txt", b"abc\na*b\n+x\n?y\n{1}\n(a)\na|b\n^z\nz$\n\\back\n[set]\nfoo bar\nFOO\naab\ntab\there\n*star\nd5\ns s\na-b\n]\n", 0o644, 300, 300),
    (".hidden", b"h", 0o644, 1000, 1000),
    ("-x.txt", b"dash\n", 0o644, 1100, 1100),
    ("UPPER.txt", b"U\n", 0o755, 200 * DAY, 200 * DAY),
    ("startup/fed_server.json", b"{}\n", 0o644, 5000, 5000),
    ("startup/start.sh", b"#!/bin/sh\n", 0o755, 6000, 6000),
    ("startup/sub/deep.txt", b"deep\n", 0o644, 5500, 5500),
    ("startup/sub/a", b"a\n", 0o644, 5600, 5600),
    ("local/resources.json", b"{\n}\n", 0o644, 7000, 7000),
    ("b.d/x.txt", b"in a directory with a dot\n", 0o644, 8000, 8000),
];

/// Directories get these ages, the root included, and are marked as read this many seconds in the future: reading a
/// directory would move an earlier time on most file systems, which is not simulated.
const DIRECTORIES: &[(&str, u64, u64)] = &[
    (".", 40, 3601),
    ("startup", 50, 3605),
    ("startup/sub", 70, 3603),
    ("local", 80, 3602),
    ("b.d", 20, 3604),
    ("transfer", 30 * DAY, 3606),
];

/// The same for the directory above.
const ABOVE: (u64, u64) = (6, 3607);

pub(crate) struct Pair {
    real: PathBuf,
    simulated: VirtualFiles,
    _directory: tempfile::TempDir,
    now: Moment,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "the real programs compare with the real time")]
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("shell").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let real = directory.path().join("server");
        // Real `ls` compares with the real time, so the files are as old as it says when measured from there.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Moment::from_unix(Duration::from_secs(now.as_secs()));
        let mut simulated = VirtualFiles::new(real.to_str().unwrap(), now);
        for (path, content, mode, ..) in FILES {
            let file = real.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(*mode)).unwrap();
            simulated.insert(path, content.to_vec(), *mode, now);
        }
        fs::create_dir_all(real.join("transfer")).unwrap();
        simulated.insert_directory("transfer", 0o755, now);
        for (path, _, _, modified, accessed) in FILES {
            set_times(&real.join(path), ago(now, *modified), ago(now, *accessed));
            simulated.set_times(path, ago(now, *modified), ago(now, *accessed)).unwrap();
        }
        let mut pair = Self { real, simulated, _directory: directory, now };
        for (path, modified, accessed) in DIRECTORIES {
            fs::set_permissions(pair.real.join(path), Permissions::from_mode(0o755)).unwrap();
            pair.simulated.set_times(path, ago(now, *modified), later(now, *accessed)).unwrap();
        }
        let above = pair.real.parent().unwrap();
        fs::set_permissions(above, Permissions::from_mode(0o755)).unwrap();
        pair.simulated.set_parent(fs::metadata(above).unwrap().nlink(), ago(now, ABOVE.0), later(now, ABOVE.1));
        let (owner, group) = (output("id", &["-un"]), output("id", &["-gn"]));
        pair.simulated.set_owner(owner.trim(), group.trim());
        for (path, modified, accessed) in DIRECTORIES {
            set_times(&pair.real.join(path), ago(now, *modified), later(now, *accessed));
        }
        set_times(pair.real.parent().unwrap(), ago(now, ABOVE.0), later(now, ABOVE.1));
        pair
    }

    fn real(&self, words: &[String]) -> Vec<u8> {
        let mut merged = Command::new("sh");
        // The shell only merges the two outputs into one pipe; the words reach the program as they are.
        merged.args(["-c", "exec \"$@\" 2>&1", "sh"]).args(words).current_dir(&self.real);
        merged.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
        merged.output().unwrap().stdout
    }

    pub(crate) fn simulated(&self, words: &[String]) -> Result<Vec<u8>, NotModelled> {
        run(words, Place { files: &self.simulated, clock: LocalTime::UTC, now: self.now })
    }

    pub(crate) fn compare(&self, line: &[&str]) {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let real = self.real(&words);
        let simulated = self.simulated(&words).unwrap_or_else(|error| panic!("{words:?}: not modelled: {error}"));
        assert_eq!(String::from_utf8_lossy(&simulated), String::from_utf8_lossy(&real), "{words:?}");
    }
}

fn ago(now: Moment, seconds: u64) -> Moment {
    now - Duration::from_secs(seconds)
}

fn later(now: Moment, seconds: u64) -> Moment {
    now + Duration::from_secs(seconds)
}

fn set_times(path: &Path, modified: Moment, accessed: Moment) {
    let time = |moment: Moment| UNIX_EPOCH + moment.since_epoch();
    let times = FileTimes::new().set_modified(time(modified)).set_accessed(time(accessed));
    File::open(path).unwrap().set_times(times).unwrap();
}

fn output(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(Command::new(program).args(arguments).output().unwrap().stdout).unwrap()
}
