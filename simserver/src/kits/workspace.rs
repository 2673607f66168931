//! Where startup kits are written.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use flare_wire::{Moment, Randomness};

use super::kit::make_directory;
use super::{Credentials, KitError, Participant, SiteKeys};
use crate::ambient::{self, Clock};
use crate::pki::KeySource;
use crate::project::Project;

/// Provisioning numbers its runs with two digits.
const MAX_PROD: u32 = 99;

/// The directory of a project in a provisioning workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    directory: PathBuf,
}

impl Workspace {
    /// The directory of `project` in `workspace`. Nothing is created yet.
    #[must_use]
    pub fn new(workspace: &Path, project: &Project) -> Self {
        // Paths of kits are handed to other programs, which run elsewhere.
        let workspace = std::path::absolute(workspace).unwrap_or_else(|_| workspace.to_owned());
        Self { directory: workspace.join(project.name()) }
    }

    /// Keeps other servers from serving from this workspace, as long as the result is there: each would replace
    /// the port in the kits of the other.
    ///
    /// # Errors
    /// [`KitError::InUse`], or when the workspace cannot be written.
    pub fn reserve(&self) -> Result<Reservation, KitError> {
        let path = self.directory.join("state").join("simserver.lock");
        let state = self.directory.join("state");
        make_directory(&self.directory)?;
        make_directory(&state)?;
        let file = File::create(&path).map_err(KitError::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Reservation { _lock: file }),
            Err(TryLockError::WouldBlock) => Err(KitError::InUse(self.directory.clone())),
            Err(TryLockError::Error(source)) => Err(KitError::io("lock", &path)(source)),
        }
    }

    /// The credentials of an earlier run, or new ones.
    ///
    /// # Errors
    /// When the earlier ones cannot be read, or new ones cannot be made.
    pub fn credentials(
        &self,
        project: &Project,
        keys: KeySource,
        site_keys: SiteKeys,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<Credentials, KitError> {
        match Credentials::load(&self.state_file(), keys.clone(), site_keys)? {
            Some(credentials) => Ok(credentials),
            None => Credentials::create(project, keys, site_keys, now, random),
        }
    }

    /// Writes a kit for everybody into a new `prod_NN`, as `nvflare provision` does, and keeps `credentials` for
    /// the next run. Returns the new directory, which holds one kit per participant.
    ///
    /// # Errors
    /// When something cannot be issued or written; then no `prod_NN` appears.
    pub fn provision(
        &self,
        project: &Project,
        credentials: &mut Credentials,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<PathBuf, KitError> {
        let number = self.last_prod()?.map_or(0, |last| last + 1);
        if number > MAX_PROD {
            return Err(KitError::NoProdLeft(self.directory.clone()));
        }
        let unfinished = self.directory.join("wip");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(KitError::io("remove", &unfinished))?;
        }
        self.write_kits(&unfinished, project, credentials, now, random)?;
        let finished = self.prod(number);
        fs::rename(&unfinished, &finished).map_err(KitError::io("create", &finished))?;
        Ok(finished)
    }

    /// Brings the kits of the last `prod_NN` up to date, or makes the first one. Returns that directory.
    ///
    /// A server that has bound its port uses this: kits have to name the port, and users keep their kit paths.
    ///
    /// # Errors
    /// When something cannot be issued or written.
    pub fn refresh(
        &self,
        project: &Project,
        credentials: &mut Credentials,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<PathBuf, KitError> {
        let Some(last) = self.last_prod()? else { return self.provision(project, credentials, now, random) };
        let directory = self.prod(last);
        self.write_kits(&directory, project, credentials, now, random)?;
        Ok(directory)
    }

    fn write_kits(
        &self,
        directory: &Path,
        project: &Project,
        credentials: &mut Credentials,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<(), KitError> {
        let everybody: Vec<_> = Participant::all(project).collect();
        credentials.issue_missing(&everybody, now, random)?;
        let state = self.state_file();
        for part in ["state", "resources"] {
            make_directory(&self.directory.join(part))?;
        }
        // First, so that no kit is ever out whose certificate a later run does not know.
        credentials.save(&state)?;
        for participant in everybody {
            credentials.write_kit(&directory.join(participant.name()), project, participant, now, random)?;
        }
        Ok(())
    }

    fn state_file(&self) -> PathBuf {
        self.directory.join("state").join("cert.json")
    }

    fn prod(&self, number: u32) -> PathBuf {
        self.directory.join(format!("prod_{number:02}"))
    }

    /// The highest number of a `prod_NN` that exists.
    fn last_prod(&self) -> Result<Option<u32>, KitError> {
        if !self.directory.exists() {
            return Ok(None);
        }
        let failed = KitError::io("read", &self.directory);
        let mut last = None;
        for entry in fs::read_dir(&self.directory).map_err(&failed)? {
            let name = entry.map_err(&failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("prod_")?.parse::<u32>().ok());
            last = last.max(number);
        }
        Ok(last)
    }
}

/// A workspace that no other server serves from; see [`Workspace::reserve`].
#[derive(Debug)]
pub struct Reservation {
    /// The system gives the lock back with the file, also when the process is killed.
    _lock: File,
}

/// Provisions `project` into `workspace` as `nvflare provision` does: a kit for everybody in a new `prod_NN`.
/// Every participant gets a key of its own. Returns the new directory.
///
/// # Errors
/// When something cannot be issued or written; then no `prod_NN` appears.
pub fn provision(project: &Project, workspace: &Path, keys: KeySource) -> Result<PathBuf, KitError> {
    let now = Clock::start().now();
    let mut random = ambient::randomness()?;
    let workspace = Workspace::new(workspace, project);
    let mut credentials = workspace.credentials(project, keys, SiteKeys::Own, now, &mut random)?;
    workspace.provision(project, &mut credentials, now, &mut random)
}
