//! Shell commands on the server and on sites.

use flare_client::{ErrorKind, FileName, FolderPath, Session, ShellOptions, Target};
use serde_json::Value;

use super::fails;
use crate::finding::{ensure, ensure_eq};
use crate::raw::randomness;
use crate::{Case, CaseResult, Context, Finding, Home, Need, Who};

/// A file that every server has.
const CONFIGURATION: &str = "startup/fed_server.json";

pub(super) fn cases() -> Vec<Case> {
    let needs = [Need::Admin(Who::PROJECT_ADMIN)];
    let with_site = [Need::Admin(Who::PROJECT_ADMIN), Need::Site(Home::Server)];
    vec![
        Case::new("api.shell.working-directory", "server and sites say where they run", working_directory)
            .exercises(&["get_working_directory", "get_working_directory.target"])
            .checks(&["API-SHELL-001", "SPEC-WORKING-DIRECTORY-001"])
            .needs(with_site),
        Case::new("api.shell.ls", "folders are listed, with several options too", ls)
            .exercises(&["ls_target", "ls_target.target", "ls_target.options", "ls_target.path"])
            .checks(&["API-SHELL-002", "SPEC-LS-TARGET-001", "SPEC-LS-TARGET-002", "SPEC-LS-TARGET-003"])
            .needs(with_site),
        Case::new("api.shell.cat", "a file is given whole", cat)
            .exercises(&["cat_target", "cat_target.target", "cat_target.options", "cat_target.file"])
            .checks(&["API-SHELL-003", "SPEC-CAT-TARGET-001", "SPEC-CAT-TARGET-002"])
            .needs(with_site),
        Case::new("api.shell.head-and-tail", "beginning and end of a file agree with the whole", head_and_tail)
            .exercises(&[
                "head_target",
                "head_target.target",
                "head_target.options",
                "head_target.file",
                "tail_target",
                "tail_target.target",
                "tail_target.options",
                "tail_target.file",
            ])
            .checks(&[
                "API-SHELL-004",
                "API-SHELL-005",
                "SPEC-HEAD-TARGET-001",
                "SPEC-HEAD-TARGET-002",
                "SPEC-TAIL-TARGET-001",
                "SPEC-TAIL-TARGET-002",
            ])
            .needs(needs),
        Case::new("api.shell.grep", "matching lines agree with the whole", grep)
            .exercises(&[
                "grep_target",
                "grep_target.target",
                "grep_target.options",
                "grep_target.pattern",
                "grep_target.file",
            ])
            .checks(&["API-SHELL-006", "SPEC-GREP-TARGET-001", "SPEC-GREP-TARGET-002"])
            .needs(needs),
        Case::new("api.shell.logs", "the logs of server and sites can be read", logs)
            .exercises(&[
                "head_target_log",
                "head_target_log.target",
                "head_target_log.options",
                "tail_target_log",
                "tail_target_log.target",
                "tail_target_log.options",
            ])
            .checks(&[
                "API-SHELL-007",
                "API-SHELL-008",
                "SPEC-HEAD-TARGET-LOG-001",
                "SPEC-HEAD-TARGET-LOG-002",
                "SPEC-TAIL-TARGET-LOG-001",
                "SPEC-TAIL-TARGET-LOG-002",
            ])
            .needs(with_site),
        Case::new("api.shell.program-fails", "what a failing program prints is the result", program_fails)
            .checks(&["API-SHELL-009"])
            .needs(needs),
        Case::new("api.shell.quoting", "a pattern with blanks and quotes arrives as one word", quoting)
            .checks(&["API-SHELL-010"])
            .needs(needs),
        Case::new("api.shell.local-checks", "arguments outside the rules are not sent", local_checks)
            .checks(&["API-SHELL-011"]),
        Case::new("api.shell.unknown-target", "a site that is not connected is an invalid target", unknown_target)
            .checks(&["API-TARGET-001"])
            .needs(needs),
        Case::new("api.shell.server-refuses", "the server's refusal is an error", server_refuses)
            .checks(&["API-AUTHORIZATION-001"])
            .needs([Need::Admin(Who::MEMBER), Need::Admin(Who::OTHER_ORG_ADMIN)]),
        Case::new("api.shell.own-site", "an administrator of another organisation may look at its site", own_site)
            .checks(&["API-SHELL-001"])
            .needs([Need::Admin(Who::OTHER_ORG_ADMIN), Need::Site(Home::Elsewhere)]),
    ]
}

async fn working_directory(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let site = context.site(Home::Server)?;
    let server = session.get_working_directory(&Target::Server).await?;
    let at_site = session.get_working_directory(&Target::site(site)?).await?;
    for text in [&server, &at_site] {
        ensure!(text.starts_with('/') && text.ends_with('\n') && text.lines().count() == 1, "{text:?} is no path");
    }
    ensure!(server != at_site, "server and site run in the same folder {server:?}");
    Ok(())
}

