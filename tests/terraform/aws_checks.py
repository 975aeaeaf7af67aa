"""What must be true of every cluster on AWS."""

import json

from timeline import equal, expect

WORLD = "0.0.0.0/0"
SWARM = [("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789)]
AMONG = [("tcp", 8300), ("tcp", 5000), *SWARM]
OPERATORS = [("tcp", 8300), ("tcp", 8501), ("tcp", 5000), ("tcp", 2376), ("tcp", 53), ("udp", 53)]
CLIENTS = [("tcp", 5000), ("tcp", 53), ("udp", 53)]
BALANCER = [("tcp", 8300), ("tcp", 8501), ("tcp", 5000), ("tcp", 53), ("udp", 53)]
# What Swarm and `docker run -P` pick from.
PUBLISHED = [("tcp", (30000, 60999))]


def rules(group, direction, ports, others):
    return {(group, direction, protocol, port, other) for protocol, port in ports for other in others}


# docs/operations.md's table, in the words of security groups.
NODES = rules("nodes", "in", AMONG, ["nodes"]) | rules("nodes", "out", AMONG, ["nodes"]) | rules("nodes", "out", [("tcp", 443)], [WORLD])
BASTION = rules("nodes", "in", OPERATORS, ["bastion"]) | rules("bastion", "out", OPERATORS, ["nodes"])
BASTION_OUT = BASTION | rules("bastion", "out", [("tcp", 443)], [WORLD])


def full_rules():
    balancers = ["10.20.224.0/22", "10.20.228.0/22", "10.20.232.0/22"]
    return (
        BASTION_OUT
        | rules("bastion", "in", [("udp", 51820)], [WORLD])
        | rules("bastion", "out", BALANCER, balancers)
        | rules("nodes", "in", PUBLISHED, ["nodes", "bastion", "10.8.0.0/24", "10.9.0.0/24"])
        | rules("nodes", "out", PUBLISHED, ["nodes"])
        | rules("bastion", "out", PUBLISHED, ["nodes"])
        | rules("nodes", "in", OPERATORS, ["10.8.0.0/24"])
        | rules("nodes", "in", CLIENTS, ["10.9.0.0/24"])
        | rules("nodes", "in", BALANCER, balancers)
        | rules("nodes", "out", [("tcp", 5432)], ["10.9.1.0/24"])
        | rules("resolver", "out", [("tcp", 53), ("udp", 53)], balancers)
    )


def closed(look, tag, more):
    """Just these rules and no other; to the world, what is stated."""
    seen = look.rules(f"{tag}-")
    right = NODES | more
    expect(seen == right, f"rules of security groups:\n  too much {sorted(map(str, seen - right))}\n  missing  {sorted(map(str, right - seen))}")
    default = [one for one in look.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]]
    vpcs = {one["VpcId"] for one in look.ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"].startswith(f"{tag}-")}
    own = [one for one in default if one["VpcId"] in vpcs]
    expect(own and not any(one["IpPermissions"] or one["IpPermissionsEgress"] for one in own), f"the VPC's default group is open: {own}")


def launch(data, name):
    """IMDSv2 only, encrypted disks, one of them for data, no public address."""
    metadata = data["MetadataOptions"]
    equal((metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"]), ("required", 1), f"metadata options of {name}")
    disks = {one["DeviceName"]: one["Ebs"] for one in data["BlockDeviceMappings"]}
    equal(sorted(disks), ["/dev/xvda", "/dev/xvdb"], f"disks of {name}")
    expect(all(one["Encrypted"] in (True, "true") for one in disks.values()), f"disks of {name}: {disks}")
    expect("NetworkInterfaces" not in data, data.get("NetworkInterfaces"))


def hook(look, group):
    hooks = look.groups.describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"]
    equal([(one["LifecycleHookName"], one["LifecycleTransition"], one["DefaultResult"]) for one in hooks],
          [("swarmer-leave", "autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE")], f"lifecycle hooks of {group}")


def rights(look, role, bucket):
    """The least: nothing with a star but what only describes."""
    for policy in look.policies(role):
        for statement in policy["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            expect(not any("*" in one for one in actions), f"{role}: {actions}")
            if "*" in resources:
                expect(all(one.split(":")[1].startswith("Describe") for one in actions), f"{role} may {actions} everywhere")
    text = json.dumps(look.policies(role))
    expect((bucket or "arn:aws:s3") in text if bucket else "s3:" not in text, f"{role}: {text}")


def buckets(look, tag, cipher):
    names = [one["Name"] for one in look.s3.list_buckets()["Buckets"] if one["Name"].startswith(f"{tag}-")]
    equal(len(names), 2, f"buckets {names}")
    for name in names:
        equal(look.s3.get_bucket_versioning(Bucket=name)["Status"], "Enabled", f"versions of {name}")
        rule = look.s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
        equal(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], cipher, f"encryption of {name}")
        block = look.s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        expect(len(block) == 4 and all(block.values()), f"{name}: {block}")
        expect("aws:SecureTransport" in look.s3.get_bucket_policy(Bucket=name)["Policy"], name)


def forwarding(look, addresses, domain):
    """Questions for the domain go to the balancer, which has all servers behind each port."""
    balancer = look.balancers.describe_load_balancers()["LoadBalancers"][0]
    equal((balancer["Type"], balancer["Scheme"]), ("network", "internal"), "balancer")
    listeners = look.balancers.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    equal(sorted((one["Protocol"], one["Port"]) for one in listeners), [("TCP", 5000), ("TCP", 8300), ("TCP", 8501), ("TCP_UDP", 53)], "listeners")
    rules_made = [one for one in look.resolver.list_resolver_rules()["ResolverRules"] if one["DomainName"].rstrip(".") == domain]
    equal(len(rules_made), 1, "resolver rules")
    equal(sorted(one["Ip"] for one in rules_made[0]["TargetIps"]), sorted(addresses), "where the resolver asks")
