//! AWS: notices in the metadata service, and the hooks of an autoscaling group.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>,
//! <https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html>

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::Orders;
use crate::decide::told::Seen;
use crate::discover::aws::{Api, Hook};
use crate::discover::provider::ProviderError;

const SPOT: &str = "spot/instance-action";
const REBALANCE: &str = "events/recommendations/rebalance";
const LIFECYCLE: &str = "autoscaling/target-lifecycle-state";
/// What an instance is to become that ends.
const ENDS: &str = "Terminated";
/// The state in which a hook holds an instance up.
const WAITS: &str = "Terminating:Wait";

pub(in crate::discover) struct Instance {
    api: Api,
}

impl Instance {
    pub(in crate::discover) fn new(api: Api) -> Self {
        Self { api }
    }

    async fn look(&self) -> Result<Seen, ProviderError> {
        let imds = self.api.imds();
        let lifecycle = imds.get(LIFECYCLE).await?;
        Ok(Seen {
            spot: imds.get(SPOT).await?.map(|notice| action(&notice)),
            rebalance: imds.get(REBALANCE).await?.is_some(),
            lifecycle: lifecycle.map(|state| state.trim().to_owned()),
            key: None,
        })
    }

    /// The hook that holds this instance up before its end. Most instances have none.
    async fn hook(&self) -> Result<Option<Hook>, ProviderError> {
        let imds = self.api.imds();
        let Some(id) = imds.get("instance-id").await? else {
            return Ok(None);
        };
        let id = id.trim();
        let Some(member) = self.api.describe_auto_scaling_instance(id).await? else {
            return Ok(None);
        };
        if member.lifecycle_state.ends_with(WAITS) {
            return self.api.leave_hook(&member.group, id).await;
        }
        let wanted = imds.get(LIFECYCLE).await?;
        if wanted.is_some_and(|wanted| wanted.trim().ends_with(ENDS)) {
            // The metadata may be ahead of the group, which takes no answer before it has asked.
            return Err(ProviderError::Refused {
                call: "DescribeAutoScalingInstances",
                said: format!("the instance is still {}", member.lifecycle_state),
                hint: None,
            });
        }
        Ok(None)
    }

    async fn hold_hook(&self) -> Result<(), ProviderError> {
        match self.hook().await? {
            Some(hook) => self.api.record_lifecycle_heartbeat(&hook).await,
            None => Ok(()),
        }
    }

    async fn complete_hook(&self) -> Result<(), ProviderError> {
        if let Some(hook) = self.hook().await? {
            self.api.complete_lifecycle_action(&hook).await?;
            tracing::info!(
                group = hook.group,
                hook = hook.name,
                "lifecycle action completed"
            );
        }
        Ok(())
    }
}

/// `{"action": "terminate", "time": "2017-09-18T08:22:00Z"}`. A notice that can't be read is none
/// that may be overlooked.
fn action(notice: &str) -> String {
    let notice: Option<Value> = serde_json::from_str(notice).ok();
    let action = notice.as_ref().and_then(|notice| notice["action"].as_str());
    action.unwrap_or("terminate").to_owned()
}

impl Orders for Instance {
    fn kind(&self) -> &'static str {
        "aws"
    }

    fn seen(&self) -> BoxFuture<'_, Result<Seen, ProviderError>> {
        self.look().boxed()
    }

    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.hold_hook().boxed()
    }

    fn done(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.complete_hook().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_notice_says_what_will_be_done() {
        for (notice, expected) in [
            (
                r#"{"action": "terminate", "time": "2017-09-18T08:22:00Z"}"#,
                "terminate",
            ),
            (
                r#"{"action": "stop", "time": "2017-09-18T08:22:00Z"}"#,
                "stop",
            ),
            ("{}", "terminate"),
            ("<html>", "terminate"),
        ] {
            assert_eq!(action(notice), expected);
        }
    }
}
