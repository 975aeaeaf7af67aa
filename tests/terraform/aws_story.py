"""Clusters on AWS' simulator: made, read back through AWS' API, machines replaced, gone."""

import json
import re

import aws_checks as checks
from aws_look import Look
from hosts import Hosts, missing, until
from modules_story import examples
from node_file import check
from project import Project, Tokens, actions, differences, swarmer
from simulators import Moto
from timeline import equal, expect, say, step

# moto is a region of long ago, where an address is of no VPC unless one says so; newer providers don't
# know the word any more.
CLASSIC = """resource "aws_eip" "nat" {
  vpc = true
}
resource "aws_eip" "bastion" {
  vpc = true
}
"""
# What moto forgets, or tells otherwise: addresses of a load balancer, tags, the group of a single machine; among
# what a template gives its machines it has the template's own tags, and the groups follow their templates.
FORGETS = re.compile(r"module\.cluster\.(aws_lb.*|aws_vpc_dhcp_options\S+ tags(_all)?|aws_instance\.bastion\S+ vpc_security_group_ids"
                     r"|aws_launch_template\S+ tag_specifications|aws_autoscaling_group\S+ launch_template)")
GROUP = 'module.cluster.aws_autoscaling_group.server["{}"]'


def project_of(tree, moto, name, variables):
    project = Project(tree, name, {**moto.environment, **{f"TF_VAR_{key}": value for key, value in variables.items()}})
    project.write("override.tf", moto.override())
    (tree.path("aws") / "override.tf").write_text(CLASSIC)
    project.init()
    return project


def apply(project, tokens):
    with step(f"{project.name}: planned, no token to be seen"):
        seen, _ = project.plan()
        tokens.expect_not_in(seen, "the plan")
    with step(f"{project.name}: applied"):
        tokens.expect_not_in(project.apply(), "what apply says")
    with step(f"{project.name}: nothing is left to do"):
        left = {one for one in differences(project.plan()[1]) if not FORGETS.fullmatch(one)}
        equal(left, set(), "changes after apply")


def machines(look, tokens, tag, names, workers):
    """Servers in three zones, each with its own name; user-data that the agent takes."""
    servers = look.by_name(tag)
    equal(sorted(servers), sorted(f"{tag}-{name}" for name in names), "servers")
    zones = {one["Placement"]["AvailabilityZone"] for one in servers.values()}
    equal(len(zones), min(3, len(names)), f"zones of the servers, {sorted(zones)}")
    equal(len(look.instances(tag, "worker")), workers, "workers")
    templates = look.templates()
    for name in names:
        data = templates[f"{tag}-{name}"]
        own = check(data["UserData"], "server", tokens.server, name)
        expect(f"tag_value={tag}" in own and "bucket" in own, own)
        checks.launch(data, name)
    if workers:
        check(templates[f"{tag}-workers"]["UserData"], "worker", tokens.worker)
        checks.launch(templates[f"{tag}-workers"], "workers")
    tags = json.dumps([one.get("Tags") for one in look.instances(tag)] + look.ec2.describe_tags()["Tags"])
    tokens.expect_not_in(tags, "tags")


def discovered(moto, look, tag):
    """The agent's own discovery sees the servers that Terraform made, and no worker."""
    line = f"provider=aws tag_key=swarmer tag_value={tag} region={moto.REGION} endpoint={moto.url} access_key_id=testing secret_access_key=testing"
    with step("swarmer discover finds the servers"):
        found = json.loads(swarmer("discover", line, "--json"))
        equal({one["address"] for one in found if one["address"]}, {f"{one['PrivateIpAddress']}:8300" for one in look.instances(tag, "server")}, "discovered")


def ids(look, tag):
    return {name: one["InstanceId"] for name, one in look.by_name(tag).items()}


