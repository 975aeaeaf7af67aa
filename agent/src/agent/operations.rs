//! What operators do, carried out.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::logging;
use crate::cluster::authority::{Authority, AuthorityError};
use crate::http::{
    MemberAct, OperationError, Operations, Snapshot, TokenAct, TokenAnswer, TokenView,
};
use crate::model::{Op, Reply, Role, TokenId, TokenRow};
use crate::pki::Token;
use crate::store::{Store, archive};

/// The operators' door of one agent; it opens as the node becomes a member.
pub(super) struct Acts {
    store: Arc<Store>,
    authority: OnceLock<Authority>,
    leave: Notify,
}

impl Acts {
    pub(super) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            authority: OnceLock::new(),
            leave: Notify::new(),
        })
    }

    /// This server can sign and seal from now on.
    pub(super) fn empower(&self, authority: Authority) {
        let _ = self.authority.set(authority);
    }

    /// Returns when an operator told this node to leave.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    async fn write(&self, op: Op) -> Result<(), OperationError> {
        match self.store.write(op).await? {
            Reply::Refused(refusal) => Err(OperationError::Refused(refusal.to_string())),
            _ => Ok(()),
        }
    }

    fn authority(&self) -> Result<&Authority, OperationError> {
        self.authority.get().ok_or_else(|| {
            OperationError::Refused("only a server that is a member can do that; ask one".into())
        })
    }

    async fn make(&self, role: Role, description: &str) -> Result<TokenAnswer, OperationError> {
        let token = self
            .authority()?
            .create_token(role, description)
            .await
            .map_err(failed)?;
        let view = self.row(token.id()).ok_or_else(|| {
            OperationError::Failed("the token was made, but is not in this node's copy yet".into())
        })?;
        Ok(TokenAnswer::Made {
            token: Token::expose(&token),
            view,
        })
    }

    /// Which role a token entitles to, as this server can tell.
    pub(super) fn role_of_token(&self, text: &str) -> Option<Role> {
        let token: Token = text.parse().ok()?;
        self.authority.get()?.accepts(&token).then(|| token.role())
    }

    fn row(&self, id: TokenId) -> Option<TokenView> {
        self.store.state().token(id).map(|row| view(row))
    }

    async fn rotate(&self, role: Role) -> Result<TokenAnswer, OperationError> {
        let state = self.store.state();
        let old: Vec<TokenId> = state
            .tokens()
            .filter(|row| row.role == role && !row.revoked)
            .map(|row| row.id)
            .collect();
        let made = self.make(role, "").await?;
        for id in old {
            self.authority()?.revoke_token(id).await.map_err(failed)?;
        }
        Ok(made)
    }

    async fn act(&self, act: TokenAct) -> Result<TokenAnswer, OperationError> {
        match act {
            TokenAct::List => {
                self.store.linearize().await?;
                Ok(TokenAnswer::All(
                    self.store.state().tokens().map(|row| view(row)).collect(),
                ))
            }
            TokenAct::Create { role, description } => self.make(role, &description).await,
            TokenAct::Rotate { role } => self.rotate(role).await,
            TokenAct::Revoke(id) => {
                if self.row(id).is_none() {
                    return Err(OperationError::Missing(format!(
                        "there is no token {id}; `swarmer token list` shows them"
                    )));
                }
                self.authority()?.revoke_token(id).await.map_err(failed)?;
                let view = self.row(id);
                view.map(TokenAnswer::Revoked)
                    .ok_or_else(|| OperationError::Missing(format!("there is no token {id}")))
            }
        }
    }
}

fn failed(error: AuthorityError) -> OperationError {
    match error {
        AuthorityError::Store(error) => OperationError::Store(error),
        other => OperationError::Failed(other.to_string()),
    }
}

fn view(row: &TokenRow) -> TokenView {
    TokenView {
        id: row.id.to_string(),
        role: row.role,
        description: row.description.clone(),
        created: row.created.0,
        revoked: row.revoked,
    }
}

impl Operations for Acts {
    fn tokens(&self, act: TokenAct) -> BoxFuture<'_, Result<TokenAnswer, OperationError>> {
        self.act(act).boxed()
    }

    fn members(&self, act: MemberAct) -> BoxFuture<'_, Result<(), OperationError>> {
        async move {
            let op = match act {
                MemberAct::Remove(node) => Op::MemberRemove(node),
                MemberAct::Expect(expect) => Op::SetExpect(expect),
            };
            self.write(op).await
        }
        .boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), OperationError>> {
        self.leave.notify_one();
        async { Ok(()) }.boxed()
    }

    fn log_level(&self, filter: Option<&str>) -> Result<String, OperationError> {
        logging::change(filter).map_err(|error| OperationError::Refused(error.to_string()))
    }

    fn save_snapshot(&self) -> BoxFuture<'_, Result<Snapshot, OperationError>> {
        async {
            self.store.linearize().await?;
            let (state, index) = self.store.state_at();
            let archive = archive::pack(&state.saved(), index, 0)
                .map_err(|error| OperationError::Failed(error.to_string()))?;
            Ok(Snapshot {
                archive: archive.into(),
                index,
            })
        }
        .boxed()
    }

    fn restore_snapshot(&self, archive: Bytes) -> BoxFuture<'_, Result<(), OperationError>> {
        async move {
            let (meta, saved) = archive::unpack(&archive)
                .map_err(|error| OperationError::Failed(error.to_string()))?;
            self.write(Op::Restore(Box::new(saved))).await?;
            tracing::warn!(index = meta.index, "a snapshot was restored");
            Ok(())
        }
        .boxed()
    }
}
