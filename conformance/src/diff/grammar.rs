//! The lines that are tried: what is legal for each command, and what may differ in its reply.
//!
//! A line is made of words drawn from pools. `{job:N}` stands for the Nth job that both sides have, `{recent:N}` for the
//! Nth from the end, and
//! `{token:SITE}` for the token by which a side knows a site; each side puts in its own.
//!
//! Left out, since the moment at which it takes effect is each side's own: what makes a site leave or come back
//! (`remove_client`, `disable_client`, `restart` and `shutdown` of what exists); `list_sessions`, which shows who else is
//! logged in; and the diagnostics of scope `cellnet` beyond their usage, which show processes and sockets.

use super::allowance::{Allowances, TEXT};
use super::dice::Dice;

/// Who may send a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Any administrator.
    Anybody,
    /// Only those who may submit.
    Submitters,
    /// Only members, who are refused: for anybody else the command would take the federation down.
    Members,
}

/// One command of the grammar.
pub(super) struct Entry {
    /// Its name.
    pub(super) name: &'static str,
    /// How often it is drawn, beside the others.
    pub(super) weight: usize,
    /// Who may send it.
    pub(super) sender: Sender,
    /// False where a word more or less would take a site down.
    pub(super) may_be_mutated: bool,
    /// Draws its arguments.
    arguments: fn(&mut Dice) -> String,
    allowances: fn() -> Allowances,
}

impl Entry {
    const fn new(name: &'static str, weight: usize, arguments: fn(&mut Dice) -> String) -> Self {
        Self { name, weight, sender: Sender::Anybody, may_be_mutated: true, arguments, allowances: Allowances::none }
    }

    const fn allow(mut self, allowances: fn() -> Allowances) -> Self {
        self.allowances = allowances;
        self
    }

    const fn by_members(mut self) -> Self {
        self.sender = Sender::Members;
        self.unmutated()
    }

    const fn by_submitters(mut self) -> Self {
        self.sender = Sender::Submitters;
        self
    }

    const fn unmutated(mut self) -> Self {
        self.may_be_mutated = false;
        self
    }

    /// A legal line, or one with a wrong argument.
    pub(super) fn line(&self, dice: &mut Dice) -> String {
        let arguments = (self.arguments)(dice);
        if arguments.is_empty() { self.name.to_owned() } else { format!("{} {arguments}", self.name) }
    }

    /// What may differ in its replies.
    pub(super) fn allowances(&self) -> Allowances {
        (self.allowances)()
    }
}

/// What may differ in the replies of a command.
pub(crate) fn allowances_of(command: &str) -> Allowances {
    let entry = ENTRIES.iter().find(|entry| entry.name == command);
    entry.map_or_else(Allowances::none, Entry::allowances)
}