def formed(hosts):
    """The machines start, with what Terraform told them and nothing else."""
    with step("three machines start: a cluster, by nothing but their user-data and their tag"):
        hosts.start()
        hosts.wait_healthy()
        hosts.any().swarmer("kv", "put", "greeting", "hello")
    with step("any node answers for registry.service.prod.shop, whose images are in the bucket"):
        until("its address is a server's", lambda: expect(set(hosts.dig("registry.service.prod.shop")) & hosts.members(), hosts.dig("registry.service.prod.shop")))


def healed(hosts):
    """A machine that EC2 has ended is no member any more; its successor joins and knows what was written before."""
    if hosts:
        hosts.end()
        say(f"its member was gone {hosts.wait_members():.1f} s after the machine: the cloud was witness")
        hosts.start()
        hosts.wait_healthy()
        equal(hosts.any().swarmer("kv", "get", "greeting").strip(), "hello", "what was written before")
        say("its successor has joined; three vote again")


def replaced(project, look, tag, hosts):
    """A machine that dies comes again; a new image replaces nothing by itself, and one when told so."""
    before = ids(look, tag)
    zone = look.by_name(tag)[f"{tag}-node-1"]["Placement"]["AvailabilityZone"]
    with step("a server that is terminated comes again, in its zone, with its name"):
        look.groups.terminate_instance_in_auto_scaling_group(InstanceId=before[f"{tag}-node-1"], ShouldDecrementDesiredCapacity=False)
        now = ids(look, tag)
        equal({name for name in now if now[name] != before.get(name)}, {f"{tag}-node-1"}, "servers that are new")
        equal(look.by_name(tag)[f"{tag}-node-1"]["Placement"]["AvailabilityZone"], zone, "its zone")
        healed(hosts)
    with step("a shorter list moves no server that stays to another zone"):
        gone = "  - { name: node-1, role: server, disk: 20 }\n  - { name: node-2, role: server, disk: 20 }\n"
        project.edit("servers.yml", gone, "")
        stays = GROUP.format("node-3")
        [change] = [one["change"] for one in project.plan()[1]["resource_changes"] if one["address"] == stays]
        equal(change["after"]["vpc_zone_identifier"], change["before"]["vpc_zone_identifier"], "the subnets of node-3")
        project.edit("servers.yml", "servers:\n", f"servers:\n{gone}")
    image = look.register_image("swarmer-0.2.0-1800000000")
    with step("a new image replaces no machine"):
        expect(not [done for done in actions(project.plan()[1]).values() if "delete" in done], "something would go")
        project.apply()
        equal(ids(look, tag), now, "servers")
    for name in ("node-2", "node-3"):
        with step(f"{name} is replaced by one of the new image, and only it"):
            before = ids(look, tag)
            address = GROUP.format(name)
            planned = actions(project.plan(f"-replace={address}")[1])
            equal([one for one, done in planned.items() if "delete" in done], [address], "what goes")
            project.apply(f"-replace={address}")
            now = ids(look, tag)
            equal({one for one in now if now[one] != before[one]}, {f"{tag}-{name}"}, "servers that are new")
            equal(look.by_name(tag)[f"{tag}-{name}"]["ImageId"], image, "its image")
            checks.hook(look, f"{tag}-{name}")
            healed(hosts)


def gone(project, look, before):
    with step(f"{project.name}: destroyed, nothing left"):
        project.destroy()
        equal(project.state(), [], "state")
        now = look.everything()
        equal({kind: now[kind] for kind in now if now[kind] != before[kind]}, {kind: before[kind] for kind in now if now[kind] != before[kind]}, "what is left")


