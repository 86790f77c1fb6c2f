//! The one door to Clerk's API: one way out, one way in. No other module knows of HTTP requests.
//!
//! What comes back is a [`Reply`](crate::model::Reply) that nobody has judged yet. Nothing here
//! waits for a turn, retries or follows a redirect: a call is one request, or none when no
//! connection could be made.
//!
//! For programs that want what `clerkClient.users.unlockUser(userId)` is in JavaScript:
//!
//! ```no_run
//! use bulk_unlock::clerk::{ApiAddress, Client, ClientConfig, SecretKey};
//!
//! # async fn unlock() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SecretKey::parse(&std::env::var("CLERK_SECRET_KEY")?)?;
//! let client = Client::new(ClientConfig::new(ApiAddress::default(), key))?;
//!
//! let user = client.unlock_user(&"user_2NNEqL2nrIRdJ194ndJqAHwEfxC".parse()?).await?;
//! println!("{} is locked: {:?}", user.id, user.locked);
//! # Ok(())
//! # }
//! ```

mod address;
mod api;
mod client;
mod config;
mod error;
mod fault;
mod key;
mod request;
pub mod retry_after;
mod tls;

#[cfg(test)]
mod test_server;

pub use address::{AddressError, ApiAddress};
pub use api::{Api, CreatedAt, PageRequest};
pub use client::Client;
pub use config::{ClientConfig, ClientError};
pub use error::{Error, Untrusted};
pub use key::{KeyError, KeyFile, KeyFileError, KeyKind, SecretKey};
pub use request::{MAX_LOOK_UP, MAX_PAGE, n_that_fit};