fn words(text: &str) -> Vec<&str> {
    text.lines().collect()
}

async fn ls(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let none = ShellOptions::none();
    let startup = FolderPath::new("startup")?;
    for (target, file) in [(Target::Server, "fed_server.json"), (site(&context)?, "fed_client.json")] {
        let root = session.ls_target(&target, &none, None).await?;
        ensure!(words(&root).contains(&"startup") && words(&root).contains(&"local"), "{target}: {root:?}");
        let inside = session.ls_target(&target, &none, Some(&startup)).await?;
        ensure!(words(&inside).contains(&file), "{target} startup: {inside:?}");
        let all = session.ls_target(&target, &ShellOptions::new("-a")?, Some(&startup)).await?;
        ensure!(words(&all).starts_with(&[".", ".."]), "{target} -a: {all:?}");
        for options in ["-l -a", "-la"] {
            let long = session.ls_target(&target, &ShellOptions::new(options)?, Some(&startup)).await?;
            ensure!(long.starts_with("total "), "{target} {options}: {long:?}");
            ensure_eq!(long.lines().count(), all.lines().count() + 1, "{target} {options}: lines");
        }
    }
    Ok(())
}

fn site(context: &Context) -> CaseResult<Target> {
    Ok(Target::site(context.site(Home::Server)?)?)
}

async fn cat(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let none = ShellOptions::none();
    for (target, file, key) in
        [(Target::Server, CONFIGURATION, "servers"), (site(&context)?, "startup/fed_client.json", "client")]
    {
        let text = session.cat_target(&target, &none, &FileName::new(file)?).await?;
        let value: Value = serde_json::from_str(&text).map_err(|error| Finding::fail(format!("{file}: {error}")))?;
        ensure!(value.get(key).is_some(), "{file} has no {key}");
    }
    let (text, file) = configuration(&session).await?;
    let numbered = session.cat_target(&Target::Server, &ShellOptions::new("-n")?, &file).await?;
    let expected: String = text.lines().zip(1..).map(|(line, number)| format!("{number:6}\t{line}\n")).collect();
    ensure_eq!(numbered.trim_end(), expected.trim_end(), "cat -n");
    Ok(())
}

/// The server's configuration file: its text and its name.
async fn configuration(session: &Session) -> CaseResult<(String, FileName)> {
    let file = FileName::new(CONFIGURATION)?;
    let text = session.cat_target(&Target::Server, &ShellOptions::none(), &file).await?;
    ensure!(text.lines().count() > 3, "{CONFIGURATION} has few lines: {text:?}");
    Ok((text, file))
}

async fn head_and_tail(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let (text, file) = configuration(&session).await?;
    let server = Target::Server;
    let head = session.head_target(&server, &ShellOptions::new("-n 2")?, &file).await?;
    ensure_eq!(words(&head), words(&text)[..2], "head -n 2");
    let tail = session.tail_target(&server, &ShellOptions::new("-n 2")?, &file).await?;
    ensure_eq!(words(&tail), words(&text)[words(&text).len() - 2..], "tail -n 2");
    let bytes = session.head_target(&server, &ShellOptions::new("-c 5")?, &file).await?;
    ensure_eq!(bytes, text[..5], "head -c 5");
    let bytes = session.tail_target(&server, &ShellOptions::new("-c 5")?, &file).await?;
    ensure_eq!(bytes, text[text.len() - 5..], "tail -c 5");
    let rest = session.head_target(&server, &ShellOptions::new("-n -1")?, &file).await?;
    ensure_eq!(words(&rest), words(&text)[..words(&text).len() - 1], "head -n -1");
    let ten = session.head_target(&server, &ShellOptions::none(), &file).await?;
    ensure_eq!(words(&ten), words(&text)[..words(&text).len().min(10)], "head");
    Ok(())
}

async fn grep(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let (text, file) = configuration(&session).await?;
    let matching: Vec<&str> = text.lines().filter(|line| line.contains("ssl_")).collect();
    ensure!(!matching.is_empty(), "{CONFIGURATION} has no ssl_ in it");
    let found = session.grep_target(&Target::Server, &ShellOptions::none(), "ssl_", &file).await?;
    ensure_eq!(words(&found), matching, "grep");
    let found = session.grep_target(&Target::Server, &ShellOptions::new("-i")?, "SSL_", &file).await?;
    ensure_eq!(words(&found), matching, "grep -i");
    let upper: Vec<&str> = text.lines().filter(|line| line.contains("SSL_")).collect();
    let found = session.grep_target(&Target::Server, &ShellOptions::none(), "SSL_", &file).await?;
    ensure_eq!(words(&found), upper, "grep of upper case");
    let numbered: Vec<String> = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.contains("ssl_"))
        .map(|(line, number)| format!("{number}:{line}"))
        .collect();
    let found = session.grep_target(&Target::Server, &ShellOptions::new("-n")?, "ssl_", &file).await?;
    ensure_eq!(words(&found), numbered, "grep -n");
    let found = session.grep_target(&Target::Server, &ShellOptions::none(), "no such text", &file).await?;
    ensure_eq!(found, "", "grep without a match");
    Ok(())
}

