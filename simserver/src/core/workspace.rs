//! The workspace of a site, made when something first looks into it.
//!
//! A federation of a thousand sites starts in no time and takes little memory, because nobody looks into the
//! workspaces of most of them.

use std::fmt;
use std::sync::Arc;

use super::VirtualFiles;

/// Makes the files of a workspace.
type Recipe = Arc<dyn Fn() -> VirtualFiles + Send + Sync>;

/// Files below an absolute path, or how to make them.
#[derive(Clone)]
pub struct Workspace {
    path: Arc<str>,
    recipe: Recipe,
    made: Option<VirtualFiles>,
}

impl Workspace {
    /// The workspace at `path`, whose files `recipe` makes when they are needed.
    #[must_use]
    pub fn lazy(path: &str, recipe: impl Fn() -> VirtualFiles + Send + Sync + 'static) -> Self {
        Self { path: path.into(), recipe: Arc::new(recipe), made: None }
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its files, which are made now if they were not before.
    pub fn files_mut(&mut self) -> &mut VirtualFiles {
        self.made.get_or_insert_with(|| (self.recipe)())
    }
}

impl From<VirtualFiles> for Workspace {
    fn from(files: VirtualFiles) -> Self {
        Self { path: files.path().into(), recipe: Arc::new(move || files.clone()), made: None }
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use flare_wire::Moment;

    use super::*;

    #[test]
    fn files_are_made_once_and_only_when_needed() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let mut workspace = Workspace::lazy("/w", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            VirtualFiles::new("/w", Moment::default())
        });
        assert_eq!((workspace.path(), made.load(Ordering::Relaxed)), ("/w", 0));
        workspace.files_mut().insert("a", Vec::new(), 0o644, Moment::default());
        assert!(workspace.files_mut().read("a").is_some());
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
