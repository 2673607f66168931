//! Commands of scope `sys`.

use super::super::checks::Check;
use super::super::table::Command;
use super::super::{clients, shell, system};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("sys", "cat", "show content of a file", CAT_USAGE).check(Check::Shell(&shell::CAT)).run(shell::run),
    Command::new(
        "sys",
        "configure_site_log",
        "configure logging of a site",
        "configure_site_log server|client <client-name>... config",
    )
    .check(Check::ServerOperationWithConfig)
    .run(clients::configure_site_log),
    Command::new("sys", "dead", "send dead client msg to SJ", "dead <client-name>")
        .hidden()
        .check(Check::ProjectAdmin)
        .run(clients::dead),
    Command::new("sys", "grep", "search for PATTERN in a file.", GREP_USAGE)
        .check(Check::Shell(&shell::GREP))
        .run(shell::run),
    Command::new("sys", "head", "print the first 10 lines of a file", HEAD_USAGE)
        .check(Check::Shell(&shell::HEAD))
        .run(shell::run),
    Command::new("sys", "ls", "list files in work dir", LS_USAGE).check(Check::Shell(&shell::LS)).run(shell::run),
    Command::new("sys", "pwd", "print the name of work directory", PWD_USAGE)
        .check(Check::Shell(&shell::PWD))
        .run(shell::run),
    Command::new("sys", "report_env", "get env info of a client", "report_env <client-name>")
        .check(Check::ClientOperation)
        .run(system::report_env),
    Command::new(
        "sys",
        "report_resources",
        "get the resources info",
        "report_resources server | client <client-name> ...",
    )
    .check(Check::ServerOperation)
    .run(system::report_resources),
    Command::new(
        "sys",
        "report_version",
        "get NVFlare version info",
        "report_version server|client|all <client-name> ...",
    )
    .check(Check::ServerOperation)
    .run(system::report_version),
    Command::new("sys", "sys_info", "get the system info", "sys_info server|client <client-name> ...")
        .check(Check::ServerOperation)
        .run(system::sys_info),
    Command::new("sys", "tail", "print the last 10 lines of a file", TAIL_USAGE)
        .check(Check::Shell(&shell::TAIL))
        .run(shell::run),
];

const CAT_USAGE: &str = "\
cat target [options] fileName
 where target is \"server\" or client name

positional arguments:
  file

options:
  -n    number all output lines
  -b    number nonempty output lines, overrides -n
  -s    suppress repeated empty output lines
  -T    display TAB characters as ^I
";

const GREP_USAGE: &str = "\
grep target [options] PATTERN fileName
 where target is \"server\" or client name

positional arguments:
  pattern
  file

options:
  -n       print line number with output lines
  -i       ignore case distinctions
  -b       print the byte offset with output lines
";

const HEAD_USAGE: &str = "\
head target [options] fileName
 where target is \"server\" or client name

positional arguments:
  file

options:
  -c C  print the first C bytes of each file
  -n N  print the first N lines instead of the first 10
";

const LS_USAGE: &str = "\
ls target [options] [files]
 where target is \"server\" or client name

positional arguments:
  file

options:
  -a
  -l    use a long listing format
  -t    sort by modification time, newest first
  -S    sort by file size, largest first
  -R    list subdirectories recursively
  -u    with -l: show access time, otherwise: sort by access time
";

const PWD_USAGE: &str = "\
pwd target
where target is \"server\" or client name
";

const TAIL_USAGE: &str = "\
tail target [options] fileName
 where target is \"server\" or client name

positional arguments:
  file

options:
  -c C  output the last C bytes
  -n N  output the last N lines
";
