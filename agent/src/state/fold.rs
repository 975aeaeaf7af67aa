//! Names as they are compared: Consul's look-ups ignore case and keep it in what they answer.

use std::borrow::Cow;
use std::net::IpAddr;

/// `name` in lower case (ASCII only: Unicode's tables differ between builds, and replicas of two
/// builds must agree); allocates only if that changes it.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// An address as it is compared: `::1` and `0:0::1` are one, and so are `Web` and `web`.
pub(super) fn fold_address(address: &str) -> Cow<'_, str> {
    match address.parse::<IpAddr>() {
        Ok(ip) => Cow::Owned(ip.to_string()),
        Err(_) => fold(address),
    }
}
