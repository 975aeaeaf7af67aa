"""Clusters on vCenter's simulator: made, read back by VMware's client, one machine replaced, gone."""

import base64
import json

from modules_story import examples
from node_file import check, decoded
from project import Project, Tokens, actions, swarmer
from simulators import Vcsim
from timeline import equal, expect, step

# Of whom there is none in vcsim but machines to clone from.
PLACES = """module "cluster" {{
  datacenter       = "DC0"
  compute_cluster  = "DC0_C0"
  datastore        = "LocalDS_0"
  networks         = {networks}
  template         = {template}
  wait_for_address = 0
{more}}}
"""


def project_of(tree, vcsim, tokens, name, template=f'"{Vcsim.TEMPLATE}"'):
    project = Project(tree, name, {**vcsim.environment, "TF_VAR_server_token": tokens.server, "TF_VAR_worker_token": tokens.worker, "TF_VAR_reader_password": "pass"})
    networks = '["VM Network"]' if "small" in name else '["VM Network", "DC0_DVPG0"]'
    more = '  resource_pool = "DC0_C0/Resources/shop"\n' if "full" in name else ""
    project.write("override.tf", PLACES.format(template=template, networks=networks, more=more))
    project.init()
    return project


def read_back(vcsim, tokens, machines, cluster):
    """Each machine as vCenter has it: sizes, disks, tag, and what it is told."""
    found = vcsim.machines(cluster)
    equal(sorted(found), sorted(f"{cluster}-{name}" for name in machines), "machines in the folder")
    tagged = json.loads(vcsim.govc("tags.attached.ls", "-json", cluster)) or []
    equal(len(tagged), len(machines), "machines with the tag")
    for name, said in machines.items():
        machine = found[f"{cluster}-{name}"]
        hardware = machine["config"]["hardware"]
        equal((hardware["memoryMB"], hardware["numCPU"]), (said["memory"], said["cpus"]), f"size of {name}")
        disks = [one["capacityInKB"] // 1048576 for one in hardware["device"] if "capacityInKB" in one]
        equal(disks[1:], [said["disk"]], f"data disk of {name}")
        config = vcsim.extra_config(machine)
        equal(config["guestinfo.userdata.encoding"], "gzip+base64", "encoding of user-data")
        token = tokens.server if said["role"] == "server" else tokens.worker
        # The token is in a key that the node wipes, and not in what stays.
        equal(config["guestinfo.swarmer.token"], token, f"token of {name}")
        check(config["guestinfo.userdata"], said["role"], "guestinfo:swarmer.token", name)
        tokens.expect_not_in(decoded(config["guestinfo.userdata"]), f"user-data of {name}")
        metadata = base64.b64decode(config["guestinfo.metadata"]).decode()
        expect(f'"local-hostname": "{name}"' in metadata, metadata)
        expect((said["ip"] is None) == ('"dhcp4": true' in metadata) and (said["ip"] or "") in metadata, metadata)
        tokens.expect_not_in(metadata + json.dumps(machine["config"]["annotation"]), f"meta-data of {name}")


def machines_of(plan):
    """What the list says, as the module read it."""
    modules = plan["planned_values"]["root_module"]["child_modules"]
    found = [one for module in modules for one in module.get("resources", []) if one["type"] == "vsphere_virtual_machine"]
    return [one["index"] for one in found]


def apply_and_read(tree, vcsim, name, machines, cluster):
    tokens = Tokens()
    before = vcsim.everything()
    project = project_of(tree, vcsim, tokens, name)
    with step(f"{name}: planned, no token to be seen"):
        seen, plan = project.plan()
        tokens.expect_not_in(seen, "the plan")
        equal(sorted(machines_of(plan)), sorted(machines), "planned machines")
    with step(f"{name}: applied"):
        tokens.expect_not_in(project.apply(), "what apply says")
    with step(f"{name}: read back by govc"):
        read_back(vcsim, tokens, machines, cluster)
        expect(f"{cluster}-servers" in vcsim.govc("cluster.rule.ls", "-cluster", "DC0_C0"), "no anti-affinity rule")
    with step(f"{name}: nothing is left to do"):
        equal(actions(project.plan()[1]), {}, "changes after apply")
    return project, tokens, before


def discovered(vcsim, machines, cluster):
    """The agent's own discovery sees what Terraform made, once the machines have told their addresses."""
    for name, said in machines.items():
        vcsim.govc("vm.change", "-vm", f"/DC0/vm/{cluster}/{cluster}-{name}", "-e", f"SET.guest.ipAddress={said['ip']}")
    thumbprint = vcsim.govc("about.cert", "-k", "-thumbprint").split()[-1]
    line = f"provider=vsphere category_name=swarmer tag_name={cluster} host={vcsim.address} user=user password=pass thumbprint={thumbprint}"
    with step("swarmer discover finds the machines by their tag"):
        said = swarmer("discover", line)
        for machine in machines.values():
            expect(machine["ip"] in said, f"{machine['ip']} is not in\n{said}")


def gone(project, vcsim, before):
    with step(f"{project.name}: destroyed, nothing left"):
        project.destroy()
        equal(project.state(), [], "state")
        equal(vcsim.everything(), before, "vCenter")


def replaced(project, vcsim, cluster):
    """A new template replaces nothing by itself; one machine after the other is replaced when told so."""
    node = 'module.cluster.vsphere_virtual_machine.node["{}"]'
    project.edit("override.tf", Vcsim.TEMPLATE, "DC0_H0_VM0")
    project.edit("servers.yml", "disk: 20", "disk: 30")
    with step("a new template and larger disks change no machine"):
        equal(actions(project.plan()[1]), {}, "changes")
    for name in ("node-1", "node-2"):
        with step(f"{name} is replaced, and only it"):
            born = {one: machine["config"]["createDate"] for one, machine in vcsim.machines(cluster).items()}
            planned = actions(project.plan(f"-replace={node.format(name)}")[1])
            expect(planned.pop(node.format(name)) == ["delete", "create"], planned)
            machines = [one for one in planned if "virtual_machine" in one]
            equal(machines, [], "other machines that change")
            project.apply(f"-replace={node.format(name)}")
            now = {one: machine["config"]["createDate"] for one, machine in vcsim.machines(cluster).items()}
            equal({one for one in now if now[one] != born[one]}, {f"{cluster}-{name}"}, "machines that are new")


def story(tree, folder):
    vcsim = Vcsim(folder)
    try:
        server = {"role": "server", "memory": 2048, "cpus": 2, "disk": 20}
        small = {f"node-{number}": {**server, "ip": f"10.20.0.{10 + number}"} for number in (1, 2, 3)}
        project, _, before = apply_and_read(tree, vcsim, "examples/vsphere-small", small, "shop-prod")
        discovered(vcsim, small, "shop-prod")
        replaced(project, vcsim, "shop-prod")
        gone(project, vcsim, before)

        vcsim.govc("tags.category.create", "-m", "clusters")
        vcsim.govc("pool.create", "/DC0/host/DC0_C0/Resources/shop")
        full = {f"server-{number}": {"role": "server", "memory": 4096, "cpus": 4, "disk": 50, "ip": f"10.30.0.{10 + number}"} for number in (1, 2, 3)}
        full |= {f"worker-{number}": {"role": "worker", "memory": 8192, "cpus": 4, "disk": 100, "ip": None} for number in (1, 2)}
        project, _, before = apply_and_read(tree, vcsim, "examples/vsphere-full", full, "shop-prod")
        gone(project, vcsim, before)

        with step("examples/vsphere-iso: planned (vcsim makes no machine without a template)"):
            seen, plan = project_of(tree, vcsim, tokens := Tokens(), "examples/vsphere-iso", "null").plan()
            tokens.expect_not_in(seen, "the plan")
            equal(len(machines_of(plan)), 3, "planned machines")
        equal(len(examples("vsphere")), 3, "examples that this story knows")
    finally:
        vcsim.stop()
