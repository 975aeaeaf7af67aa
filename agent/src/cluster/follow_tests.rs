use super::*;
use crate::model::{BootId, Duty, DutyHolder};
use crate::state::Row;

fn host(sequencer: u64) -> Row {
    let (node, boot) = (NodeId(uuid::Uuid::from_u128(1)), BootId(1));
    let holder = DutyHolder {
        node,
        boot,
        sequencer,
    };
    Row::Duty(Duty::Registry, Some(holder))
}

fn state(sequencer: u64) -> State {
    let mut state = State::default();
    state.follow(vec![host(sequencer)], &mut Vec::new());
    state
}

fn snapshot(state: &State, index: u64) -> [Followed; 2] {
    let whole = postcard::to_stdvec(state).unwrap();
    let (one, two) = whole.split_at(whole.len() / 2);
    [(one, false), (two, true)].map(|(part, last)| Followed::Snapshot {
        index,
        part: part.to_vec(),
        last,
    })
}

fn news(index: u64, rows: Vec<Row>) -> Followed {
    Followed::News {
        index,
        rows,
        leader: None,
        age: 0,
    }
}

/// Which term of the registry's duty this copy has seen, and how far it is.
fn seen(store: &Store) -> (Option<u64>, u64) {
    let (state, index) = store.state_at();
    (
        state.duty(Duty::Registry).map(|holder| holder.sequencer),
        index,
    )
}

fn feed(store: &Store, items: impl IntoIterator<Item = Followed>) -> Result<(), String> {
    let mut feed = Feed::new(store);
    items
        .into_iter()
        .try_for_each(|item| feed.take(item).map(drop))
}

#[test]
fn a_snapshot_in_parts_and_the_news_after_it_are_the_copy() {
    let store = Store::new(false);
    let [one, two] = snapshot(&state(1), 5);
    feed(&store, [one]).unwrap();
    assert_eq!(seen(&store), (None, 0), "half a snapshot is nothing");

    let [one, _] = snapshot(&state(1), 5);
    feed(&store, [one, two, news(7, Vec::new())]).unwrap();
    assert_eq!(
        seen(&store),
        (Some(1), 7),
        "nothing that it follows changed"
    );

    let [one, two] = snapshot(&state(1), 7);
    feed(&store, [one, two, news(9, vec![host(2)])]).unwrap();
    assert_eq!(seen(&store), (Some(2), 9));
}

#[test]
fn a_server_that_is_behind_does_not_bring_back_what_is_gone() {
    let store = Store::new(false);
    feed(&store, snapshot(&state(2), 9)).unwrap();
    let refused = feed(&store, snapshot(&state(1), 8)).unwrap_err();
    assert!(refused.contains("it has 8, this node 9"), "{refused}");
    assert_eq!(seen(&store), (Some(2), 9));
    feed(&store, snapshot(&state(3), 10)).unwrap();
    assert_eq!(seen(&store), (Some(3), 10));
}