/// Every command that is tried.
pub(super) const ENTRIES: &[Entry] = &[
    // ---- system
    Entry::new("check_status", 4, targets),
    Entry::new("admin_check_status", 1, targets),
    Entry::new("show_scopes", 2, targets),
    Entry::new("report_resources", 3, targets),
    Entry::new("report_version", 3, targets),
    Entry::new("report_env", 2, sites),
    Entry::new("sys_info", 2, targets).allow(memory),
    Entry::new("configure_site_log", 3, |dice| format!("{} {}", targets(dice), log_config(dice))),
    Entry::new("remove_client", 1, |dice| dice.word(&["nosite", "nosite other", "server", "'no site'", "Site-1"]))
        .unmutated(),
    Entry::new("disable_client", 1, unknown_sites).unmutated(),
    Entry::new("enable_client", 2, unknown_sites),
    Entry::new("restart", 2, bad_targets).unmutated(),
    Entry::new("shutdown", 2, bad_targets).unmutated(),
    Entry::new("restart", 1, targets).by_members(),
    Entry::new("shutdown", 1, targets).by_members(),
    Entry::new("dead", 1, |dice| dice.word(&["", "site-1", "site-1 x", "nosite x", "a b c"])),
    // ---- shell
    Entry::new("pwd", 2, |dice| format!("{}{}", shell_target(dice), dice.word(&["", "", "", " extra", " -l"]))),
    Entry::new("ls", 4, ls).allow(listing),
    Entry::new("cat", 3, |dice| file_command(dice, &["", "", "-n", "-b", "-s", "-T", "-nb", "-z", "-E"], "")),
    Entry::new("head", 3, |dice| file_command(dice, LINES, "")),
    Entry::new("tail", 3, |dice| file_command(dice, LINES, "")),
    Entry::new("grep", 4, |dice| file_command(dice, &["", "", "-n", "-i", "-b", "-ni", "-v", "-z"], PATTERN)),
    // ---- studies
    Entry::new("list_studies", 4, |dice| dice.word(&["", "", "", "extra", "-x"])),
    Entry::new("show_study", 4, study),
    Entry::new("register_study", 6, |dice| format!("{} {}", study(dice), study_sites(dice))),
    Entry::new("add_study_site", 5, |dice| format!("{} {}", study(dice), study_sites(dice))),
    Entry::new("remove_study_site", 4, |dice| format!("{} {}", study(dice), study_sites(dice))),
    Entry::new("remove_study", 2, study),
    Entry::new("add_study_user", 4, |dice| format!("{} {}", study(dice), user(dice))),
    Entry::new("remove_study_user", 3, |dice| format!("{} {}", study(dice), user(dice))),
    // ---- jobs
    Entry::new(SUBMISSION, 5, |_| String::new()).unmutated().by_submitters(),
    Entry::new("list_jobs", 6, list_jobs).allow(clones),
    Entry::new("get_job_meta", 4, job).allow(clones),
    Entry::new("abort_job", 3, job),
    Entry::new("delete_job", 3, job),
    Entry::new("clone_job", 2, job),
    Entry::new("list_job", 2, job),
    Entry::new("download_job", 2, unfinished_job),
    Entry::new("download_job_components", 2, unfinished_job),
    Entry::new("get_job_log", 3, |dice| {
        format!(
            "{} {}",
            job(dice),
            dice.word(&["", "server", "all", "@ALL", "site-1", "nosite", "server log.json", "a b c"])
        )
    }),
    Entry::new("configure_job_log", 2, |dice| format!("{} {} {}", job(dice), targets(dice), log_config(dice))),
    Entry::new("show_stats", 2, |dice| format!("{} {}", job(dice), targets(dice))),
    Entry::new("show_errors", 2, |dice| format!("{} {}", job(dice), targets(dice))),
    Entry::new("reset_errors", 2, |dice| format!("{} {}", job(dice), targets(dice))),
    Entry::new("app_command", 2, |dice| format!("{} {}", job(dice), dice.word(&["", "topic", "topic # data", "a b"]))),
    Entry::new("submit_job", 2, |dice| {
        dice.word(&[
            "",
            "folder",
            "folder --submit-token",
            "folder --submit-token a/b",
            "folder --submit-token t",
            "a b",
            "-x",
        ])
    }),
    // ---- sessions and cells
    Entry::new("_check_session", 1, |dice| dice.word(&["", "extra"])),
    Entry::new("_commands", 1, |dice| dice.word(&["", "check_status", "nosuch", "list_jobs nosuch _logout"])),
    Entry::new("peers", 1, |_| String::new()),
    Entry::new("conns", 1, |_| String::new()),
    Entry::new("route", 1, |_| String::new()).unmutated(),
    Entry::new("speed", 1, |dice| dice.word(&["", "server"])).unmutated(),
    Entry::new("show_pool", 1, |dice| dice.word(&["", "server"])),
    Entry::new("url_use", 1, |_| String::new()),
    Entry::new("msg_stats", 1, |_| String::new()),
    Entry::new("list_pools", 1, |_| String::new()),
    Entry::new("process_info", 1, |_| String::new()),
    Entry::new("show_config_vars", 1, |_| String::new()),
    Entry::new("show_comm_config", 1, |_| String::new()),
];

