//! Keys and certificates with the profile of real provisioning.
//!
//! A project has one root authority ([`Authority`]) that issues the certificates of the server, the sites and the
//! admins directly. Extension by extension they look like those of nvflare's `CertBuilder`
//! (`reference/startup-kits.md` section 4):
//!
//! | | root | leaf |
//! |---|---|---|
//! | subject | `CN` | `CN`, `O`, for admins the role in `unstructuredName` |
//! | subject and authority key identifier | SHA-1 of the key | the same |
//! | basic constraints, key usage | critical | absent |
//! | extended key usage | absent | absent |
//! | subject alternative name | `DNS:<project>` | the server's hosts, or `DNS:<CN>` |
//!
//! - `key` — [`KeyPair`], one RSA key
//! - `source` — [`KeySource`]: where keys come from, because making them is slow
//! - `authority` — [`Authority`]: issuing certificates
//! - `profile` — what goes into them

mod authority;
mod error;
mod key;
mod profile;
mod source;

pub use authority::{Authority, Identity};
pub use error::PkiError;
pub use key::KeyPair;
pub use profile::{Subject, Validity};
pub use source::{KeyPool, KeyRequest, KeySource};
