//! The one door to Clerk's API: one way out, one way in. No other module knows of HTTP requests.

mod address;
mod api;
mod key;
mod request;
pub mod retry_after;

pub use address::{AddressError, ApiAddress};
pub use api::{Api, CreatedAt, PageRequest};
pub use key::{KeyError, KeyFile, KeyFileError, KeyKind, SecretKey};
pub use request::{MAX_LOOK_UP, MAX_PAGE, n_that_fit};
