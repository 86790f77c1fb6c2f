//! The whole user object, typed: what `clerkClient.users.unlockUser()` gives its callers.

/// Placeholder.
#[derive(Clone, Debug)]
pub struct User;
/// Placeholder.
#[derive(Clone, Debug)]
pub struct EmailAddress;
/// Placeholder.
#[derive(Clone, Debug)]
pub struct PhoneNumber;
/// Placeholder.
#[derive(Clone, Debug)]
pub struct Web3Wallet;
/// Placeholder.
#[derive(Clone, Debug)]
pub struct ExternalAccount;
/// Placeholder.
#[derive(Clone, Debug)]
pub struct Verification;
