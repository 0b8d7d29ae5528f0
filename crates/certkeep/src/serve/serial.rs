//! The serial number that certkeep shows where an appliance shows its own (contract §5, `system/information`).
use certkeep_core::ports::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};

const NAME: &str = "system.serial";

/// The store's serial number, twelve capital hexadecimal digits; drawn at the first start.
pub(super) async fn number(store: &impl Store) -> Result<String, StoreError> {
    if let Some(number) = store.setting(NAME).await? {
        return Ok(number.expose_secret().to_owned());
    }
    let mut octets = [0u8; 6];
    let drawn = aws_lc_rs::rand::fill(&mut octets);
    drawn.map_err(|error| StoreError::Unavailable { doing: "draw a serial number", source: Box::new(error) })?;
    let number: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    let kept = store.first_setting(NAME, &SecretString::from(number)).await?;
    Ok(kept.expose_secret().to_owned())
}