/// Stands for the submission of a job, which is no line: both sides get the same job.
pub(super) const SUBMISSION: &str = "(submission)";

const UNKNOWN_JOB: &str = "11111111-1111-4111-8111-111111111111";
const LINES: &[&str] =
    &["", "", "-n 2", "-n3", "-n -2", "-n 0", "-c 20", "-c -5", "-n x", "-c 1.5", "-n", "-q", "-n 1 -c 5"];
const PATTERN: &str = "pattern";

fn memory() -> Allowances {
    Allowances::none().each_line(
        r"data\[\d+\]\.rows\[[1-9]\d*\]\[1\]",
        r"(\d+(\.\d+)?)?",
        "memory figures of the machine at that moment",
    )
}

fn clones() -> Allowances {
    Allowances::none().any_order(
        r"data\[\d+\]\.data|meta\.jobs\[\d+\]|meta\.job_meta",
        "a real server copies the members of a cloned job's meta in the order of a set, which is another in each process",
    )
}

fn listing() -> Allowances {
    Allowances::none().same_without(
        TEXT,
        r"(?m)^total \d+$|(?:^|\b)(?:\./)?log_fl\.txt\n?|(?-m:( +\d+ \w{3} [ \d]\d +(?:\d\d:\d\d|\d{4}) ))",
        "sizes and dates are those of each side's own files, and log_fl.txt appears with its first error",
    )
}

fn targets(dice: &mut Dice) -> String {
    if dice.once_in(3) {
        return format!("client {}", sites(dice));
    }
    dice.word(&[
        "server",
        "client",
        "all",
        "server",
        "client",
        "all",
        "",
        "foo",
        "SERVER",
        "server site-1",
        "all nosite",
        "client server",
        "server -x",
        "\"client\" 'site-1'",
        "\"client site-1\"",
        "\"server",
        "client {token:site-1}",
    ])
}

/// Targets with which a command is refused before it does anything.
fn bad_targets(dice: &mut Dice) -> String {
    dice.word(&["", "foo", "client nosite", "client site-1 nosite", "Server", "site-1", "--help", "client {job:0}"])
}

fn sites(dice: &mut Dice) -> String {
    dice.word(&[
        "site-1",
        "site-2",
        "site-3",
        "site-1 site-2",
        "site-3 site-1",
        "site-1 site-1",
        "nosite",
        "site-1 nosite",
        "SITE-1",
        "",
        "{token:site-2}",
        "{token:site-3} site-1",
        "'site-1'",
        "admin@nvidia.com",
        "  site-2",
    ])
}

/// Names that no site has: with one that exists, the site would leave or come back in its own time.
fn unknown_sites(dice: &mut Dice) -> String {
    dice.word(&["", "nosite", "nosite other", "server", "'no site'", "nosite nosite", "Site-1"])
}

fn log_config(dice: &mut Dice) -> String {
    dice.word(&[
        "INFO",
        "info",
        "20",
        "0",
        "50",
        "51",
        "-1",
        "reload",
        "concise",
        "bogus",
        "",
        "{}",
        "1.5",
        "INFO extra",
    ])
}

fn shell_target(dice: &mut Dice) -> String {
    dice.word(&[
        "server",
        "server",
        "site-1",
        "site-2",
        "site-3",
        "all",
        "nosite",
        "client",
        "SERVER",
        "",
        "{token:site-1}",
        "'server'",
    ])
}

fn ls(dice: &mut Dice) -> String {
    let option = dice.word(&["", "", "-a", "-l", "-la", "-z", "--all", "-R", "-l -a"]);
    // The roots hold files that appear when something is logged; what is in the folders stays as it is.
    let path = dice.word(&[
        "startup",
        "local",
        "startup",
        "local",
        "nosuch",
        "..",
        "/",
        "lo*",
        "./local",
        "local startup",
        "a;b",
        "-",
    ]);
    format!("{} {option} {path}", shell_target(dice))
}

