//! Locks the users who have these email addresses:
//! `cargo run --example lock -- ada@example.org grace@example.org`
//!
//! Reads `CLERK_SECRET_KEY` and, if set, `CLERK_API_URL`.

#![expect(clippy::print_stdout, reason = "the output of this program")]

use bulk_unlock::clerk::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emails: Vec<String> = std::env::args().skip(1).collect();
    let client = Client::builder_from_env()?.build()?;

    // One request finds up to 100 users; addresses of nobody are left out.
    for user in client.users_by_email(&emails).await? {
        let user = client.lock(&user.id.parse()?).await?;
        println!("{} is locked: {:?}", user.id, user.locked);
    }
    Ok(())
}
