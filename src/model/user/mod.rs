//! The whole user object, typed: what `clerkClient.users.unlockUser()` gives its callers.

mod lenient;
mod parts;
#[cfg(test)]
mod tests;

pub use parts::{
    EmailAddress, ExternalAccount, IdentificationLink, Passkey, PhoneNumber, Verification,
    Web3Wallet,
};

use serde::Deserialize;
use serde_json::Value;

use lenient::{is_object, lenient, lenient_list};

/// A user as the API answers it, with every documented property under its own name.
///
/// A property that is missing, `null` or of another type than documented is absent here: `None`,
/// empty, `false` or null. Properties that are not documented stand in [`User::json`] alone. Times
/// are Unix milliseconds.
///
/// ```
/// use bulk_unlock::model::User;
///
/// let user = User::from_json(r#"{"id":"user_2abc","locked":false,"password_enabled":true}"#)?;
/// assert_eq!(user.id, "user_2abc");
/// assert_eq!(user.locked, Some(false));
/// assert!(user.password_enabled);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "they are the API's own properties")]
pub struct User {
    /// `user_…`.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The kind of object: `user`.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// The customer's own id for the user; unique in an instance.
    #[serde(deserialize_with = "lenient")]
    pub external_id: Option<String>,
    /// Which of [`User::email_addresses`] is the primary one.
    #[serde(deserialize_with = "lenient")]
    pub primary_email_address_id: Option<String>,
    /// Which of [`User::phone_numbers`] is the primary one.
    #[serde(deserialize_with = "lenient")]
    pub primary_phone_number_id: Option<String>,
    /// Which of [`User::web3_wallets`] is the primary one.
    #[serde(deserialize_with = "lenient")]
    pub primary_web3_wallet_id: Option<String>,
    /// The user name; unique in an instance.
    #[serde(deserialize_with = "lenient")]
    pub username: Option<String>,
    /// The first name.
    #[serde(deserialize_with = "lenient")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(deserialize_with = "lenient")]
    pub last_name: Option<String>,
    /// The language, as a tag such as `en-GB`.
    #[serde(deserialize_with = "lenient")]
    pub locale: Option<String>,
    /// The picture, under its old name.
    #[serde(deserialize_with = "lenient")]
    pub profile_image_url: Option<String>,
    /// The picture; there always is one.
    #[serde(deserialize_with = "lenient")]
    pub image_url: Option<String>,
    /// Whether the picture is the user's own.
    #[serde(deserialize_with = "lenient")]
    pub has_image: bool,
    /// Metadata that everybody may read and only the backend writes.
    #[serde(deserialize_with = "lenient")]
    pub public_metadata: Value,
    /// Metadata that only the backend reads and writes.
    #[serde(deserialize_with = "lenient")]
    pub private_metadata: Value,
    /// Metadata that the user's own browser may write: never to be trusted.
    #[serde(deserialize_with = "lenient")]
    pub unsafe_metadata: Value,
    /// All email addresses.
    #[serde(deserialize_with = "lenient_list")]
    pub email_addresses: Vec<EmailAddress>,
    /// All phone numbers.
    #[serde(deserialize_with = "lenient_list")]
    pub phone_numbers: Vec<PhoneNumber>,
    /// All wallets.
    #[serde(deserialize_with = "lenient_list")]
    pub web3_wallets: Vec<Web3Wallet>,
    /// All passkeys.
    #[serde(deserialize_with = "lenient_list")]
    pub passkeys: Vec<Passkey>,
    /// Has a password.
    #[serde(deserialize_with = "lenient")]
    pub password_enabled: bool,
    /// Signs in with a second factor.
    #[serde(deserialize_with = "lenient")]
    pub two_factor_enabled: bool,
    /// Has an authenticator app.
    #[serde(deserialize_with = "lenient")]
    pub totp_enabled: bool,
    /// Has backup codes.
    #[serde(deserialize_with = "lenient")]
    pub backup_code_enabled: bool,
    /// When a second factor was last turned on; stays when it is turned off.
    #[serde(deserialize_with = "lenient")]
    pub mfa_enabled_at: Option<i64>,
    /// When the second factor was last turned off; stays when it is turned on.
    #[serde(deserialize_with = "lenient")]
    pub mfa_disabled_at: Option<i64>,
    /// When the password was last changed.
    #[serde(deserialize_with = "lenient")]
    pub password_last_updated_at: Option<i64>,
    /// Accounts elsewhere (OAuth).
    #[serde(deserialize_with = "lenient_list")]
    pub external_accounts: Vec<ExternalAccount>,
    /// SAML accounts, as they were sent.
    #[serde(deserialize_with = "lenient_list")]
    pub saml_accounts: Vec<Value>,
    /// Enterprise accounts, as they were sent.
    #[serde(deserialize_with = "lenient_list")]
    pub enterprise_accounts: Vec<Value>,
    /// Memberships in organizations, as they were sent; most answers leave them out.
    #[serde(deserialize_with = "lenient_list")]
    pub organization_memberships: Vec<Value>,
    /// When the user last signed in; `None`: never.
    #[serde(deserialize_with = "lenient")]
    pub last_sign_in_at: Option<i64>,
    /// May not sign in, whatever the lock says; unlocking does not lift it.
    #[serde(deserialize_with = "lenient")]
    pub banned: bool,
    /// May not sign in until the lock ends; `None` in API versions that leave it out.
    #[serde(deserialize_with = "lenient")]
    pub locked: Option<bool>,
    /// Was taken out of service by the directory it came from, and may not sign in.
    #[serde(deserialize_with = "lenient")]
    pub deprovisioned: bool,
    /// Seconds until the lock ends by itself; `None` on a locked user: never.
    #[serde(deserialize_with = "lenient")]
    pub lockout_expires_in_seconds: Option<i64>,
    /// Failed sign-ins left before a lock; `None` where the instance does not lock.
    #[serde(deserialize_with = "lenient")]
    pub verification_attempts_remaining: Option<i64>,
    /// When anything about the user last changed.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
    /// When the user was made.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// May delete the account.
    #[serde(deserialize_with = "lenient")]
    pub delete_self_enabled: bool,
    /// May found organizations.
    #[serde(deserialize_with = "lenient")]
    pub create_organization_enabled: bool,
    /// How many organizations; zero: as many as wanted.
    #[serde(deserialize_with = "lenient")]
    pub create_organizations_limit: Option<i64>,
    /// When the user was last seen, to the day.
    #[serde(deserialize_with = "lenient")]
    pub last_active_at: Option<i64>,
    /// When the legal terms were accepted.
    #[serde(deserialize_with = "lenient")]
    pub legal_accepted_at: Option<i64>,
    /// Is let in from clients that are not yet trusted.
    #[serde(deserialize_with = "lenient")]
    pub bypass_client_trust: bool,
    /// What a SCIM directory says of the user, as it was sent; null where there is none.
    #[serde(deserialize_with = "lenient")]
    pub scim: Value,
    /// The object as the server sent it, to the byte.
    #[serde(skip)]
    pub json: String,
}

impl User {
    /// Reads one user object.
    ///
    /// # Errors
    ///
    /// When the text is not one JSON object.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        if !is_object(json) {
            return Err(serde::de::Error::custom("not an object"));
        }
        let user: Self = serde_json::from_str(json)?;
        Ok(Self { json: json.trim().to_owned(), ..user })
    }

    /// The address that [`User::primary_email_address_id`] names.
    pub fn primary_email_address(&self) -> Option<&EmailAddress> {
        let id = self.primary_email_address_id.as_deref()?;
        self.email_addresses.iter().find(|it| it.id == id)
    }
}
