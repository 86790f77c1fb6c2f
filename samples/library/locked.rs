//! Lists the users who are locked now, out of those created in the last days (by default 7):
//! `cargo run --example locked -- 30`
//!
//! Reads `CLERK_SECRET_KEY` and, if set, `CLERK_API_URL`.

#![expect(clippy::print_stdout, reason = "the output of this program")]

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bulk_unlock::clerk::{Client, UserFilter};
use futures_util::TryStreamExt as _;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n_days: u32 = std::env::args().nth(1).map_or(Ok(7), |text| text.parse())?;
    let client = Client::builder_from_env()?.build()?;

    let first_moment = (SystemTime::now() - DAY * n_days).duration_since(SystemTime::UNIX_EPOCH)?;
    let mut filter = UserFilter::default();
    filter.created_at.after = Some(first_moment.as_millis().try_into()?);
    println!("{} users were created in the last {n_days} days", client.count(&filter).await?);

    // A request for each page of 500 users, made when the stream is polled.
    let mut users = pin!(client.walk(filter));
    while let Some(user) = users.try_next().await? {
        if user.locked == Some(true) {
            println!("{} is locked", user.id);
        }
    }
    Ok(())
}
