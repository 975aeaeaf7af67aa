//! Which machine this is, as its firmware tells it.

use std::io;
use std::path::Path;

use uuid::Uuid;

use super::super::ProviderError;

const CALL: &str = "reading this machine's firmware tables";

/// The BIOS UUIDs that this machine may have; none if it is no machine of VMware's. The serial
/// number holds it byte by byte as vCenter writes it. The UUID of the tables is swapped from
/// virtual hardware version 13 on, and not before: both readings are given.
pub(super) fn bios_uuids(tables: &Path) -> Result<Vec<String>, ProviderError> {
    let read = |name: &str| {
        let path = tables.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ProviderError::Unreadable {
                call: CALL,
                why: format!("{}: {error}", path.display()),
            }),
        }
    };
    let vendor = read("sys_vendor")?;
    if !vendor.is_some_and(|vendor| vendor.starts_with("VMware")) {
        return Ok(Vec::new());
    }
    if let Some(uuid) = read("product_serial")?.and_then(|serial| from_serial(&serial)) {
        return Ok(vec![uuid.to_string()]);
    }
    let uuid = read("product_uuid")?.and_then(|text| Uuid::parse_str(&text).ok());
    let both = |uuid: Uuid| {
        vec![
            uuid.to_string(),
            Uuid::from_bytes(uuid.to_bytes_le()).to_string(),
        ]
    };
    Ok(uuid.map(both).unwrap_or_default())
}

/// `VMware-42 1c aa 5b 6f 60 3a d7-b1 7c 5d 0f 2e 16 9d c1`.
fn from_serial(serial: &str) -> Option<Uuid> {
    let digits: String = serial
        .strip_prefix("VMware-")?
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    Uuid::parse_str(&digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_read_as_vcenter_writes_the_uuid() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let uuids = || bios_uuids(folder.path()).unwrap();
        assert!(uuids().is_empty());
        put("sys_vendor", "QEMU\n");
        put("product_uuid", "5baa1c42-606f-d73a-b17c-5d0f2e169dc1\n");
        assert!(uuids().is_empty());
        put("sys_vendor", "VMware, Inc.\n");
        let as_vcenter_has_it = "421caa5b-6f60-3ad7-b17c-5d0f2e169dc1".to_owned();
        assert!(uuids().contains(&as_vcenter_has_it));
        put(
            "product_serial",
            "VMware-42 1c aa 5b 6f 60 3a d7-b1 7c 5d 0f 2e 16 9d c1\n",
        );
        assert_eq!(uuids(), [as_vcenter_has_it]);
    }
}
