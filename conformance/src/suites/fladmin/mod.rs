//! The guide to the FLAdminAPI, sentence by sentence: our older API on the target.

mod calls;
mod jobs;
mod login;
mod waits;

use flare_client::fladmin::{ApiStatus, FlAdminApi, FlAdminApiResponse};

use crate::finding::ensure_eq;
use crate::{Case, CaseResult, Context, Who};

pub(super) fn cases() -> Vec<Case> {
    [login::cases(), calls::cases(), waits::cases(), jobs::cases()].into_iter().flatten().collect()
}

/// The older API on a session of this administrator.
async fn api(context: &Context, who: Who) -> CaseResult<FlAdminApi> {
    Ok(context.session(who).await?.into())
}

/// The call did what it is for.
fn works(what: &str, response: FlAdminApiResponse) -> CaseResult<FlAdminApiResponse> {
    ensure_eq!(response.status, ApiStatus::Success, "{what}: {response:?}");
    Ok(response)
}

/// The call gave this status, and says why.
fn fails(what: &str, response: &FlAdminApiResponse, status: ApiStatus) -> CaseResult<String> {
    ensure_eq!(response.status, status, "{what}: {response:?}");
    let message = response.message().unwrap_or_default();
    crate::finding::ensure!(!message.is_empty(), "{what} does not say why: {response:?}");
    Ok(message.to_owned())
}
