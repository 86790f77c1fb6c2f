//! Unlocks one user: `cargo run --example unlock -- user_2NNEqL2nrIRdJ194ndJqAHwEfxC`
//!
//! Reads `CLERK_SECRET_KEY` and, if set, `CLERK_API_URL`.

#![expect(clippy::print_stdout, reason = "the output of this program")]

use bulk_unlock::clerk::{Client, Error, UserId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id: UserId = std::env::args().nth(1).ok_or("usage: unlock USER_ID")?.parse()?;
    let client = Client::builder_from_env()?.build()?;

    match client.unlock(&id).await {
        Ok(user) => println!("{} is locked: {:?}", user.id, user.locked),
        Err(Error::Api { status: 404, .. }) => println!("{id} does not exist"),
        // Unlocking is idempotent: after a transport error, try again.
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