async fn logs(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    for target in [Target::Server, site(&context)?] {
        let one = ShellOptions::new("-n 1")?;
        let first = session.head_target_log(&target, &one).await?;
        ensure_eq!(first.lines().count(), 1, "{target}: lines of head -n 1");
        let last = session.tail_target_log(&target, &one).await?;
        ensure_eq!(last.lines().count(), 1, "{target}: lines of tail -n 1");
        let beginning = session.head_target_log(&target, &ShellOptions::none()).await?;
        ensure_eq!(beginning.lines().next(), first.lines().next(), "{target}: first line");
        ensure!(beginning.lines().count() <= 10, "{target}: more than ten lines");
    }
    Ok(())
}

async fn program_fails(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let none = ShellOptions::none();
    let text = session.cat_target(&Target::Server, &none, &FileName::new("nope.txt")?).await?;
    ensure_eq!(text, "cat: nope.txt: No such file or directory\n", "cat");
    let text = session.ls_target(&Target::Server, &none, Some(&FolderPath::new("nosuchdir")?)).await?;
    ensure_eq!(text, "ls: cannot access 'nosuchdir': No such file or directory\n", "ls");
    Ok(())
}

/// Searches the audit log, in which a server writes every command before it runs it: a pattern that arrives whole
/// finds the very command that looks for it.
async fn quoting(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let file = FileName::new("audit.log")?;
    let id = randomness()?.uuid();
    for pattern in [format!("two words {id}"), format!("it's {id}"), format!("{id}; id"), format!("$HOME `{id}`")] {
        let found = session.grep_target(&Target::Server, &ShellOptions::none(), &pattern, &file).await?;
        let own = found.lines().filter(|line| line.contains(&pattern) && line.contains("[A:grep server ")).count();
        ensure_eq!(own, 1, "lines that hold the pattern `{pattern}` in {found:?}");
    }
    Ok(())
}

async fn local_checks(_: Context) -> CaseResult {
    for path in ["/etc", "../site-1", "a/../b", "a b", "a$b", "*"] {
        fails(path, FolderPath::new(path), ErrorKind::InvalidArgument)?;
    }
    for file in ["/etc/hosts.txt", "../log.txt", "startup/server.key", "startup/rootCA.pem", "pid", "a b.txt", ""] {
        fails(file, FileName::new(file), ErrorKind::InvalidArgument)?;
    }
    for file in ["log.txt", "log.txt.1", "startup/fed_server.json", "local/custom/code.py"] {
        FileName::new(file)?;
    }
    for options in ["-a;b", "$(id)", "file"] {
        fails(options, ShellOptions::new(options), ErrorKind::InvalidArgument)?;
    }
    for target in ["", "a b", "-a", "site;id"] {
        fails(target, Target::site(target), ErrorKind::InvalidArgument)?;
    }
    Ok(())
}

async fn unknown_target(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    for name in ["no-such-site-of-the-conformance-suite", "all"] {
        let result = session.get_working_directory(&Target::site(name)?).await;
        let error = fails(name, result, ErrorKind::InvalidTarget)?;
        ensure_eq!(error.server_text(), Some(format!("invalid target: {name}").as_str()), "the server's words");
    }
    Ok(())
}

async fn server_refuses(context: Context) -> CaseResult {
    for who in [Who::MEMBER, Who::OTHER_ORG_ADMIN] {
        let session = context.shared(who).await?;
        let user = &context.kit(who)?.user;
        let result = session.get_working_directory(&Target::Server).await;
        let error = fails(user, result, ErrorKind::NotAuthorized)?;
        let expected = format!("user '{user}' is not authorized for 'pwd'");
        ensure_eq!(error.server_text(), Some(expected.as_str()), "the server's words");
    }
    Ok(())
}

async fn own_site(context: Context) -> CaseResult {
    let session = context.shared(Who::OTHER_ORG_ADMIN).await?;
    let site = Target::site(context.site(Home::Elsewhere)?)?;
    let text = session.get_working_directory(&site).await?;
    ensure!(text.starts_with('/'), "{text:?} is no path");
    Ok(())
}
