//! Join tokens and the certificate authority. Secrets are here only in sealed form.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use crate::model::{CaRow, Refusal, Reply, TokenId, TokenRow, Topic};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trust {
    ca: Option<Arc<CaRow>>,
    tokens: OrdMap<TokenId, Arc<TokenRow>>,
}

impl Trust {
    pub(super) fn ca(&self) -> Option<&CaRow> {
        self.ca.as_deref()
    }

    pub(super) fn token(&self, id: TokenId) -> Option<&Arc<TokenRow>> {
        self.tokens.get(&id)
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRow>> {
        self.tokens.values()
    }

    pub(super) fn set_ca(&mut self, ca: CaRow, changes: &mut Changes) {
        self.ca = Some(Arc::new(ca));
        changes.touch(Topic::Trust);
    }

    /// Adds or replaces a token. One that was revoked stays so.
    pub(super) fn put(&mut self, mut row: TokenRow, changes: &mut Changes) -> Reply {
        let before = self.tokens.get(&row.id);
        row.revoked |= before.is_some_and(|before| before.revoked);
        if before.is_none_or(|before| **before != row) {
            self.tokens.insert(row.id, Arc::new(row));
            changes.touch(Topic::Trust);
        }
        Reply::Done
    }

    pub(super) fn revoke(&mut self, id: TokenId, changes: &mut Changes) -> Reply {
        let Some(row) = self.tokens.get_mut(&id) else {
            return Reply::Refused(Refusal::UnknownToken(id));
        };
        if !row.revoked {
            Arc::make_mut(row).revoked = true;
            changes.touch(Topic::Trust);
        }
        Reply::Done
    }
}
