//! Recordings of shell commands: the files are made from what the recordings show of them.

use std::time::Duration;

use flare_fixtures::{RecordedReply, reply};
use flare_simserver::core::{Sim, VirtualFiles};
use flare_wire::Moment;
use flare_wire::hci::{Item, Reply};
use flare_wire::is_uuid4;

use crate::federation::{Federation, PROD, config};
use crate::normal::moment;

/// Runs the command on files like those of the recording.
pub(crate) fn run(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let now = federation.now;
    let disabled = recorded.state.contains("site-3 is disabled");
    let sites: &[&str] = if disabled { &["site-1", "site-2"] } else { &["site-1", "site-2", "site-3"] };
    let mut config = config(sites, now - Duration::from_secs(3600));
    let (target, files) = files(recorded, now);
    match config.sites.iter_mut().find(|site| site.name == target) {
        Some(site) => site.workspace = files.into(),
        None => config.server.files = files,
    }
    federation.sim = Sim::new(config, flare_wire::Randomness::from_number(8), now - Duration::from_secs(3600)).unwrap();
    let token = federation.login(&recorded.user, &recorded.study);
    // The files at the moment before the command, without what a server writes at its start.
    let (target, files) = self::files(recorded, now);
    match target {
        "server" => *federation.sim.files_mut() = files,
        site => match federation.sim.site_files_mut(site) {
            Some(of_site) => *of_site = files,
            None => assert!(disabled, "{site} is there"),
        },
    }
    let mut reply = federation.send(recorded.command.as_deref().unwrap(), &token);
    own_line(&mut reply, recorded, now);
    if matches!(recorded.name.as_str(), "ls.lat" | "ls.combined_la") {
        total(&mut reply, recorded);
    }
    reply
}

/// Files that are being written to had some blocks more on that machine than their sizes need.
fn total(reply: &mut Reply, recorded: &RecordedReply) {
    let first_line = |text: &str| text.lines().next().unwrap().to_owned();
    let blocks = |line: &str| line.strip_prefix("total ").unwrap().parse::<u64>().unwrap();
    let expected = first_line(shown(recorded));
    let Some(Item::String(text)) = reply.data.first_mut() else { panic!("no text: {reply:?}") };
    let actual = first_line(text);
    assert!((0..=32).contains(&(blocks(&expected) - blocks(&actual))), "{expected} {actual}");
    *text = text.replace(&actual, &expected);
}

/// Takes the id and the time of the command's own line in the audit log from the recording, after a look at them.
fn own_line(reply: &mut Reply, recorded: &RecordedReply, now: Moment) {
    let own = format!("[A:{}]", recorded.command.as_deref().unwrap());
    let Some(expected) = shown(recorded).lines().last().filter(|line| line.ends_with(&own)).map(str::to_owned) else {
        return;
    };
    let Some(Item::String(text)) = reply.data.first_mut() else { panic!("no text: {reply:?}") };
    let actual = text.lines().last().unwrap_or_default().to_owned();
    let field = |line: &str, name: &str| {
        let start = line.find(&format!("[{name}:")).unwrap() + name.len() + 2;
        line[start..].split(']').next().unwrap().to_owned()
    };
    assert!(is_uuid4(&field(&actual, "E")), "{actual}");
    let written = moment(&field(&expected, "T"));
    assert!(written.since(now) < Duration::from_secs(1) && now.since(written) < Duration::from_secs(1));
    let replaced = actual.replace(&field(&actual, "E"), &field(&expected, "E"));
    let replaced = replaced.replace(&field(&actual, "T"), &field(&expected, "T"));
    *text = text.replace(&actual, &replaced);
}

fn shown(recorded: &RecordedReply) -> &str {
    recorded.reply["data"][0]["data"].as_str().unwrap_or_default()
}

