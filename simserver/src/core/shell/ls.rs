//! `ls` with `-a`, `-l`, `-t`, `-S`, `-R`, `-u`, into a pipe: one name per line, in the order of their bytes.

use std::fmt::Write as _;

use super::options::Options;
use super::{NotModelled, Place};
use crate::core::LocalTime;
use crate::core::files::{Node, NodeKind};
use flare_wire::Moment;

pub(super) fn run(arguments: &[String], place: Place<'_>) -> Result<Vec<u8>, NotModelled> {
    // The check of names in front lets a line end at the end pass, and a complaint about such a name quotes it.
    if arguments.iter().any(|word| word.contains('\n')) {
        return Err(NotModelled("ls with a line end in a name"));
    }
    // `-1` looks like a negative number to the parser in front, and gets through.
    let options = match Options::parse(arguments, "altSRu1", "") {
        Ok(options) => options,
        Err(invalid) => return Ok(invalid.complaint("ls", "")),
    };
    let long = options.has('l');
    let by_access = options.has('u');
    let order = match options.given.iter().rev().find(|(letter, _)| matches!(*letter, 't' | 'S')) {
        Some(('S', _)) => Order::Size,
        Some(_) => Order::Time,
        None if by_access && !long => Order::Time,
        None => Order::Name,
    };
    let mut listing = Listing {
        place,
        long,
        all: options.has('a'),
        recursive: options.has('R'),
        by_access,
        order,
        headed: options.has('R') || options.operands.len() > 1,
        out: String::new(),
    };
    let named: Vec<&str> = options.operands.iter().map(String::as_str).collect();
    listing.operands(if named.is_empty() { &["."] } else { &named });
    Ok(listing.out.into_bytes())
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Name,
    Size,
    Time,
}

/// A name and what it stands for.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a str,
    node: &'a Node,
    links: u64,
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, node: &'a Node) -> Self {
        Self { name, node, links: node.links() }
    }
}

struct Listing<'a> {
    place: Place<'a>,
    long: bool,
    all: bool,
    recursive: bool,
    by_access: bool,
    order: Order,
    /// Directories are listed under their names.
    headed: bool,
    out: String,
}

impl<'a> Listing<'a> {
    fn operands(&mut self, operands: &[&'a str]) {
        let mut files = Vec::new();
        let mut directories = Vec::new();
        for operand in operands {
            match self.place.files.node(operand) {
                Err(error) => {
                    let _ = writeln!(self.out, "ls: cannot access '{operand}': {error}");
                }
                Ok(node) if node.entries().is_some() => directories.push(Entry::new(operand, node)),
                Ok(node) => files.push(Entry::new(operand, node)),
            }
        }
        self.sort(&mut files);
        self.sort(&mut directories);
        self.rows(&files);
        for directory in directories {
            self.directory(directory.name.to_owned(), directory.node, self.above(directory.name));
        }
    }

    /// The directory above the one that `path` names, and its number of links.
    fn above(&self, path: &str) -> (&'a Node, u64) {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let Some((_, above)) = names.split_last() else { return self.place.files.parent() };
        let above = if above.is_empty() { ".".to_owned() } else { above.join("/") };
        let node = self.place.files.node(&above).unwrap_or_else(|_| self.place.files.root());
        (node, node.links())
    }

    fn directory(&mut self, path: String, node: &'a Node, above: (&'a Node, u64)) {
        // Depth first, the directories of one level in their order: a stack that holds them reversed.
        let mut waiting = vec![(path, node, above)];
        while let Some((path, node, above)) = waiting.pop() {
            if self.headed {
                if !self.out.is_empty() {
                    self.out.push('\n');
                }
                let _ = writeln!(self.out, "{path}:");
            }
            let entries = self.entries(node, above);
            if self.long {
                let total: u64 = entries.iter().map(|entry| entry.node.kibibytes()).sum();
                let _ = writeln!(self.out, "total {total}");
            }
            self.rows(&entries);
            if self.recursive {
                let below = entries
                    .iter()
                    .filter(|entry| entry.node.entries().is_some() && entry.name != "." && entry.name != "..");
                for entry in below.rev() {
                    let below = format!("{}/{}", path.trim_end_matches('/'), entry.name);
                    waiting.push((below, entry.node, (node, node.links())));
                }
            }
        }
    }

    fn entries(&self, node: &'a Node, above: (&'a Node, u64)) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        if self.all {
            entries.push(Entry::new(".", node));
            entries.push(Entry { name: "..", node: above.0, links: above.1 });
        }
        let named = node.entries().into_iter().flatten();
        entries.extend(
            named.filter(|(name, _)| self.all || !name.starts_with('.')).map(|(name, node)| Entry::new(name, node)),
        );
        self.sort(&mut entries);
        entries
    }

    fn sort(&self, entries: &mut [Entry<'_>]) {
        entries.sort_by(|left, right| {
            let by_value = match self.order {
                Order::Name => std::cmp::Ordering::Equal,
                Order::Size => right.node.size().cmp(&left.node.size()),
                Order::Time => self.time(right.node).cmp(&self.time(left.node)),
            };
            by_value.then_with(|| left.name.cmp(right.name))
        });
    }

    const fn time(&self, node: &Node) -> Moment {
        if self.by_access { node.accessed } else { node.modified }
    }

    fn rows(&mut self, entries: &[Entry<'_>]) {
        if !self.long {
            for entry in entries {
                let _ = writeln!(self.out, "{}", entry.name);
            }
            return;
        }
        let width = |number: fn(&Entry<'_>) -> u64| {
            entries.iter().map(|entry| number(entry).to_string().len()).max().unwrap_or_default()
        };
        let links_width = width(|entry| entry.links);
        let size_width = width(|entry| entry.node.size());
        let Place { files, clock, now } = self.place;
        for entry in entries {
            let _ = writeln!(
                self.out,
                "{} {:>links_width$} {} {} {:>size_width$} {} {}",
                mode(entry.node),
                entry.links,
                files.owner(),
                files.group(),
                entry.node.size(),
                LocalTime::listing(&clock, self.time(entry.node), now),
                entry.name,
            );
        }
    }
}

/// `drwxr-xr-x`.
fn mode(node: &Node) -> String {
    let mut text = String::from(match node.kind {
        NodeKind::Directory(_) => 'd',
        NodeKind::File(_) => '-',
    });
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if (node.mode >> shift) & bit != 0 { letter } else { '-' });
        }
    }
    text
}