fn file_command(dice: &mut Dice, options: &[&str], pattern: &str) -> String {
    let option = dice.word(options);
    let pattern = if pattern.is_empty() {
        String::new()
    } else {
        dice.word(&[
            "scheme ",
            "SCHEME ",
            "nothing ",
            "'ssl_.*key' ",
            "'^ *]' ",
            "'' ",
            "\"\\\"scheme\\\": \" ",
            "-- scheme ",
        ])
    };
    let site = shell_target(dice);
    let file = dice.word(&[
        "startup/fed_server.json",
        "startup/fed_client.json",
        "local/authorization.json.default",
        "local/resources.json.default",
        "nosuch.txt",
        "nosuch.txt.1",
        "local",
        "startup/server.key",
        "startup/rootCA.pem",
        "noextension",
        "/etc/hosts.txt",
        "../x.txt",
        "local/../x.txt",
        "a*.txt",
        "'two words.txt'",
        "one.txt two.txt",
        "",
    ]);
    format!("{site} {option} {pattern}{file}")
}

fn study(dice: &mut Dice) -> String {
    dice.word(&["st1", "st1", "st2", "st2", "st3", "nost", "default", "Bad", "a b", "-x", "", "x_y-z", "st1-"])
}

fn study_sites(dice: &mut Dice) -> String {
    dice.word(&[
        "--site-org nvidia:site-1",
        "--site-org nvidia:site-1,site-2",
        "--site-org nvidia:site-2 --site-org acme:site-3",
        "--site-org acme:site-3",
        "--sites site-1",
        "--sites site-2,site-1",
        "--sites site-3",
        "--sites site-3,site-3",
        "--site-org nvidia:site-3",
        "--site-org nvidia",
        "--site-org :site-1",
        "--site-org nvidia:",
        "--site-org nvidia:site-1,site-1",
        "--site-org nvidia:site-1 --site-org nvidia:site-1",
        "--sites nosite",
        "--sites ,",
        "--sites 'a b'",
        "--sites",
        "",
        "--sites site-1 --site-org nvidia:site-1",
        "--sites site-1 --sites site-2",
        "--sites=site-1",
        "--site nvidia:site-1",
        "--site-org 'no org:site-1'",
        "extra",
        "--unknown x",
        "--site-org nvidia:nosite",
        "--sites s!te",
    ])
}

fn user(dice: &mut Dice) -> String {
    dice.word(&[
        "lead@nvidia.com",
        "member@nvidia.com",
        "lead@acme.org",
        "org_admin@acme.org",
        "admin@nvidia.com",
        "nobody@nowhere.org",
        "lead@nvidia.com",
        "",
        "'two words'",
        "a b",
        "-x",
        "org_admin@nvidia.com",
        "member@acme.org",
    ])
}

fn job(dice: &mut Dice) -> String {
    if dice.once_in(2) {
        return format!("{{recent:{}}}", dice.below(4));
    }
    dice.word(&[
        UNKNOWN_JOB,
        "11111111-1111-4111-8111-111111111111 server",
        "abc",
        "",
        "11111111-1111-1111-8111-111111111111",
        "1111111111114111811111111111111a",
        "{recent:1} server",
        "{recent:2} nosite",
        "'{recent:0}'",
        "ABC",
        "{recent:3} client site-1",
    ])
}

/// A finished job would be downloaded, which opens transactions with ids of their own; that is compared elsewhere.
fn unfinished_job(dice: &mut Dice) -> String {
    dice.word(&[
        UNKNOWN_JOB,
        "abc",
        "",
        "11111111-1111-4111-8111-111111111111 server",
        "11111111-1111-4111-8111-111111111111 dest",
    ])
}

fn list_jobs(dice: &mut Dice) -> String {
    let mut words = Vec::new();
    for _ in 0..dice.below(4) {
        words.push(dice.word(&[
            "-d",
            "-r",
            "-u",
            "-m 1",
            "-m 2",
            "-m 0",
            "-m -1",
            "-m x",
            "-n diff",
            "-n DIFF-a",
            "-n nosuch",
            "-n",
            "-h",
            "-x",
            "--submit-token t1",
            "--submit-token nosuch",
            "--submit-token a/b",
            "--submit-token ''",
            "{recent:0}",
            "{recent:1}",
            "zzz",
            "-rd",
            "-m1",
            "--reverse",
        ]));
    }
    words.join(" ")
}

