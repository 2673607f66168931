//! The simulated shell commands beside the real programs of this machine, on the same tree of files.
//!
//! The real programs are the judge: GNU coreutils and grep in the locale `C.UTF-8`, as a real server starts them.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

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
const FILES: &[(&str, &[u8], u32, u64, u64)] = &[
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

struct Pair {
    real: PathBuf,
    simulated: VirtualFiles,
    _directory: tempfile::TempDir,
    now: Moment,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "the real programs compare with the real time")]
    fn new() -> Self {
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

    fn simulated(&self, words: &[String]) -> Result<Vec<u8>, NotModelled> {
        run(words, Place { files: &self.simulated, clock: LocalTime::UTC, now: self.now })
    }

    fn compare(&self, line: &[&str]) {
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

#[test]
fn pwd_prints_the_workspace() {
    Pair::new().compare(&["pwd"]);
}

#[test]
fn ls_lists_like_the_real_one() {
    let pair = Pair::new();
    let targets = [
        None,
        Some("."),
        Some("./"),
        Some("startup"),
        Some("startup/"),
        Some("startup/sub/.."),
        Some("startup/sub"),
        Some("transfer"),
        Some("readme.txt"),
        Some(".hidden"),
        Some("./log.txt"),
        Some("startup//start.sh"),
        Some("nope"),
        Some("readme.txt/"),
        Some("readme.txt/x"),
        Some("-5"),
        Some("-1"),
        Some("-0.5"),
    ];
    let letters = ["-a", "-l", "-t", "-S", "-R", "-u"];
    for target in targets {
        // Two dots are refused before a program is started.
        if target == Some("startup/sub/..") {
            continue;
        }
        for chosen in 0..1_u32 << letters.len() {
            let mut line = vec!["ls"];
            line.extend(letters.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, letter)| *letter));
            line.extend(target);
            pair.compare(&line);
        }
    }
    for line in [
        &["ls", "-lS", "-t"][..],
        &["ls", "-tS"],
        &["ls", "-St", "-l"],
        &["ls", "-laR", "startup"],
        &["ls", "--", "-x.txt"],
        &["ls", "-l", "--", "-x.txt"],
        &["ls", "startup", "-l"],
        &["ls", "-l=", "startup"],
        &["ls", "-a=l"],
    ] {
        pair.compare(line);
    }
}

#[test]
fn cat_prints_like_the_real_one() {
    let pair = Pair::new();
    let letters = ["-n", "-b", "-s", "-T"];
    for (path, ..) in FILES.iter().filter(|(path, ..)| !path.starts_with('-')) {
        for chosen in 0..1_u32 << letters.len() {
            let mut line = vec!["cat"];
            line.extend(letters.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, letter)| *letter));
            line.push(path);
            pair.compare(&line);
        }
    }
    for line in [
        &["cat", "nope.txt"][..],
        &["cat", "b.d"],
        &["cat", "readme.txt/"],
        &["cat", "-nsT", "readme.txt"],
        &["cat", "-bn", "newlines.txt"],
        &["cat", "--", "-x.txt"],
        &["cat", "-n=b", "readme.txt"],
    ] {
        pair.compare(line);
    }
}

#[test]
fn head_and_tail_print_like_the_real_ones() {
    let pair = Pair::new();
    let numbers = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "10",
        "100",
        "-0",
        "-1",
        "-2",
        "-3",
        "-7",
        "-100",
        "+0",
        "+1",
        "+2",
        "+3",
        "+7",
        "+100",
        "007",
        " 2",
        "2 ",
        "\t3",
        "1_0",
        "=5",
        "18446744073709551615",
        "18446744073709551616",
        "-18446744073709551616",
        "99999999999999999999999",
        "+99999999999999999999999",
        "\n4",
        "4\n",
        "",
    ];
    for program in ["head", "tail"] {
        for (path, ..) in FILES.iter().filter(|(path, ..)| !path.starts_with('-')) {
            pair.compare(&[program, path]);
            for number in numbers {
                for letter in ["-n", "-c"] {
                    pair.compare(&[program, letter, number, path]);
                }
                if !number.is_empty() {
                    pair.compare(&[program, &format!("-n{number}"), path]);
                }
            }
        }
        for line in [
            &["nope.txt"][..],
            &["b.d"],
            &["-n", "0", "b.d"],
            &["-c", "0", "b.d"],
            &["-n", "-1", "b.d"],
            &["-n", "+1", "b.d"],
            &["-c", "3", "b.d"],
            &["readme.txt/"],
            &["-n", "2", "-c", "3", "readme.txt"],
            &["-c", "3", "-n", "2", "readme.txt"],
            &["readme.txt", "-n", "1"],
            &["-n", "x", "-c", "y", "readme.txt"],
            &["--", "-x.txt"],
        ] {
            let line: Vec<&str> = [&[program], line].concat();
            pair.compare(&line);
        }
    }
}

