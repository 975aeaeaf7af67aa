//! What a cloud tells a machine about its own end, and what it wants to hear in return.

use futures_util::future::BoxFuture;

use super::provider::ProviderError;
use crate::decide::told::Seen;

mod instance;
mod owners_key;

pub(super) use instance::Instance;
pub(super) use owners_key::OwnersKey;

/// A cloud that tells a machine beforehand that it will end.
pub trait Orders: Send + Sync {
    /// The word behind `provider=`.
    fn kind(&self) -> &'static str;

    /// What it says now. That there is nothing is a normal answer.
    fn seen(&self) -> BoxFuture<'_, Result<Seen, ProviderError>>;

    /// It takes longer: the machine should not end yet.
    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// The machine may end.
    fn done(&self) -> BoxFuture<'_, Result<(), ProviderError>>;
}
