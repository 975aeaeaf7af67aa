//! Following: the public part of the state, and how a copy of it is kept up to date.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};

use super::State;
use super::catalog::CatalogRow;
use super::genesis::ClusterInfo;
use crate::model::{ClusterTime, Duty, DutyHolder, Member, NodeId, Topic};

/// One difference between two public states, in the order in which it is to be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// How far the state is.
    At {
        /// Raft index.
        index: u64,
        /// Cluster time.
        time: ClusterTime,
    },
    /// Which cluster it is.
    Cluster(Option<Arc<ClusterInfo>>),
    /// A member's row.
    Member(Arc<Member>),
    /// A member went.
    MemberGone(NodeId),
    /// Whether an id is fenced.
    Fenced(NodeId, bool),
    /// Index of the last change of a member.
    MembersIndex(u64),
    /// Who has a duty.
    Duty(Duty, Option<DutyHolder>),
    /// A row or an index of the catalog.
    Catalog(CatalogRow),
}

impl State {
    /// What every node may know: without KV, sessions, tokens, the CA, hidden entries and
    /// remembered requests.
    #[must_use]
    pub fn public(&self) -> Self {
        Self {
            index: self.index,
            time: self.time,
            cluster: self.cluster.clone(),
            catalog: self.catalog.clone(),
            members: self.members.clone(),
            duties: self.duties.clone(),
            ..Self::default()
        }
    }

    /// What turns the public part of `old` into that of `new`. Costs as much as differs.
    #[must_use]
    pub fn delta(old: &Self, new: &Self) -> Vec<Row> {
        let mut rows = Vec::new();
        if (old.index, old.time) != (new.index, new.time) {
            rows.push(Row::At {
                index: new.index,
                time: new.time,
            });
        }
        if old.cluster != new.cluster {
            rows.push(Row::Cluster(new.cluster.clone()));
        }
        Self::members_delta(old, new, &mut rows);
        let duties = old.duties.holders().diff(new.duties.holders());
        rows.extend(duties.map(|difference| match difference {
            DiffItem::Add(duty, holder)
            | DiffItem::Update {
                new: (duty, holder),
                ..
            } => Row::Duty(*duty, Some(*holder)),
            DiffItem::Remove(duty, _) => Row::Duty(*duty, None),
        }));
        old.catalog
            .delta(&new.catalog, &mut |row| rows.push(Row::Catalog(row)));
        rows
    }

    fn members_delta(old: &Self, new: &Self, rows: &mut Vec<Row>) {
        let differences: Vec<_> = old.members.rows().diff(new.members.rows()).collect();
        // Those that go are first: another may come with the name of one.
        rows.extend(
            differences
                .iter()
                .filter_map(|difference| match difference {
                    DiffItem::Remove(id, _) => Some(Row::MemberGone(**id)),
                    DiffItem::Add(..) | DiffItem::Update { .. } => None,
                }),
        );
        rows.extend(
            differences
                .iter()
                .filter_map(|difference| match difference {
                    DiffItem::Add(_, row) | DiffItem::Update { new: (_, row), .. } => {
                        Some(Row::Member(Arc::clone(row)))
                    }
                    DiffItem::Remove(..) => None,
                }),
        );
        let fenced = old.members.fenced().diff(new.members.fenced());
        rows.extend(fenced.map(|difference| match difference {
            imbl::ordset::DiffItem::Add(id) => Row::Fenced(*id, true),
            imbl::ordset::DiffItem::Remove(id) => Row::Fenced(*id, false),
        }));
        if old.members.table() != new.members.table() {
            rows.push(Row::MembersIndex(new.members.table()));
        }
    }

    /// Follows the differences that [`Self::delta`] found. What changed is added to `changed`,
    /// each topic once.
    pub fn follow(&mut self, rows: Vec<Row>, changed: &mut Vec<Topic>) {
        let mut topics = BTreeSet::new();
        for row in rows {
            self.follow_one(row, &mut topics);
        }
        changed.extend(topics);
    }

    fn follow_one(&mut self, row: Row, topics: &mut BTreeSet<Topic>) {
        match row {
            Row::At { index, time } => {
                self.index = index;
                self.time = time;
            }
            Row::Cluster(cluster) => self.cluster = cluster,
            Row::Duty(duty, holder) => {
                self.duties.set(duty, holder);
                topics.insert(Topic::Duties);
            }
            Row::Catalog(row) => self.catalog.follow(row, topics),
            Row::Member(row) => self.members.put(row),
            Row::MemberGone(id) => self.members.drop_row(id),
            Row::Fenced(id, fenced) => self.members.set_fenced(id, fenced),
            Row::MembersIndex(index) => {
                self.members.set_index(index);
                topics.insert(Topic::Members);
            }
        }
    }
}
