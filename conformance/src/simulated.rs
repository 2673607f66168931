//! The in-process simulator as a target.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use flare_simserver::pki::{KeyPool, KeySource};
use flare_simserver::project::{Project, ProjectError, Role as SimRole, Scheme};
use flare_simserver::{ClockMode, Mutant, SimServer, SimServerBuilder};
use tempfile::TempDir;

use crate::finding::chain;
use crate::kits::{AdminKit, Kits};
use crate::{CaseResult, Finding, Role};

/// How much faster than real the simulated time passes: a job that runs for a quarter of a minute takes half a second.
const SPEED: f64 = 25.0;

/// The federation that recordings are made with.
const TWO_ORGS: &str = include_str!("../projects/two-orgs.yml");

/// Organisation of the server.
const OWN_ORG: &str = "hospital";
/// The other organisation.
const OTHER_ORG: &str = "clinic";

/// A simulator that runs in this process, and the workspace its kits are in.
#[derive(Debug)]
pub(crate) struct Simulator {
    server: SimServer,
    /// How many times faster than real its time passes.
    speed: f64,
    /// Removed when the server is gone.
    _workspace: TempDir,
}

impl Simulator {
    /// Starts a simulator on a free port: sites of two organisations, administrators of every role in both. Its jobs pass
    /// many times faster than real ones.
    /// A `mutant` is a rule that is broken.
    pub(crate) async fn start(scheme: &str, mutant: Option<Mutant>) -> CaseResult<Self> {
        Self::with_clock(scheme, mutant, ClockMode::Scaled(SPEED), SPEED).await
    }

    /// The same, where time passes as it really does but for [`skip_time`](Self::skip_time).
    pub(crate) async fn start_unhurried(scheme: &str, mutant: Option<Mutant>) -> CaseResult<Self> {
        Self::with_clock(scheme, mutant, ClockMode::Real, 1.0).await
    }

    async fn with_clock(scheme: &str, mutant: Option<Mutant>, clock: ClockMode, speed: f64) -> CaseResult<Self> {
        let change =
            |builder: SimServerBuilder| mutant.into_iter().fold(builder.clock(clock), SimServerBuilder::mutant);
        Self::of(project(), scheme, speed, change).await
    }

    /// A simulator of the federation that recordings are made with.
    pub(crate) async fn of_two_orgs(
        scheme: &str,
        change: impl FnOnce(SimServerBuilder) -> SimServerBuilder,
    ) -> CaseResult<Self> {
        let clocked = |builder: SimServerBuilder| change(builder.clock(ClockMode::Scaled(SPEED)));
        Self::of(Project::from_yaml(TWO_ORGS), scheme, SPEED, clocked).await
    }

    async fn of(
        project: Result<Project, ProjectError>,
        scheme: &str,
        speed: f64,
        change: impl FnOnce(SimServerBuilder) -> SimServerBuilder,
    ) -> CaseResult<Self> {
        let failed =
            |error: &(dyn std::error::Error + 'static)| Finding::harness(format!("simulator: {}", chain(error)));
        let scheme = [Scheme::Http, Scheme::Tcp, Scheme::Grpc].into_iter().find(|known| known.as_str() == scheme);
        let scheme = scheme.ok_or_else(|| Finding::harness("the simulator does not speak this transport"))?;
        let workspace = TempDir::new().map_err(|error| failed(&error))?;
        let project = project.map_err(|error| failed(&error))?.with_scheme(scheme);
        let builder = SimServer::builder().project(project).workspace(workspace.path()).keys(keys());
        let builder = change(builder);
        let server = builder.start().await.map_err(|error| failed(&error))?;
        Ok(Self { server, speed, _workspace: workspace })
    }

    /// The folder that holds one kit per participant.
    pub(crate) fn kits(&self) -> CaseResult<PathBuf> {
        self.server.all_kits().map_err(|error| Finding::harness(format!("simulator: {}", chain(&error))))
    }

    /// The kit of the first administrator with this role.
    pub(crate) fn admin(&self, role: Role) -> CaseResult<AdminKit> {
        let kits = Kits::read(&self.kits()?).map_err(|error| Finding::harness(error.to_string()))?;
        let kit = kits.admins().iter().find(|kit| kit.role == Some(role)).cloned();
        kit.ok_or_else(|| Finding::harness(format!("the simulator has no {role}")))
    }

    /// How long it takes until so much time has passed here.
    pub(crate) fn real_time_of(&self, time: Duration) -> Duration {
        time.div_f64(self.speed)
    }

    /// Waits until the server has been shut down by a command.
    pub(crate) async fn stopped(&self) {
        self.server.stopped().await;
    }

    /// Moves the simulator's time ahead.
    pub(crate) fn skip_time(&self, time: Duration) {
        self.server.skip_time(time);
    }
}

/// The keys of all simulators of this process, root keys included: making them is most of what a simulator costs.
pub(crate) fn keys() -> KeySource {
    static KEYS: LazyLock<KeyPool> = LazyLock::new(KeyPool::new);
    KeySource::Pool(KEYS.clone())
}

/// None of these names occurs in a recording of a real server: what is compared with one shows that names are
/// not part of the comparison.
pub(crate) fn project() -> Result<Project, ProjectError> {
    Project::new("conformance", "server", OWN_ORG)?
        .with_host("localhost")?
        .with_site("ward-a", OWN_ORG)?
        .with_site("ward-b", OWN_ORG)?
        .with_site("practice", OTHER_ORG)?
        .with_admin("chief@hospital.test", OWN_ORG, SimRole::ProjectAdmin)?
        .with_admin("office@hospital.test", OWN_ORG, SimRole::OrgAdmin)?
        .with_admin("lead@hospital.test", OWN_ORG, SimRole::Lead)?
        .with_admin("member@hospital.test", OWN_ORG, SimRole::Member)?
        .with_admin("office@clinic.test", OTHER_ORG, SimRole::OrgAdmin)?
        .with_admin("lead@clinic.test", OTHER_ORG, SimRole::Lead)?
        .with_admin("member@clinic.test", OTHER_ORG, SimRole::Member)
}