/// True for a list by the first digits of ids: whose begin so is each side's chance.
pub(super) fn is_by_chance(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let is_digits = |word: &str| !word.is_empty() && word.len() < 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let takes_a_word = |word: &str| matches!(word, "-m" | "-n" | "--submit-token");
    let has_digits = words.windows(2).any(|pair| is_digits(pair[1]) && !takes_a_word(pair[0]));
    words.first().is_some_and(|command| command.ends_with("list_jobs")) && has_digits
}

/// Makes a line odd or malformed.
pub(super) fn mutate(line: &str, dice: &mut Dice) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let at = dice.below(words.len());
    match dice.below(14) {
        0 => words[at] = words[at].to_uppercase(),
        1 => drop(words.remove(at)),
        2 => words.insert(at, dice.word(&["", "", "x", "-x", "--", "''", "\"\"", "é", "#"])),
        3 => words[at] = format!("'{}'", words[at]),
        4 => words[at] = format!("\"{}\"", words[at]),
        5 => words[at].push('\''),
        6 => words[at].insert(0, '"'),
        7 => {
            words.push(dice.word(&["# remark", "extra", "extra words here", "\t", "\\", "é", "x".repeat(300).as_str()]))
        }
        8 => {
            let other = dice.below(words.len());
            words.swap(at, other);
        }
        9 => words[at] = words[at].replace('-', "_"),
        10 => return format!("  {}  ", line.replace(' ', "   ")),
        11 => return line.replace(' ', "\t"),
        12 => words[at] = words[at].chars().rev().collect(),
        _ => words[at] = format!("{}\\{}", &words[at], dice.word(&["", "x", "\"", "'"])),
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_draws_lines_that_begin_with_its_name() {
        let mut dice = Dice::new(1);
        for entry in ENTRIES {
            for _ in 0..20 {
                let line = entry.line(&mut dice);
                assert!(line.split(' ').next() == Some(entry.name), "{line}");
            }
        }
    }

    #[test]
    fn every_allowance_has_a_reason() {
        for entry in ENTRIES {
            assert!(entry.allowances().reasons().all(|reason| reason.len() > 10), "{}", entry.name);
        }
    }

    #[test]
    fn nothing_but_a_member_sends_what_would_take_the_federation_down() {
        let mut dice = Dice::new(2);
        for entry in ENTRIES.iter().filter(|entry| matches!(entry.name, "restart" | "shutdown")) {
            assert!(!entry.may_be_mutated);
            for _ in 0..200 {
                let line = entry.line(&mut dice);
                let kind = line.split(' ').nth(1).unwrap_or_default().trim_matches('"');
                let known = line.split_whitespace().skip(2).all(|name| name != "nosite" && name != "{job:0}");
                let is_harmful = matches!(kind, "server" | "all") || (kind == "client" && known);
                assert!(!is_harmful || entry.sender == Sender::Members, "{line}");
            }
        }
    }

    #[test]
    fn a_list_by_some_digits_of_an_id_is_told_from_other_lists() {
        for line in ["list_jobs 0", "list_jobs -m 2 0", "list_jobs '1f'", "list_jobs -r abc"] {
            assert!(is_by_chance(line), "{line}");
        }
        for line in ["list_jobs -m 0", "list_jobs zzz", "list_jobs -n 1", "cat server 1", "list_jobs {recent:0}"] {
            assert!(!is_by_chance(line), "{line}");
        }
    }

    #[test]
    fn mutations_never_panic() {
        let mut dice = Dice::new(3);
        for _ in 0..5_000 {
            let entry = dice.below(ENTRIES.len());
            let line = ENTRIES[entry].line(&mut dice);
            mutate(&mutate(&line, &mut dice), &mut dice);
        }
    }
}
