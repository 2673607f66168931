//! The files of one participant, kept in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use flare_wire::Moment;

/// Longest name of a file, and longest path, as on Linux.
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4095;

/// What a directory takes on ext4, as `ls -l` shows it.
const DIRECTORY_SIZE: u64 = 4096;

/// Files take space in units of this many bytes.
const BLOCK: u64 = 4096;

/// Why a path leads nowhere; shown as the text of the system call's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// `ENOENT`
    NotFound,
    /// `ENOTDIR`
    NotADirectory,
    /// `ENAMETOOLONG`
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "No such file or directory",
            Self::NotADirectory => "Not a directory",
            Self::TooLong => "File name too long",
        })
    }
}

impl std::error::Error for PathError {}

/// One file or directory.
#[derive(Debug, Clone)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// When the content was changed last.
    pub modified: Moment,
    /// When it was read last; reading does not change it here.
    pub accessed: Moment,
    /// File or directory.
    pub kind: NodeKind,
}

/// Content of a [`Node`].
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// A file with its bytes, which participants can share.
    File(Arc<Vec<u8>>),
    /// A directory with its entries, in the order in which `ls` prints names in a C locale.
    Directory(BTreeMap<String, Node>),
}

impl Node {
    fn directory(modified: Moment) -> Self {
        Self { mode: 0o755, modified, accessed: modified, kind: NodeKind::Directory(BTreeMap::new()) }
    }

    /// The entries of a directory; `None` for a file.
    #[must_use]
    pub fn entries(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.kind {
            NodeKind::Directory(entries) => Some(entries),
            NodeKind::File(_) => None,
        }
    }

    /// Size in bytes as `stat` gives it.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.kind {
            NodeKind::File(bytes) => bytes.len() as u64,
            NodeKind::Directory(_) => DIRECTORY_SIZE,
        }
    }

    /// Space it takes on the disk, in KiB.
    #[must_use]
    pub fn kibibytes(&self) -> u64 {
        self.size().div_ceil(BLOCK) * (BLOCK / 1024)
    }

    /// Number of hard links: a directory has one per subdirectory beside its own two.
    #[must_use]
    pub fn links(&self) -> u64 {
        match &self.kind {
            NodeKind::File(_) => 1,
            NodeKind::Directory(entries) => {
                2 + entries.values().filter(|entry| entry.entries().is_some()).count() as u64
            }
        }
    }
}

/// The workspace of the server or of a site: a tree of files below one absolute path.
///
/// ```
/// use flare_simserver::core::VirtualFiles;
/// use flare_wire::Moment;
///
/// let mut files = VirtualFiles::new("/srv/prod_00/site-1", Moment::default());
/// files.insert("startup/fed_client.json", b"{}".to_vec(), 0o644, Moment::default());
/// assert_eq!(files.read("startup/fed_client.json"), Some(&b"{}"[..]));
/// ```
#[derive(Debug, Clone)]
pub struct VirtualFiles {
    path: Arc<str>,
    owner: Arc<str>,
    group: Arc<str>,
    /// Stands for the directory above, which only `ls -a` shows.
    parent: Node,
    parent_links: u64,
    root: Node,
}

impl VirtualFiles {
    /// An empty workspace at the absolute path `path`, which was created at `created`.
    #[must_use]
    pub fn new(path: &str, created: Moment) -> Self {
        Self {
            path: path.into(),
            owner: "root".into(),
            group: "root".into(),
            parent: Node::directory(created),
            parent_links: 3,
            root: Node::directory(created),
        }
    }

    /// Sets who owns the files; `root` otherwise.
    pub fn set_owner(&mut self, owner: &str, group: &str) {
        self.owner = owner.into();
        self.group = group.into();
    }

    /// Describes the directory above the workspace: its number of links, which is two more than the number of
    /// participants beside which this one lies, and its age.
    pub fn set_parent(&mut self, links: u64, modified: Moment, accessed: Moment) {
        self.parent_links = links;
        self.parent.modified = modified;
        self.parent.accessed = accessed;
    }

    /// The absolute path of the workspace.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Name of the owner of everything.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Name of the group of everything.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The workspace directory itself.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// The directory above the workspace, and its number of links.
    #[must_use]
    pub const fn parent(&self) -> (&Node, u64) {
        (&self.parent, self.parent_links)
    }

    /// Puts a file, replacing one that is there. Directories on the way are created; a file on the way makes room.
    pub fn insert(&mut self, path: &str, content: impl Into<Arc<Vec<u8>>>, mode: u32, modified: Moment) {
        let kind = NodeKind::File(content.into());
        self.put(path, Node { mode, modified, accessed: modified, kind });
    }