/// Expressions, good and bad, that tell the corners of the syntax apart.
const PATTERNS: &[&str] = &[
    "line",
    "one",
    "^",
    "$",
    "a*b",
    "*a",
    "^*",
    r"\+x",
    r"\?y",
    r"a\|\?y",
    r"\(\+x\)",
    r"a\{1",
    r"a\{1,",
    r"a\{,2\}",
    r"a\{\}",
    r"a\{2,1\}",
    r"a\{x\}",
    r"a\{40000\}",
    r"a\{1\}b",
    r"\1",
    r"\(a\)\2",
    r"\d",
    r"\d5",
    r"\x",
    r"\s",
    r"s\ss",
    r"\.",
    r"\n",
    r"\t",
    r"\-",
    r"\]",
    r"\}",
    r"\/",
    r"\<a",
    r"\bF",
    r"a\>",
    r"\w\W",
    "[[=a=]]b",
    "[[.a.]]b",
    "[[.hyphen.]]",
    "[[.-.]]",
    "[",
    "[a",
    "[]",
    "[]a",
    "[]]",
    "[^]",
    "[^",
    "[^]]b",
    "[a-]",
    "[--a]b",
    r"[a\]b",
    r"a\{1\}\{2\}",
    r"a*\{2\}",
    "a^b",
    "a$b",
    r"\(^a\)",
    r"\(z$\)",
    r"\(b$\)",
    r"\(a\|^z\)",
    "x*",
    r"a\|",
    r"\|a",
    r"a\|*s",
    "^^z",
    "z$$",
    "[[:alpha:]]*5",
    "[[:alpha:]-z]",
    "[a-[:digit:]]",
    "é",
    "É",
    "[é-ü]",
    "[a-é]",
    "[é-é]",
    "[é]",
    "[^é]",
    "[ü-a]",
    "[[=é=]]",
    "[[.é.]]",
    r"é\{2\}",
    r"\é",
    r"a\{1,2",
    r"a\{1,2x",
    r"a\{1,2\",
    r"a\{65536\}",
    r"a\{0,\}",
    r"\(",
    r"\(a",
    r"\(\)",
    r"a\(\)*",
    r"\{",
    r"\{1\}",
    r"a\|\{1\}",
    r"^\{1\}",
    r"\_",
    r"\a",
    r"\`a",
    r"b\'",
    r"\B",
    r"[\n]",
    "[[:upper:]]",
    "[[:upper:]",
    "[a-c-e]",
    "**",
    "^**",
    "a**",
    r"\(*\)",
    r"\(?\)",
    r"\(\?\)",
    r"\)",
    r"a\)",
    r"\{1",
    "[x",
    r"a\+\+",
    r"a\?\?",
    r"a\*",
    "+",
    "?",
    "|",
    "(",
    ")",
    "{",
    "}",
    "a{1}",
    "[[.space.]]s",
    "[[:space:]]",
    "[1[:blank:]2]",
    "[[:",
    "[[=",
    "[[.",
    "[[.aa.]]",
    "[[=aa=]]",
    "[[:alpha",
    "[[:alpha:",
    "[[:foo:]]",
    "[:space:]",
    "[:a]",
    "[:a:b]",
    "[a:]",
    "[:a:]",
    "[:]",
    "[::]",
    "[^:a:]",
    "[:a-z:]",
    "[:a:]x",
    "[:[:alpha:]:]",
    r"\<*s",
    r"\b*s",
    r"\`*s",
    r"\(^*s\)",
    "$*",
    r"s\>*",
    r"\(\{1\}\)",
    "[:space:]*",
    r"\<\{2\}",
    "[z-a]",
    "a\nz",
    "\n",
    "a\n",
    r"\(a\nb\)",
    "[a\nb]",
    "日",
    "stra.e",
    "[[:punct:]]",
    "[[:digit:]]",
    "[[:xdigit:]]",
    "[[:cntrl:]]",
    "[[:graph:]]",
    "[[:print:]]",
    "[[:alnum:]]",
    "[[:lower:]]",
    r"\W",
    r"\S",
    r"a\{0\}b",
    r"a\{0,0\}b",
    r"\(a\|b\)\{2\}",
    r"x\{9000\}",
    r"\(\(a\)b\)",
    "abc.*",
    ".",
    "..*z",
    "x$",
    "^x",
    "back",
    r"\\",
    r"\\b",
    r"[.]",
    "[[]",
    "[]]",
    "[^^]",
    "[$]",
    "a-b",
    "caf",
    "noch",
    "zzz",
    "INFO - t",
    "'",
    "\"",
    "a|b",
    "ß",
    "SS",
    "\u{130}",
    "i",
    "k",
];

