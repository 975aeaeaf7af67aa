"""What needs no cloud: the form, the READMEs, each module and example by itself, and that the list of
machines is read as the agent reads it."""

import json
import os
import re
import sys

from node_file import check, decoded
from project import CACHE, ROOT, Project, Tokens, run, swarmer
from timeline import equal, expect, say, step

MODULES = {"modules/cluster": None, "vsphere": "vsphere", "aws": "aws"}

LIST = """stack: prod
dc: east
admin_network: 10.1.0.0/16
interface: eth0
gateway: 10.1.0.254
nameservers: [10.1.0.253, "fd00::53"]
ssh_authorized_keys: [ssh-ed25519 AAAAC3Nz ann@example.com]
servers:
- { name: N1, ip: 10.1.0.1, role: server, memory: 2048, cpus: 4, disk: 100 }
- { name: w1, ip: 10.1.0.4, role: worker }
"""
# One line of the list, and what stands there instead. Both readers must complain in the same words.
WRONG = [
    ("stack: prod", "stack: 7"),
    ("dc: east", "dc: East_1"),
    ("interface: eth0", "interface: 9"),
    ("gateway: 10.1.0.254", "gateway: 10.2.0.254"),
    ("10.1.0.0/16", "10.1.0.0/33"),
    ("10.1.0.0/16", "172.16.0.0/12"),
    ("name: w1", "name: n1"),
    ("name: w1, ", ""),
    ("ip: 10.1.0.4", "ip: 10.1.0.1"),
    ("ip: 10.1.0.4", "ip: 10.2.0.4"),
    ("ip: 10.1.0.4", "ip: 10.1.0.254"),
    ("ip: 10.1.0.4", "ip: 10.1.255.255"),
    ("ip: 10.1.0.4, ", ""),
    ("ip: 10.1.0.4", "ip: fd00::1"),
    ("role: worker", "role: sever"),
    ("role: worker", "role: server"),
    ("role: worker", "role: worker, memory: 128"),
    ("role: worker", "role: worker, disk: 20G"),
    ("role: server", "role: worker"),
]


def providers():
    """Which are in the cache."""
    found = CACHE.glob("mirror/registry.terraform.io/hashicorp/*")
    return {one.name for one in found if list(one.glob("*/*/terraform-provider-*"))}


def form():
    ended = run(["terraform", "fmt", "-check", "-recursive", ROOT / "terraform"], may_fail=True)
    expect(ended.returncode == 0, f"`make fix` formats {' '.join(ended.stdout.split())}")
    run([sys.executable, ROOT / "terraform/document.py", "--check"])


def examples(provider):
    folders = sorted(one.name for one in (ROOT / "terraform/examples").iterdir() if one.is_dir())
    return [f"examples/{name}" for name in folders if name.split("-")[0] == provider]


def valid(tree, provider):
    """Modules and examples of one provider; `None`: those without."""
    own = [name for name, needs in MODULES.items() if needs == provider]
    for name in own + (examples(provider) if provider else []):
        project = Project(tree, name)
        with step(f"{name}: valid"):
            project.init()
            project.validate()
    for name in own:
        with step(f"{name}: its own tests"):
            Project(tree, name).test()


def flat(text):
    return " ".join(text.split())


def same_as_the_agent(tree):
    """The list as Terraform reads it and as `swarmer` does: user-data, network and complaints."""
    tokens, project = Tokens(), Project(tree, "modules/cluster")
    variables = {"TF_VAR_server_token": tokens.server, "TF_VAR_worker_token": tokens.worker, "TF_VAR_file": "list.yml"}
    project.environment.update(variables)
    project.write("list.yml", LIST)
    project.write("token", tokens.server)
    with step("a list becomes the same user-data as by swarmer cloud-init"):
        project.apply()
        made = project.outputs()
        for name in ("n1", "w1"):
            right = json.loads(swarmer("cloud-init", name, "--from", "list.yml", "--token-file", "token", "--json", folder=project.folder))
            equal(made["user_data"][name], right["user_data"], f"user-data of {name}")
            equal(decoded(made["user_data_base64gzip"][name]), right["user_data"], f"packed user-data of {name}")
            equal(made["meta_data"][name], right["meta_data"], f"meta-data of {name}")
            equal(made["network_config"][name], right["network_config"], f"network-config of {name}")
        check(made["user_data_base64gzip"]["n1"], "server", tokens.server, "n1")
        check(made["any_worker_user_data_base64gzip"], "worker", tokens.worker)
    with step(f"{len(WRONG)} wrong lists are told in the same words"):
        for old, new in WRONG:
            expect(old in LIST, old)
            project.write("list.yml", LIST.replace(old, new, 1))
            seen = project.refused()
            ended = swarmer("config", "check", "--servers", "list.yml", folder=project.folder, may_fail=True)
            equal(ended.returncode, 78, f"the agent's exit code about {new!r}")
            for line in ended.stderr.strip().splitlines():
                # Terraform knows no lines; the rest is the same, but for hints about single letters.
                told = re.sub(r"^(swarmer: )?list\.yml:\d+(:\d+)?: ", "", line)
                expect(flat(told) in seen, f"{new!r}: Terraform says\n  {seen[-900:]}\nand not\n  {told}")
            tokens.expect_not_in(seen, f"what is said about {new!r}")


def quick(tree):
    """What `make test` does: seconds."""
    with step("form and READMEs"):
        form()
    valid(tree, None)
    same_as_the_agent(tree)
    if "vsphere" in providers():
        valid(tree, "vsphere")
    else:
        line = "terraform/vsphere: skipped, for want of its provider (make test-terraform builds it)"
        say(line)
        if os.environ.get("SWARMER_SKIPPED"):
            with open(os.environ["SWARMER_SKIPPED"], "a") as file:
                print(line, file=file)


def lint(tree):
    """Policies, by checkov: what is let pass, and why, is in terraform/.checkov.yaml. It runs without a network."""
    program = CACHE / "lint/bin/checkov"
    arguments = [program, "-d", tree.path(""), "--config-file", tree.path(".checkov.yaml")]
    ended = run(arguments, environment={"HOME": str(tree.folder), "BC_SOURCE": "cli"}, may_fail=True)
    expect(ended.returncode == 0 and "Failed checks: 0" in ended.stdout, f"checkov: {ended.stdout[-4000:]}{ended.stderr[-1000:]}")


def whole(tree):
    with step("form and READMEs"):
        form()
    for provider in (None, "vsphere", "aws"):
        valid(tree, provider)
    same_as_the_agent(tree)
    with step("policy lint"):
        lint(tree)