    /// Creates a directory, unless it is there.
    pub fn insert_directory(&mut self, path: &str, mode: u32, modified: Moment) {
        if self.node(path).is_err() {
            self.put(path, Node { mode, ..Node::directory(modified) });
        }
    }

    /// Sets when a file or directory was changed and read.
    ///
    /// # Errors
    /// [`PathError`] when there is none.
    pub fn set_times(&mut self, path: &str, modified: Moment, accessed: Moment) -> Result<(), PathError> {
        self.node(path)?;
        let mut node = &mut self.root;
        for name in names(path) {
            let NodeKind::Directory(entries) = &mut node.kind else { return Err(PathError::NotADirectory) };
            node = entries.get_mut(name).ok_or(PathError::NotFound)?;
        }
        node.modified = modified;
        node.accessed = accessed;
        Ok(())
    }

    /// Appends to a file, which is created when it is not there. When it grows beyond `limit`, its older half goes.
    pub fn append(&mut self, path: &str, text: &str, now: Moment, limit: usize) {
        if self.read(path).is_none() {
            self.insert(path, Vec::new(), 0o644, now);
        }
        let mut node = &mut self.root;
        for name in names(path) {
            let NodeKind::Directory(entries) = &mut node.kind else { return };
            let Some(next) = entries.get_mut(name) else { return };
            node = next;
        }
        node.modified = now;
        let NodeKind::File(bytes) = &mut node.kind else { return };
        let bytes = Arc::make_mut(bytes);
        bytes.extend_from_slice(text.as_bytes());
        if bytes.len() > limit {
            let middle = bytes.len() / 2;
            let cut = bytes[middle..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| middle + at + 1);
            bytes.drain(..cut);
        }
    }

    /// The bytes of a file; `None` when there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        match &self.node(path).ok()?.kind {
            NodeKind::File(bytes) => Some(bytes),
            NodeKind::Directory(_) => None,
        }
    }

    /// What `path`, relative to the workspace and without `..`, leads to.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn node(&self, path: &str) -> Result<&Node, PathError> {
        if path.is_empty() {
            return Err(PathError::NotFound);
        }
        if path.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        let mut node = &self.root;
        for name in path.split('/') {
            let entries = node.entries().ok_or(PathError::NotADirectory)?;
            if name.is_empty() || name == "." {
                continue;
            }
            if name.len() > MAX_NAME {
                return Err(PathError::TooLong);
            }
            node = entries.get(name).ok_or(PathError::NotFound)?;
        }
        Ok(node)
    }

    fn put(&mut self, path: &str, node: Node) {
        let modified = node.modified;
        let mut directory = &mut self.root;
        let mut rest = names(path).peekable();
        while let Some(name) = rest.next() {
            if let NodeKind::File(_) = directory.kind {
                *directory = Node::directory(modified);
            }
            let NodeKind::Directory(entries) = &mut directory.kind else { return };
            if rest.peek().is_none() {
                if entries.insert(name.to_owned(), node).is_none() {
                    directory.modified = directory.modified.max(modified);
                }
                return;
            }
            if !entries.contains_key(name) {
                directory.modified = directory.modified.max(modified);
            }
            directory = entries.entry(name.to_owned()).or_insert_with(|| Node::directory(modified));
        }
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> VirtualFiles {
        let mut files = VirtualFiles::new("/w", Moment::default());
        files.insert("a/b.txt", b"text".to_vec(), 0o644, Moment::default());
        files
    }

    #[test]
    fn paths_lead_where_the_kernel_leads_them() {
        let files = files();
        for path in ["a/b.txt", "./a//b.txt", "a/./b.txt"] {
            assert!(files.node(path).is_ok(), "{path}");
        }
        assert_eq!(files.node("a/c").err(), Some(PathError::NotFound));
        assert_eq!(files.node("a/b.txt/").err(), Some(PathError::NotADirectory));
        assert_eq!(files.node("a/b.txt/c").err(), Some(PathError::NotADirectory));
        assert_eq!(files.node(&"x".repeat(256)).err(), Some(PathError::TooLong));
        assert_eq!(files.node(&"x/".repeat(2048)).err(), Some(PathError::TooLong));
        assert_eq!(files.node("").err(), Some(PathError::NotFound));
    }

    #[test]
    fn shared_content_is_copied_when_one_owner_appends() {
        let original = files();
        let mut copy = original.clone();
        copy.append("a/b.txt", "+", Moment::default(), 100);
        assert_eq!((original.read("a/b.txt"), copy.read("a/b.txt")), (Some(&b"text"[..]), Some(&b"text+"[..])));
    }

    #[test]
    fn a_log_that_grows_too_long_loses_its_older_half_at_a_line_end() {
        let mut files = files();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            files.append("log.txt", line, Moment::default(), 12);
        }
        assert_eq!(files.read("log.txt"), Some(&b"three\nfour\n"[..]));
    }
}