#[test]
fn grep_finds_and_complains_like_the_real_one() {
    let pair = Pair::new();
    for pattern in PATTERNS {
        for file in ["patterns.txt", "unicode.txt", "readme.txt", "newlines.txt", "binary.txt", "latin.txt", "long.log"]
        {
            pair.compare(&["grep", "--", pattern, file]);
        }
        if !pattern.starts_with('-') {
            pair.compare(&["grep", "-i", "-n", pattern, "patterns.txt"]);
            pair.compare(&["grep", "-inb", pattern, "log.txt"]);
            pair.compare(&["grep", pattern, "-b", "patterns.txt"]);
            pair.compare(&["grep", pattern, "crlf.txt", "-n"]);
        }
    }
    for line in [
        &["grep", "a", "nope.txt"][..],
        &["grep", "a", "b.d"],
        &["grep", "a", "readme.txt/"],
        &["grep", "audit.log"],
        &["grep", "-n", "audit.log"],
        &["grep", "-5", "readme.txt"],
        &["grep", "-0.5", "readme.txt"],
        &["grep", "-n=i", "x", "readme.txt"],
        &["grep", "--", "-x", "readme.txt"],
        &["grep", "", "readme.txt"],
    ] {
        pair.compare(line);
    }
}

/// Patterns of random pieces, so that errors meet that nobody thought of.
#[test]
fn grep_agrees_on_random_patterns() {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "x",
        "5",
        "*",
        ".",
        "^",
        "$",
        "[",
        "]",
        "-",
        ":",
        "=",
        r"\(",
        r"\)",
        r"\|",
        r"\{",
        r"\}",
        ",",
        "1",
        "2",
        r"\+",
        r"\?",
        r"\<",
        r"\>",
        r"\b",
        r"\B",
        r"\w",
        r"\W",
        r"\s",
        "[ab]",
        "[^a]",
        "[[:alpha:]]",
        "[:",
        ":]",
        "\n",
        " ",
        "\\",
        "a-z",
        "A-z",
    ];
    const SEED: u64 = 290;
    let pair = Pair::new();
    let mut random = flare_wire::Randomness::from_number(SEED);
    let mut below = |limit: usize| usize::try_from(random.number() % u64::try_from(limit).unwrap()).unwrap();
    for _ in 0..800 {
        let pattern: String = (0..=below(6)).map(|_| PIECES[below(PIECES.len())]).collect();
        pair.compare(&["grep", "--", &pattern, "patterns.txt"]);
        let ignoring_case = ["grep", "-i", "--", &pattern, "patterns.txt"];
        match pair.simulated(&ignoring_case.map(str::to_owned)) {
            Ok(_) => pair.compare(&ignoring_case),
            Err(error) => assert_eq!(error.to_string(), "grep -i with an escaped letter beside a class", "{pattern:?}"),
        }
    }
}

/// Lines of a file that hold this pattern are found in any case as the real one finds them.
#[test]
fn grep_ignores_case_like_the_real_one() {
    let pair = Pair::new();
    for pattern in [
        "foo",
        "ÉCOLE",
        "école",
        "zürich",
        "[[:upper:]]",
        "[a-z]oo",
        "STRASSE",
        "STRAßE",
        "[Z-a]",
        "[A-z]",
        "[_-z]",
        "[a-Z]",
    ] {
        for file in ["patterns.txt", "unicode.txt"] {
            pair.compare(&["grep", "-i", pattern, file]);
        }
    }
}

#[test]
fn what_cannot_be_done_as_the_real_one_does_it_is_said_to_be_not_modelled() {
    let pair = Pair::new();
    let refused = |line: &[&str]| {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        pair.simulated(&words).unwrap_err().to_string()
    };
    assert_eq!(refused(&["grep", r"\(a\)\1", "readme.txt"]), "grep with back-references");
    assert_eq!(refused(&["grep", "-v x", "readme.txt"]), "grep with a pattern that it takes for options");
    assert_eq!(refused(&["grep", &r"\(".repeat(1000), "readme.txt"]), "grep with groups as deep as this");
    assert_eq!(
        refused(&["grep", &format!("a{}", "*".repeat(1000)), "readme.txt"]),
        "grep with repetitions of repetitions as deep as this"
    );
    assert_eq!(refused(&["grep", r"\w\{30000\}", "readme.txt"]), "grep with an expression as large as this");
    assert_eq!(refused(&["grep", &"a".repeat(100_000), "readme.txt"]), "grep with a pattern as long as this");
    assert_eq!(refused(&["rm", "readme.txt"]), "another program");
}
