//! vSphere: a key that the VM's owner sets, and reads again.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Orders;
use crate::decide::told::{LEFT, Seen};
use crate::discover::guestinfo;
use crate::discover::provider::ProviderError;

/// Under `guestinfo.`.
const KEY: &str = "swarmer.leave";

pub(in crate::discover) struct OwnersKey;

impl Orders for OwnersKey {
    fn kind(&self) -> &'static str {
        "vsphere"
    }

    fn seen(&self) -> BoxFuture<'_, Result<Seen, ProviderError>> {
        async {
            let key = guestinfo::get(KEY).await?;
            Ok(Seen {
                key: key.map(|value| value.expose().to_owned()),
                ..Seen::default()
            })
        }
        .boxed()
    }

    /// Whoever set the key waits for the answer anyway.
    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        async { Ok(()) }.boxed()
    }

    fn done(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        guestinfo::set(KEY, LEFT).boxed()
    }
}