def small(tree, moto, look):
    tokens, before, tag = Tokens(), look.everything(), "shop-prod"
    project = project_of(tree, moto, "examples/aws-small", {"server_token": tokens.server})
    apply(project, tokens)
    with step("read back: three servers in three zones, their user-data, disks, IMDSv2"):
        machines(look, tokens, tag, ["node-1", "node-2", "node-3"], 0)
        checks.hook(look, f"{tag}-node-1")
    with step("read back: security groups, rights, buckets"):
        checks.closed(look, tag, checks.BASTION_OUT)
        checks.rights(look, f"{tag}-server", f"{tag}-registry")
        checks.buckets(look, tag, "AES256")
    discovered(moto, look, tag)
    hosts = None
    if missing():
        say(f"no machine starts, for want of {missing()}")
    else:
        hosts = Hosts(moto, look, tag, "10.20.0.0/16", tree.folder)
    try:
        if hosts:
            formed(hosts)
        replaced(project, look, tag, hosts)
    finally:
        if hosts:
            hosts.close()
    gone(project, look, before)


def full(tree, moto, look):
    tokens, before, tag = Tokens(), look.everything(), "shop-prod"
    project = project_of(tree, moto, "examples/aws-full", {"server_token": tokens.server, "worker_token": tokens.worker})
    apply(project, tokens)
    with step("read back: servers, workers, groups, rights, buckets, balancer, resolver"):
        machines(look, tokens, tag, ["server-1", "server-2", "server-3"], 2)
        checks.closed(look, tag, checks.full_rules())
        checks.rights(look, f"{tag}-server", f"{tag}-registry")
        checks.rights(look, f"{tag}-worker", None)
        checks.buckets(look, tag, "aws:kms")
        checks.forwarding(look, project.outputs()["balancer"]["addresses"], "prod.shop")
        # The bastion is told who its peers are, and no secret.
        expect(project.outputs()["bastion"]["peers"] == {"ann": "10.99.0.2"}, project.outputs())
    discovered(moto, look, tag)
    with step("a worker that is terminated comes again"):
        old = look.instances(tag, "worker")[0]["InstanceId"]
        look.groups.terminate_instance_in_auto_scaling_group(InstanceId=old, ShouldDecrementDesiredCapacity=False)
        now = [one["InstanceId"] for one in look.instances(tag, "worker")]
        expect(len(now) == 2 and old not in now, f"{old} and then {now}")
    gone(project, look, before)


def own_vpc(tree, moto, look):
    tokens, tag = Tokens(), "lab-dev"
    vpc = look.ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    subnets = [look.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.50.{number}.0/24", AvailabilityZone=f"{moto.REGION}{'abc'[number]}")["Subnet"]["SubnetId"] for number in range(3)]
    other = look.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    wrong = look.ec2.create_subnet(VpcId=other, CidrBlock="10.60.0.0/24")["Subnet"]["SubnetId"]
    before = look.everything()
    project = project_of(tree, moto, "examples/aws-own-vpc", {"vpc_id": vpc, "subnet_ids": json.dumps(subnets)})
    with step("a subnet outside admin_network is refused"):
        said = project.refused(f"-var=subnet_ids={json.dumps([wrong])}")
        expect("nodes would not know their own address" in said, said[-900:])
    apply(project, tokens)
    with step("read back: own VPC, tokens in Parameter Store"):
        servers = look.by_name(tag)
        equal({one["SubnetId"] for one in servers.values()}, set(subnets), "the servers' subnets")
        own = check(look.templates()[f"{tag}-node-1"]["UserData"], "server", "ssm:/swarmer/lab/dev/server", "node-1")
        expect("swarmer-server-" not in own, "a token is in user-data")
        rights = json.dumps(look.policies(f"{tag}-server"))
        expect(f"parameter/swarmer/lab/dev/server" in rights and "parameter/" not in json.dumps(look.policies(f"{tag}-worker")), rights)
    gone(project, look, before)


def story(tree, folder):
    moto = Moto(folder)
    try:
        look = Look(moto)
        look.register_image("swarmer-0.1.0-1700000000")
        small(tree, moto, look)
        full(tree, moto, look)
        own_vpc(tree, moto, look)
        equal(len(examples("aws")), 3, "examples that this story knows")
    finally:
        moto.stop()
