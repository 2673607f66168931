//! One conformance case: what it checks, what it needs, and the check itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::manifest::{Level, Manifest};
use crate::{CaseResult, Context, Need, Risk};

/// How long a case may take unless it says otherwise: six times the ten seconds that a real server waits for a
/// site that does not answer (`client-api.md` section 5.3).
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(60);

type Body = Box<dyn Fn(Context) -> Pin<Box<dyn Future<Output = CaseResult> + Send>> + Send + Sync>;

/// A conformance case. It needs nothing from another case and leaves nothing behind.
pub struct Case {
    id: String,
    title: String,
    requirements: Vec<&'static str>,
    needs: Vec<Need>,
    time_limit: Duration,
    waits: Duration,
    risk: Risk,
    changes: &'static str,
    exercises: Vec<&'static str>,
    body: Body,
}

impl Case {
    /// A case that runs `body`, an async function of the context.
    ///
    /// `id` is lower-case words joined by `-` within parts joined by `.`, the first part being the suite.
    pub fn new<F, B>(id: impl Into<String>, title: impl Into<String>, body: B) -> Self
    where
        B: Fn(Context) -> F + Send + Sync + 'static,
        F: Future<Output = CaseResult> + Send + 'static,
    {
        Self {
            id: id.into(),
            title: title.into(),
            requirements: Vec::new(),
            needs: Vec::new(),
            time_limit: DEFAULT_TIME_LIMIT,
            waits: Duration::ZERO,
            risk: Risk::Read,
            changes: "",
            exercises: Vec::new(),
            body: Box::new(move |context| Box::pin(body(context))),
        }
    }

    /// Names the requirements that this case checks.
    #[must_use]
    pub fn checks(mut self, requirements: &[&'static str]) -> Self {
        self.requirements.extend_from_slice(requirements);
        self
    }

    /// Names what the target must have; without it the case is untestable.
    #[must_use]
    pub fn needs(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        self.needs.extend(needs);
        self
    }

    /// Lets the case take longer than [`DEFAULT_TIME_LIMIT`], or shorter.
    #[must_use]
    pub fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Says that the case does nothing but wait for so long: such cases begin first, so that others run meanwhile.
    #[must_use]
    pub(crate) fn waiting(mut self, time: Duration) -> Self {
        self.waits = time;
        self
    }

    /// How long it waits.
    pub(crate) const fn waits(&self) -> Duration {
        self.waits
    }

    /// The id, by which reports and known-failing lists name the case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the case shows, as a sentence.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Ids of the requirements it checks.
    #[must_use]
    pub fn requirements(&self) -> &[&'static str] {
        &self.requirements
    }

    /// What the target must have.
    #[must_use]
    pub fn needed(&self) -> &[Need] {
        &self.needs
    }

    /// Says that it does more than look, and what: on a deployment it runs only where such things are allowed.
    #[must_use]
    pub fn risking(mut self, risk: Risk, changes: &'static str) -> Self {
        self.risk = risk;
        self.changes = changes;
        self.needs.push(Need::Permission(risk));
        self
    }

    /// What it does to the target.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.risk
    }

    /// What it creates and changes on the target, and how that is undone; empty for a case that only looks.
    #[must_use]
    pub fn changes(&self) -> &'static str {
        self.changes
    }

    /// Its level; none when it is in no set.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        Manifest::newest().level(&self.id)
    }

    /// Names the methods of the API document that it calls, and the arguments it gives them: `submit_job` and
    /// `submit_job.submit_token`.
    #[must_use]
    pub fn exercises(mut self, methods: &[&'static str]) -> Self {
        self.exercises.extend_from_slice(methods);
        self
    }

    /// The methods and arguments that it exercises.
    #[must_use]
    pub fn exercised(&self) -> &[&'static str] {
        &self.exercises
    }

    /// How long it may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// Runs the check.
    ///
    /// # Errors
    /// A [`Finding`](crate::Finding) when it did not pass.
    pub fn run(&self, context: Context) -> impl Future<Output = CaseResult> + Send + 'static {
        (self.body)(context)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("id", &self.id).field("requirements", &self.requirements).finish_non_exhaustive()
    }
}
