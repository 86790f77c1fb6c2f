//! Flags about the key and the address.

use std::path::PathBuf;

use clap::Args;

/// Where the API is and how to be let in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets and addresses")]
pub(in crate::cli) struct ConnectionArgs {
    /// A file that holds the secret key, in place of `CLERK_SECRET_KEY`
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) secret_key_file: Option<PathBuf>,
    /// The API's address, in place of `CLERK_API_URL` [default: Clerk's own]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) api_url: Option<String>,
    /// Take an http: address that is not loopback: the key travels in the clear
    #[arg(long)]
    pub(in crate::cli) allow_http: bool,
    /// Certificates (PEM) of a private authority, trusted beside the system's
    #[arg(long, value_name = "PEM")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The files that are read for it.
    pub(in crate::cli) fn files(&self) -> Vec<PathBuf> {
        self.secret_key_file.iter().chain(&self.ca_file).cloned().collect()
    }
}
