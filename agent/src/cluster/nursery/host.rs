//! A blank server's door: how it answers others like it.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Nursery;
use crate::cluster::founding;
use crate::cluster::join_door::{Host, Joiner};
use crate::cluster::join_messages::{Founding, JoinReply};
use crate::decide::bootstrap::{Announcement, Bid, Standing, may_promise};
use crate::model::{Member, Role, TokenId};
use crate::pki::{JoinKey, ProofKey};
use crate::task::clock;

impl Host for Nursery {
    fn proof_key(&self, token: TokenId, role: Role) -> Result<ProofKey, String> {
        founding::own_proof_key(&self.token, token, role)
    }

    fn join_key(&self) -> Result<JoinKey, String> {
        self.token
            .join_key()
            .ok_or_else(|| "this server has no server token".to_owned())
    }

    fn announce(
        &self,
        theirs: Announcement,
        founding: Option<Founding>,
        _joiner: &Joiner,
    ) -> Result<(Announcement, Option<Founding>), String> {
        self.note_life(&theirs);
        if let Some(papers) = founding {
            self.accept_papers(papers)?;
        }
        let new = {
            let mut inner = self.lock();
            let news = (theirs.clone(), clock::now());
            let before = inner.callers.insert(theirs.node, news);
            before.is_none_or(|(said, _)| said != theirs)
        };
        if new {
            self.bell.notify_one();
        }
        let papers = self.lock().founding.clone();
        let papers = papers.and_then(|ours| ours.papers_for(&theirs, &self.me, clock::wall()));
        Ok((self.announcement(), papers))
    }

    fn promise(&self, bid: Bid) -> Result<(), String> {
        let kept =
            matches!(&self.lock().record.standing, Standing::Promised(present) if *present == bid);
        if !kept {
            self.with_view(|view| may_promise(view, &bid))?;
        }
        self.promise_to(&bid)
    }

    fn admit(
        &self,
        _joiner: Joiner,
        _member: Option<Member>,
    ) -> BoxFuture<'static, Result<JoinReply, String>> {
        let name = self.me.name.clone();
        async move { Err(format!("{name} is not in a cluster yet; try again")) }.boxed()
    }
}
