//! What jobs see of the federation they run in.

use flare_wire::certificate::Certificate;

use super::submitter::Submitter;

/// How a registered site answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reach {
    /// At once.
    #[default]
    Alive,
    /// Never, and the server knows: its connection is gone, while its registration has not expired.
    Gone,
    /// Never, though its connection stands.
    Hanging,
}

/// A registered site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteView {
    /// Its name.
    pub name: String,
    /// How it answers.
    pub reach: Reach,
    /// GPUs that its resource manager gives out.
    pub gpus: u64,
}

impl SiteView {
    /// A site that answers and has no GPUs, like one with the default resource manager on a plain machine.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), reach: Reach::Alive, gpus: 0 }
    }
}

/// A right that an app needs where it is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppRight {
    /// To bring its own code.
    Byoc,
    /// To use a Flower app that is installed there.
    PredeployedFlower,
}

/// The federation, as the core of the server knows it.
pub trait Federation {
    /// The registered sites that are not disabled, in the order of their registration.
    fn sites(&self) -> Vec<SiteView>;

    /// The sites of a study; `None` for a study without a list of its own.
    fn enrolled_sites(&self, study: &str) -> Option<Vec<String>>;

    /// Whether the policy of a participant (`server` or a site) gives an app of this submitter a right.
    fn permits(&self, participant: &str, right: AppRight, submitter: &Submitter) -> bool;

    /// Whether a participant refuses unsigned jobs.
    fn requires_signed_jobs(&self, participant: &str) -> bool;

    /// The roots that certificates of submitters must chain to.
    fn roots(&self) -> &[Certificate];
}
