"""What is in moto, asked through AWS' own API."""

import json
from urllib.parse import unquote

# What AWS makes by itself and keeps.
ALIVE = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]}]


class Look:
    def __init__(self, moto):
        self.moto = moto
        self.ec2, self.groups = moto.client("ec2"), moto.client("autoscaling")
        self.iam, self.s3 = moto.client("iam"), moto.client("s3")
        self.balancers, self.resolver = moto.client("elbv2"), moto.client("route53resolver")

    def register_image(self, name):
        """What `packer build -only=amazon-ebs.image` would leave."""
        return self.ec2.register_image(Name=name, RootDeviceName="/dev/xvda", Architecture="x86_64", VirtualizationType="hvm")["ImageId"]

    def instances(self, tag, role=None):
        """The cluster's living machines."""
        filters = ALIVE + [{"Name": "tag:swarmer-cluster", "Values": [tag]}]
        if role:
            filters.append({"Name": "tag:swarmer-role", "Values": [role]})
        pages = self.ec2.describe_instances(Filters=filters)["Reservations"]
        return [one for page in pages for one in page["Instances"]]

    @staticmethod
    def tags(thing):
        return {one["Key"]: one["Value"] for one in thing.get("Tags", [])}

    def by_name(self, tag, role="server"):
        return {self.tags(one)["Name"]: one for one in self.instances(tag, role)}

    def templates(self):
        """Each launch template's latest data, by name."""
        found = {}
        for one in self.ec2.describe_launch_templates()["LaunchTemplates"]:
            versions = self.ec2.describe_launch_template_versions(LaunchTemplateId=one["LaunchTemplateId"])["LaunchTemplateVersions"]
            found[one["LaunchTemplateName"]] = max(versions, key=lambda version: version["VersionNumber"])["LaunchTemplateData"]
        return found

    def rules(self, group_prefix):
        """(group, direction, protocol, port or ports, from or to) of all security groups with this prefix."""
        found, names = set(), {}
        bastions = self.ec2.describe_instances(Filters=ALIVE + [{"Name": "tag:Name", "Values": [f"{group_prefix}bastion"]}])["Reservations"]
        known = {f"{one['PrivateIpAddress']}/32": "bastion" for page in bastions for one in page["Instances"]}
        groups = [one for one in self.ec2.describe_security_groups()["SecurityGroups"]]
        for group in groups:
            names[group["GroupId"]] = group["GroupName"]
        for group in groups:
            if not group["GroupName"].startswith(group_prefix):
                continue
            short = group["GroupName"].removeprefix(group_prefix)
            for direction, rules in (("in", group["IpPermissions"]), ("out", group["IpPermissionsEgress"])):
                for rule in rules:
                    others = [known.get(one["CidrIp"], one["CidrIp"]) for one in rule["IpRanges"]] + [one["CidrIpv6"] for one in rule.get("Ipv6Ranges", [])]
                    others += [names[one["GroupId"]].removeprefix(group_prefix) for one in rule["UserIdGroupPairs"]]
                    port, last = rule.get("FromPort", "all"), rule.get("ToPort", "all")
                    port = port if port == last else (port, last)
                    found |= {(short, direction, rule["IpProtocol"], port, other) for other in others}
        return found

    def policies(self, role):
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        found = [self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        return [json.loads(unquote(one)) if isinstance(one, str) else one for one in found]

    def everything(self):
        """All that can be left behind."""
        ec2, ids = self.ec2, {}
        ids["instances"] = [one["InstanceId"] for page in ec2.describe_instances(Filters=ALIVE)["Reservations"] for one in page["Instances"]]
        ids["vpcs"] = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]
        ids["subnets"] = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
        ids["security groups"] = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]]
        ids["route tables"] = [one["RouteTableId"] for one in ec2.describe_route_tables()["RouteTables"]]
        ids["gateways"] = [one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]]
        ids["nat"] = [one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] not in ("deleted", "deleting")]
        ids["addresses"] = [one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]]
        ids["endpoints"] = [one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if one["State"].lower() not in ("deleted", "deleting")]
        ids["templates"] = [one["LaunchTemplateId"] for one in ec2.describe_launch_templates()["LaunchTemplates"]]
        ids["groups"] = [one["AutoScalingGroupName"] for one in self.groups.describe_auto_scaling_groups()["AutoScalingGroups"]]
        ids["roles"] = [one["RoleName"] for one in self.iam.list_roles()["Roles"]]
        ids["profiles"] = [one["InstanceProfileName"] for one in self.iam.list_instance_profiles()["InstanceProfiles"]]
        ids["buckets"] = [one["Name"] for one in self.s3.list_buckets()["Buckets"]]
        ids["balancers"] = [one["LoadBalancerName"] for one in self.balancers.describe_load_balancers()["LoadBalancers"]]
        ids["target groups"] = [one["TargetGroupName"] for one in self.balancers.describe_target_groups()["TargetGroups"]]
        ids["resolver endpoints"] = [one["Id"] for one in self.resolver.list_resolver_endpoints()["ResolverEndpoints"]]
        ids["resolver rules"] = [one["Id"] for one in self.resolver.list_resolver_rules()["ResolverRules"]]
        return {kind: sorted(some) for kind, some in ids.items()}
