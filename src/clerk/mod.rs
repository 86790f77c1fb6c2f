//! A typed client for the part of Clerk's Backend API that locks, unlocks, finds and counts users.
//!
//! Each call is one request. The client does not pace, retry or follow redirects, and changes
//! nothing outside itself: no global state, no logger, no TLS provider of the process. Its futures
//! are `Send` and run on a Tokio runtime. The key is hidden in everything that a response repeats of
//! it.
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
//! `samples/library` in the repository holds three programs that use it.

mod address;
pub(crate) mod body;
mod builder;
mod client;
mod connections;
mod error;
mod key;
mod proxy;
#[cfg_attr(
    not(feature = "sandbox"),
    expect(
        unreachable_pub,
        reason = "the program re-exports them as long as its modules are public"
    )
)]
pub(crate) mod reply;
pub(crate) mod request;
pub mod retry_after;
mod tls;
mod user;
mod user_id;
mod user_snapshot;

#[cfg(test)]
mod test_server;

pub use address::{AddressError, ApiAddress};
pub use body::ApiError;
pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
#[cfg(feature = "cli")]
pub(crate) use client::probe::{Probe, TlsVersion};
pub use error::Error;
pub use key::{KeyError, KeyFile, KeyFileError, KeyKind, SecretKey};
pub use proxy::ProxyError;
pub use reply::Fault;
pub use request::{MAX_LOOK_UP, MAX_PAGE, PageRequest, TimeRange, UserFilter};
pub use user::{
    EmailAddress, ExternalAccount, IdentificationLink, Passkey, PhoneNumber, User, Verification,
    Web3Wallet,
};
pub use user_id::{InvalidUserId, UserId};
pub use user_snapshot::UserSnapshot;

/// A text from outside, fit for one line of a terminal: control characters and line separators
/// become spaces.
fn on_one_line(text: &str) -> String {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.replace("\r\n", " ").replace(is_odd, " ")
}
