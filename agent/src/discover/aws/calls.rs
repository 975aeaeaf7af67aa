//! The calls that are made, and the permission that each needs.

use super::endpoint::Service;

/// One action of one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) service: Service,
    /// `DescribeInstances`.
    pub(super) action: &'static str,
    /// What to do where AWS says that it is not allowed.
    pub(super) needs: &'static str,
}

pub(super) const DESCRIBE_INSTANCES: Call = Call {
    service: Service::Ec2,
    action: "DescribeInstances",
    needs: "the role or user needs ec2:DescribeInstances on all resources",
};

pub(super) const DESCRIBE_AUTO_SCALING_INSTANCES: Call = Call {
    service: Service::AutoScaling,
    action: "DescribeAutoScalingInstances",
    needs: "the role needs autoscaling:DescribeAutoScalingInstances on all resources",
};

pub(super) const DESCRIBE_LIFECYCLE_HOOKS: Call = Call {
    service: Service::AutoScaling,
    action: "DescribeLifecycleHooks",
    needs: "the role needs autoscaling:DescribeLifecycleHooks on all resources",
};

pub(super) const COMPLETE_LIFECYCLE_ACTION: Call = Call {
    service: Service::AutoScaling,
    action: "CompleteLifecycleAction",
    needs: "the role needs autoscaling:CompleteLifecycleAction on its autoscaling group",
};

pub(super) const RECORD_LIFECYCLE_ACTION_HEARTBEAT: Call = Call {
    service: Service::AutoScaling,
    action: "RecordLifecycleActionHeartbeat",
    needs: "the role needs autoscaling:RecordLifecycleActionHeartbeat on its autoscaling group",
};

pub(super) const ASSUME_ROLE_WITH_WEB_IDENTITY: Call = Call {
    service: Service::Sts,
    action: "AssumeRoleWithWebIdentity",
    needs: "the role's trust policy must name the token's issuer and subject",
};

pub(super) const GET_PARAMETER: Call = Call {
    service: Service::Ssm,
    action: "GetParameter",
    needs: "the role needs ssm:GetParameter on the parameter, and kms:Decrypt on its key",
};

pub(super) const GET_SECRET_VALUE: Call = Call {
    service: Service::SecretsManager,
    action: "GetSecretValue",
    needs: "the role needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key",
};

impl Call {
    /// The API's version, for services that are asked with a form.
    pub(super) const fn version(self) -> &'static str {
        match self.service {
            Service::Ec2 => "2016-11-15",
            Service::Sts => "2011-06-15",
            Service::AutoScaling | Service::SecretsManager | Service::Ssm => "2011-01-01",
        }
    }

    /// The word before the action, for services that are asked with JSON.
    pub(super) const fn target(self) -> &'static str {
        match self.service {
            Service::Ssm => "AmazonSSM",
            _ => self.service.name(),
        }
    }
}
