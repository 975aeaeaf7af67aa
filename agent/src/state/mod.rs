//! Floor 1: the replicated state.

/// The replicated state: cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct State {}
