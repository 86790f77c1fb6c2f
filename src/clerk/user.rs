//! The user object with every documented property.

mod parts;
#[cfg(test)]
mod tests;

pub use parts::{
    EmailAddress, ExternalAccount, IdentificationLink, Passkey, PhoneNumber, Verification,
    Web3Wallet,
};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::body::is_object;

/// A user as the API returns it, with every documented property under its own name.
///
/// A property that is missing, `null` or of another type than documented counts as absent: `None`,
/// empty, `false` or null. Undocumented properties are in [`User::json`] only. Times are Unix
/// milliseconds.
///
/// ```
/// use bulk_unlock::clerk::User;
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
    /// The object type: `user`.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// The customer's own id for the user; unique in an instance.
    #[serde(deserialize_with = "lenient")]
    pub external_id: Option<String>,
    /// The `id` of the primary one of [`User::email_addresses`].
    #[serde(deserialize_with = "lenient")]
    pub primary_email_address_id: Option<String>,
    /// The `id` of the primary one of [`User::phone_numbers`].
    #[serde(deserialize_with = "lenient")]
    pub primary_phone_number_id: Option<String>,
    /// The `id` of the primary one of [`User::web3_wallets`].
    #[serde(deserialize_with = "lenient")]
    pub primary_web3_wallet_id: Option<String>,
    /// The username; unique in an instance.
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
    /// The picture, under its deprecated name.
    #[serde(deserialize_with = "lenient")]
    pub profile_image_url: Option<String>,
    /// The picture; Clerk generates one for users without.
    #[serde(deserialize_with = "lenient")]
    pub image_url: Option<String>,
    /// Whether the user uploaded the picture.
    #[serde(deserialize_with = "lenient")]
    pub has_image: bool,
    /// Metadata that clients can read and only the backend can write.
    #[serde(deserialize_with = "lenient")]
    pub public_metadata: Value,
    /// Metadata that only the backend can read and write.
    #[serde(deserialize_with = "lenient")]
    pub private_metadata: Value,
    /// Metadata that the user's browser can write; do not trust it.
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
    /// Has a second factor.
    #[serde(deserialize_with = "lenient")]
    pub two_factor_enabled: bool,
    /// Has an authenticator app.
    #[serde(deserialize_with = "lenient")]
    pub totp_enabled: bool,
    /// Has backup codes.
    #[serde(deserialize_with = "lenient")]
    pub backup_code_enabled: bool,
    /// When a second factor was last turned on; kept after it is turned off.
    #[serde(deserialize_with = "lenient")]
    pub mfa_enabled_at: Option<i64>,
    /// When the second factor was last turned off; kept after it is turned on.
    #[serde(deserialize_with = "lenient")]
    pub mfa_disabled_at: Option<i64>,
    /// When the password was last changed.
    #[serde(deserialize_with = "lenient")]
    pub password_last_updated_at: Option<i64>,
    /// OAuth accounts.
    #[serde(deserialize_with = "lenient_list")]
    pub external_accounts: Vec<ExternalAccount>,
    /// SAML accounts, as sent.
    #[serde(deserialize_with = "lenient_list")]
    pub saml_accounts: Vec<Value>,
    /// Enterprise accounts, as sent.
    #[serde(deserialize_with = "lenient_list")]
    pub enterprise_accounts: Vec<Value>,
    /// Organization memberships, as sent; most responses leave them out.
    #[serde(deserialize_with = "lenient_list")]
    pub organization_memberships: Vec<Value>,
    /// When the user last signed in; `None`: never.
    #[serde(deserialize_with = "lenient")]
    pub last_sign_in_at: Option<i64>,
    /// Cannot sign in, locked or not; unlocking does not lift a ban.
    #[serde(deserialize_with = "lenient")]
    pub banned: bool,
    /// Cannot sign in until the lock ends; `None` where the response does not say.
    #[serde(deserialize_with = "lenient")]
    pub locked: Option<bool>,
    /// Deactivated by the directory that manages it; cannot sign in.
    #[serde(deserialize_with = "lenient")]
    pub deprovisioned: bool,
    /// Seconds until the lock expires; `None` on a locked user: it never does.
    #[serde(deserialize_with = "lenient")]
    pub lockout_expires_in_seconds: Option<i64>,
    /// Failed sign-ins left before a lock; `None` if the instance does not lock users.
    #[serde(deserialize_with = "lenient")]
    pub verification_attempts_remaining: Option<i64>,
    /// When anything about the user last changed.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
    /// When the user was created.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Can delete the account.
    #[serde(deserialize_with = "lenient")]
    pub delete_self_enabled: bool,
    /// Can create organizations.
    #[serde(deserialize_with = "lenient")]
    pub create_organization_enabled: bool,
    /// How many organizations the user can create; zero: no limit.
    #[serde(deserialize_with = "lenient")]
    pub create_organizations_limit: Option<i64>,
    /// When the user was last active, to the day.
    #[serde(deserialize_with = "lenient")]
    pub last_active_at: Option<i64>,
    /// When the legal terms were accepted.
    #[serde(deserialize_with = "lenient")]
    pub legal_accepted_at: Option<i64>,
    /// Can sign in from untrusted clients.
    #[serde(deserialize_with = "lenient")]
    pub bypass_client_trust: bool,
    /// The user in a SCIM directory, as sent; null if there is none.
    #[serde(deserialize_with = "lenient")]
    pub scim: Value,
    /// The object, byte for byte as the server sent it.
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
            return Err(serde::de::Error::custom("expected an object"));
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

/// Deserializes a property; one that does not fit (`null` included) counts as absent.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(decode(&Box::<RawValue>::deserialize(deserializer)?).unwrap_or_default())
}

/// Deserializes a list; elements that are not objects are left out, anything but a list is empty.
fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(elements.into_iter().filter(|it| is_object(it.get())).filter_map(decode).collect())
}

/// Deserializes a nested object; anything else counts as absent.
fn lenient_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(if is_object(raw.get()) { decode(&raw) } else { None })
}

fn decode<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
