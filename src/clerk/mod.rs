//! A typed client of Clerk's Backend API: it locks, unlocks, finds and counts users.
//!
//! Each call is one request. The client does not pace, retry or follow redirects, and has no side
//! effects on the process: no global state, no logger, no TLS provider. Its futures are `Send` and
//! need a Tokio runtime. Responses, errors and `Debug` output do not contain the secret key.
//!
//! ```no_run
//! use bulk_unlock::clerk::Client;
//!
//! # async fn unlock() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder_from_env()?.build()?;
//!
//! for user in client.users_by_email(&["ada@example.org"]).await? {
//!     let user = client.unlock(&user.id.parse()?).await?;
//!     println!("{} is locked: {:?}", user.id, user.locked);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `samples/library` in the repository contains three programs that use the client.

mod address;
pub(crate) mod body;
mod builder;
mod client;
mod connections;
mod key;
mod proxy;
#[cfg_attr(
    not(feature = "sandbox"),
    expect(
        unreachable_pub,
        reason = "`model` re-exports them to the public modules of `internals`"
    )
)]
pub(crate) mod reply;
pub(crate) mod request;
mod user;
mod user_id;

#[cfg(test)]
mod test_server;

pub use address::{AddressError, ApiAddress};
pub use body::ApiError;
pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
#[cfg(feature = "cli")]
pub(crate) use client::probe::{Probe, TlsVersion};
pub use key::{KeyError, KeyFile, KeyFileError, KeyKind, SecretKey};
pub use proxy::ProxyError;
pub use reply::{Error, Fault, parse_retry_after};
pub use request::{MAX_LOOK_UP, MAX_PAGE, PageRequest, TimeRange, UserFilter};
pub use user::{
    EmailAddress, ExternalAccount, IdentificationLink, Passkey, PhoneNumber, User, UserSnapshot,
    Verification, Web3Wallet,
};
pub use user_id::{InvalidUserId, UserId};
