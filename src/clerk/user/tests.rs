use super::*;

#[track_caller]
fn read(json: &str) -> User {
    User::from_json(json).unwrap()
}

#[test]
fn text_that_is_not_an_object_is_refused() {
    for text in ["", "[]", "null", "<html>", "{\"id\":", "\"user_a\"", "{}{}"] {
        assert!(User::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn an_empty_object_is_a_user_without_properties() {
    assert_eq!(read(" {} "), User { json: "{}".into(), ..User::default() });
}

#[test]
fn null_and_other_types_than_documented_count_as_absent() {
    let user = read(
        r#"{"id":"user_a","locked":"yes","banned":1,"username":7,"created_at":"now","scim":null,
            "email_addresses":{"a":1},"phone_numbers":null,"has_image":null}"#,
    );
    let json = user.json.clone();
    assert_eq!(user, User { id: "user_a".into(), json, ..User::default() });
}

#[test]
fn an_odd_element_costs_only_itself() {
    let user = read(
        r#"{"email_addresses":[null,7,[1],{"id":"e1","email_address":"a@x.org","reserved":"?"}]}"#,
    );
    let addresses: Vec<_> = user.email_addresses.iter().map(|it| &*it.email_address).collect();
    assert_eq!(addresses, ["a@x.org"]);
}

#[test]
fn the_object_is_kept_byte_for_byte() {
    let json = "{\"x\" : 1.00,\n \"id\":\"user_a\", \"public_metadata\":{\"n\":1e400}}";
    assert_eq!(read(json).json, json);
}

#[test]
fn deep_nesting_costs_neither_the_stack_nor_the_object() {
    let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let user = read(&format!(
        r#"{{"id":"user_a","x":{nest},"locked":{nest},"public_metadata":{nest},
            "passkeys":[{nest}],"saml_accounts":[{{"a":{nest}}}]}}"#
    ));
    assert_eq!((user.id.as_str(), user.locked), ("user_a", None));
    assert_eq!(user.public_metadata, Value::Null);
}

#[test]
fn the_primary_email_is_the_one_that_the_primary_id_names() {
    let user = read(
        r#"{"primary_email_address_id":"e2","email_addresses":[
            {"id":"e1","email_address":"old@x.org"},{"id":"e2","email_address":"new@x.org"}]}"#,
    );
    assert_eq!(user.primary_email_address().unwrap().email_address, "new@x.org");
    assert_eq!(read("{}").primary_email_address(), None);
}

/// Every documented property, each with a value that is not its default.
const FULL: &str = r#"{
    "id":"user_a","object":"user","external_id":"x","primary_email_address_id":"e",
    "primary_phone_number_id":"p","primary_web3_wallet_id":"w","username":"u","first_name":"f",
    "last_name":"l","locale":"en-GB","profile_image_url":"i","image_url":"j","has_image":true,
    "public_metadata":{"a":1},"private_metadata":{"b":2},"unsafe_metadata":{"c":3},
    "email_addresses":[{"id":"e","object":"email_address","email_address":"a@x.org",
        "reserved":true,"matches_sso_connection":true,"created_at":1,"updated_at":2,
        "linked_to":[{"type":"oauth_google","id":"eac"}],"verification":VERIFICATION}],
    "phone_numbers":[{"id":"p","phone_number":"+1555","reserved_for_second_factor":true,
        "default_second_factor":true,"reserved":true,"verification":VERIFICATION,
        "linked_to":[{"type":"t","id":"i"}],"backup_codes":["z"],"created_at":1,"updated_at":2}],
    "web3_wallets":[{"id":"w","web3_wallet":"0x1","verification":VERIFICATION,"created_at":1,
        "updated_at":2}],
    "passkeys":[{"id":"k","name":"key","last_used_at":5,"verification":VERIFICATION}],
    "password_enabled":true,"two_factor_enabled":true,"totp_enabled":true,
    "backup_code_enabled":true,"mfa_enabled_at":1,"mfa_disabled_at":2,
    "password_last_updated_at":3,
    "external_accounts":[{"id":"a","object":"google_account","provider":"oauth_google",
        "identification_id":"i","provider_user_id":"9","approved_scopes":"email",
        "email_address":"a@x.org","email_address_verified":true,"first_name":"f","last_name":"l",
        "avatar_url":"t","image_url":"j","username":"u","phone_number":"+1","label":"m",
        "public_metadata":{"e":5},"created_at":1,"updated_at":2,"verification":VERIFICATION}],
    "saml_accounts":[{"id":"s"}],"enterprise_accounts":[{"id":"n"}],
    "organization_memberships":[{"id":"o"}],"last_sign_in_at":4,"banned":true,"locked":true,
    "deprovisioned":true,"lockout_expires_in_seconds":5,"verification_attempts_remaining":6,
    "updated_at":7,"created_at":8,"delete_self_enabled":true,"create_organization_enabled":true,
    "create_organizations_limit":9,"last_active_at":10,"legal_accepted_at":11,
    "bypass_client_trust":true,"scim":{"f":6}}"#;

const VERIFICATION: &str = r#"{"object":"verification_otp","status":"verified","attempts":1,
    "strategy":"email_code","expire_at":3,"channel":"sms","verified_at_client":"v","error":{"d":4}}"#;

#[test]
fn every_documented_property_is_read() {
    let json = FULL.replace("VERIFICATION", VERIFICATION);
    let n_properties = serde_json::from_str::<serde_json::Map<_, _>>(&json).unwrap().len();
    assert_eq!(n_properties, 46);
    let shown = format!("{:#?}", User { json: "-".into(), ..read(&json) });
    for absent in ["None", "\"\"", "false", "Null", "[]"] {
        let line = shown.lines().find(|line| line.contains(absent));
        assert_eq!(line, None, "{shown}");
    }
}
