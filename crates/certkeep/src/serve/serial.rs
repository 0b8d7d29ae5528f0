//! The serial number that certkeep shows where an appliance shows its own (contract §5, `system/information`).
use certkeep_core::ports::{Settings, StoreError};
use secrecy::{ExposeSecret, SecretString};

const NAME: &str = "system.serial";

/// The data folder's serial number, twelve capital hexadecimal digits; drawn at the first start.
pub(super) async fn number(store: &impl Settings) -> Result<String, StoreError> {
    if let Some(number) = store.setting(NAME).await? {
        return Ok(number.expose_secret().to_owned());
    }
    let mut octets = [0u8; 6];
    let drawn = aws_lc_rs::rand::fill(&mut octets);
    drawn.map_err(|error| StoreError::Unavailable { doing: "draw a serial number", source: Box::new(error) })?;
    let number: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    store.set_setting(NAME, &SecretString::from(number.as_str())).await?;
    Ok(number)
}
