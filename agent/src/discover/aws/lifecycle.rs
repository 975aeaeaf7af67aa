//! An autoscaling group that waits for its instance before it ends it.
//!
//! <https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html>

use roxmltree::Document;

use super::api::Api;
use super::calls::{
    COMPLETE_LIFECYCLE_ACTION, Call, DESCRIBE_AUTO_SCALING_INSTANCES, DESCRIBE_LIFECYCLE_HOOKS,
    RECORD_LIFECYCLE_ACTION_HEARTBEAT,
};
use super::xml;
use crate::discover::ProviderError;

const TERMINATING: &str = "autoscaling:EC2_INSTANCE_TERMINATING";
/// The hook that waits for this program; those of other names wait for somebody else.
const OURS: &str = "swarmer-leave";

/// An instance, as its autoscaling group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The group's name.
    pub group: String,
    /// `InService`, `Terminating:Wait`, …
    pub lifecycle_state: String,
}

/// One hook of one group, and the instance that it holds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The group's name.
    pub group: String,
    /// The hook's name.
    pub name: String,
    /// `i-0abc…`.
    pub instance_id: String,
}

impl Api {
    /// The group that an instance is in; `None` if it is in none.
    pub async fn describe_auto_scaling_instance(
        &self,
        instance_id: &str,
    ) -> Result<Option<GroupMember>, ProviderError> {
        let call = DESCRIBE_AUTO_SCALING_INSTANCES;
        let text = self
            .query(call, &[("InstanceIds.member.1", instance_id)])
            .await?;
        read_member(&text, instance_id).map_err(|why| unreadable(call, why))
    }

    /// The hook of a group that holds up an instance before its end until its agent says that it
    /// has left, as it holds up this one; `None`: the group has none.
    pub async fn leave_hook(
        &self,
        group: &str,
        instance_id: &str,
    ) -> Result<Option<Hook>, ProviderError> {
        let call = DESCRIBE_LIFECYCLE_HOOKS;
        let text = self.query(call, &[("AutoScalingGroupName", group)]).await?;
        let found = read_ours(&text).map_err(|why| unreadable(call, why))?;
        Ok(found.then(|| Hook {
            group: group.to_owned(),
            name: OURS.to_owned(),
            instance_id: instance_id.to_owned(),
        }))
    }

    /// Tells the group that the instance is ready to go; other hooks still hold.
    pub async fn complete_lifecycle_action(&self, hook: &Hook) -> Result<(), ProviderError> {
        let [group, name, id] = hook.parameters();
        let parameters = [group, name, id, ("LifecycleActionResult", "CONTINUE")];
        self.query(COMPLETE_LIFECYCLE_ACTION, &parameters)
            .await
            .map(drop)
    }

    /// Tells the group that the instance needs its hook's time once more.
    pub async fn record_lifecycle_heartbeat(&self, hook: &Hook) -> Result<(), ProviderError> {
        let call = RECORD_LIFECYCLE_ACTION_HEARTBEAT;
        self.query(call, &hook.parameters()).await.map(drop)
    }
}

impl Hook {
    fn parameters(&self) -> [(&'static str, &str); 3] {
        [
            ("AutoScalingGroupName", &self.group),
            ("LifecycleHookName", &self.name),
            ("InstanceId", &self.instance_id),
        ]
    }
}

fn read_member(text: &str, instance_id: &str) -> Result<Option<GroupMember>, String> {
    let document = parse(text)?;
    let result = xml::anywhere(document.root(), "DescribeAutoScalingInstancesResult")
        .ok_or("it has no result")?;
    let mut members = xml::list(result, "AutoScalingInstances");
    let Some(member) = members.find(|one| xml::text(*one, "InstanceId") == Some(instance_id))
    else {
        return Ok(None);
    };
    let needed = |name: &str| {
        let text = xml::text(member, name).ok_or_else(|| format!("it has no {name}"));
        text.map(str::to_owned)
    };
    Ok(Some(GroupMember {
        group: needed("AutoScalingGroupName")?,
        lifecycle_state: needed("LifecycleState")?,
    }))
}

fn read_ours(text: &str) -> Result<bool, String> {
    let document = parse(text)?;
    let result =
        xml::anywhere(document.root(), "DescribeLifecycleHooksResult").ok_or("it has no result")?;
    let mut hooks = xml::list(result, "LifecycleHooks");
    Ok(hooks.any(|hook| {
        xml::text(hook, "LifecycleTransition") == Some(TERMINATING)
            && xml::text(hook, "LifecycleHookName") == Some(OURS)
    }))
}

fn parse(text: &str) -> Result<Document<'_>, String> {
    Document::parse(text).map_err(|error| format!("it is no XML: {error}"))
}

fn unreadable(call: Call, why: String) -> ProviderError {
    ProviderError::Unreadable {
        call: call.action,
        why,
    }
}