/// The workspace that the command is for.
fn files(recorded: &RecordedReply, now: Moment) -> (&'static str, VirtualFiles) {
    let line = recorded.command.as_deref().unwrap();
    let target = match line.split(' ').nth(1) {
        Some("site-1") => "site-1",
        Some("site-3") => "site-3",
        _ => "server",
    };
    let mut files = VirtualFiles::new(&format!("{PROD}/{target}"), now);
    let shown = shown(recorded);
    match recorded.name.as_str() {
        "ls.lat" | "ls.combined_la" => from_listing(&mut files, shown, "", line),
        "ls.l_local" | "ls.R" => {
            from_listing(&mut files, reply("ls.l_local").reply["data"][0]["data"].as_str().unwrap(), "local/", line);
        }
        "ls.a" => from_names(&mut files, shown, "startup/", now),
        "ls.server" | "ls.site-1" | "ls.site-3" => from_names(&mut files, shown, "", now),
        "cat.ok" | "cat.n" => {
            let text = reply("cat.ok").reply["data"][0]["data"].as_str().unwrap();
            files.insert("startup/fed_server.json", text.as_bytes().to_vec(), 0o644, now);
        }
        "cat.site" | "cat.site_other_org_pa" => {
            files.insert("startup/fed_client.json", shown.as_bytes().to_vec(), 0o644, now);
        }
        "head.ok" | "head.n3" | "head.n_attached" | "head.c20" => {
            let text = reply("head.ok").reply["data"][0]["data"].as_str().unwrap();
            files.insert("audit.log", format!("{text}and more\n").into_bytes(), 0o644, now);
        }
        "tail.ok" | "grep.i" | "grep.quoted" => {
            let text = format!("another line\n{shown}");
            files.insert("log.txt", text.into_bytes(), 0o644, now);
        }
        "tail.n2" | "grep.ok" | "grep.n" => audit_log(&mut files, recorded, now),
        _ => {}
    }
    (target, files)
}

/// The audit log whose lines the recording shows, all but the last, which the command writes itself.
fn audit_log(files: &mut VirtualFiles, recorded: &RecordedReply, now: Moment) {
    let lines: Vec<&str> = shown(recorded).lines().collect();
    let mut text = String::new();
    for (position, line) in lines.iter().enumerate() {
        let numbered = line.split_once(':').and_then(|(number, line)| Some((number.parse::<usize>().ok()?, line)));
        if let Some((number, _)) = numbered {
            // Lines between those that were found.
            text.push_str(&"another line\n".repeat(number - 1 - text.lines().count()));
        }
        if position + 1 < lines.len() {
            text.push_str(numbered.map_or(line, |(_, line)| line));
            text.push('\n');
        }
    }
    files.insert("audit.log", text.into_bytes(), 0o644, now);
}

fn from_names(files: &mut VirtualFiles, listing: &str, folder: &str, now: Moment) {
    for name in listing.lines().filter(|name| !matches!(*name, "." | "..")) {
        files.insert(&format!("{folder}{name}"), Vec::new(), 0o644, now);
    }
}

/// Files of the sizes, modes and times that `ls -l` shows.
fn from_listing(files: &mut VirtualFiles, listing: &str, folder: &str, command: &str) {
    let own_line = format!("[E:{}][T:2026-11-22 01:15:02.576471][U:admin@nvidia.com][A:{command}]\n", "x".repeat(36));
    let mut rows = listing.lines().skip(1).enumerate().collect::<Vec<_>>();
    // `..` first, since what is put into a directory changes its time.
    rows.reverse();
    let mut own_time = None;
    for (position, row) in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [mode, links, _, _, size, month, day, time, name] = words[..] else { panic!("{row}") };
        assert_eq!(month, "Nov");
        // Of files of the same minute, the first listed is the youngest.
        let modified = moment(&format!("2026-11-{day} {time}:00")) + Duration::from_millis(1000 - position as u64);
        let path = format!("{folder}{name}");
        match name {
            "." => own_time = Some(modified),
            ".." => files.set_parent(links.parse().unwrap(), modified, modified),
            _ if mode.starts_with('d') => {
                files.insert_directory(&path, bits(mode), modified);
                for number in 2..links.parse::<usize>().unwrap() {
                    files.insert_directory(&format!("{path}/{number}"), 0o755, modified);
                }
                files.set_times(&path, modified, modified).unwrap();
            }
            _ => {
                let written = if name == "audit.log" { own_line.len() } else { 0 };
                let size = size.parse::<usize>().unwrap() - written;
                files.insert(&path, vec![b'x'; size], bits(mode), modified);
            }
        }
    }
    if let Some(modified) = own_time {
        files.set_times(".", modified, modified).unwrap();
    }
}

fn bits(mode: &str) -> u32 {
    mode[1..].chars().fold(0, |bits, letter| bits << 1 | u32::from(letter != '-'))
}
