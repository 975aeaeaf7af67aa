# Plans without a vCenter: clones, machines of the ISO, and what is refused.

mock_provider "vsphere" {
  mock_data "vsphere_virtual_machine" {
    defaults = {
      id        = "4207-template"
      guest_id  = "debian11_64Guest"
      firmware  = "bios"
      scsi_type = "pvscsi"
      disks     = [{ label = "Hard disk 1", size = 8, unit_number = 0, thin_provisioned = true, eagerly_scrub = false }]
    }
  }
}

variables {
  server_token    = "swarmer-server-0000000000000000000000000000000000000000"
  datacenter      = "dc"
  compute_cluster = "cluster"
  datastore       = "ssd"
  networks        = ["servers"]
  template        = "swarmer-0.1.0"
  cluster = {
    stack         = "shop"
    dc            = "prod"
    admin_network = "10.20.0.0/24"
    interface     = "eth0"
    servers       = [for number in range(3) : { name = "node-${number + 1}", ip = "10.20.0.${11 + number}", role = "server", disk = 40 }]
  }
}

run "clones" {
  command = plan

  assert {
    condition     = length(vsphere_virtual_machine.node) == 3 && length(vsphere_compute_cluster_vm_anti_affinity_rule.servers) == 1
    error_message = "Three machines, on different hosts."
  }
  assert {
    condition     = alltrue([for node in vsphere_virtual_machine.node : node.disk[0].size == 8 && node.disk[1].size == 40 && length(node.clone) == 1 && length(node.cdrom) == 0])
    error_message = "Each has the template's disk and a data disk."
  }
  assert {
    condition     = yamldecode(base64decode(nonsensitive(vsphere_virtual_machine.node["node-2"].extra_config["guestinfo.metadata"]))).network.ethernets.eth0.addresses[0] == "10.20.0.12/24"
    error_message = "Each is told its address."
  }
}

run "the_token_is_not_in_user_data" {
  command = plan

  assert {
    condition     = vsphere_virtual_machine.node["node-1"].extra_config["guestinfo.swarmer.token"] == var.server_token && strcontains(module.cluster.user_data["node-1"], "guestinfo:swarmer.token") && !strcontains(module.cluster.user_data["node-1"], var.server_token)
    error_message = "It is in a key of its own."
  }
}

run "the_token_may_be_in_user_data" {
  command = plan
  variables {
    token_in_guestinfo = false
  }
  assert {
    condition     = !contains(keys(nonsensitive(vsphere_virtual_machine.node["node-1"].extra_config)), "guestinfo.swarmer.token") && strcontains(module.cluster.user_data["node-1"], var.server_token)
    error_message = "It is there, and nowhere else."
  }
}

run "a_token_of_the_other_role" {
  command = plan
  variables {
    server_token = "swarmer-worker-0000000000000000000000000000000000000000"
  }
  expect_failures = [vsphere_virtual_machine.node]
}

run "found_by_their_tag" {
  command = plan
  variables {
    discovery          = { host = "vcenter.example.com", ca_file = "/etc/ssl/vcenter.pem" }
    discovery_user     = "reader@vsphere.local"
    discovery_password = "hunter2"
  }
  assert {
    condition     = strcontains(module.cluster.user_data["node-1"], "provider=vsphere category_name=swarmer tag_name=shop-prod host=vcenter.example.com user=guestinfo:swarmer.user password=guestinfo:swarmer.password ca_file=/etc/ssl/vcenter.pem") && !strcontains(module.cluster.user_data["node-1"], "hunter2")
    error_message = "They look for the tag, and the password is not in user-data."
  }
}

run "machines_of_the_iso" {
  command = plan
  variables {
    template = null
    iso      = { path = "swarmer/swarmer-0.1.0.iso" }
  }
  assert {
    condition     = alltrue([for node in vsphere_virtual_machine.node : length(node.disk) == 1 && node.disk[0].size == 40 && length(node.clone) == 0 && node.cdrom[0].path == "swarmer/swarmer-0.1.0.iso"])
    error_message = "Each has the ISO and a data disk, and nothing else."
  }
}

run "neither_template_nor_iso" {
  command = plan
  variables {
    template = null
  }
  expect_failures = [var.template]
}

run "an_interface_that_is_not_there" {
  command = plan
  variables {
    cluster = { stack = "shop", dc = "prod", admin_network = "10.20.0.0/24", servers = [{ name = "a", ip = "10.20.0.11", role = "server" }] }
  }
  expect_failures = [vsphere_virtual_machine.node]
}

run "an_iso_that_can_t_be_uploaded" {
  command = plan
  variables {
    template = null
    iso      = { path = "swarmer/swarmer.iso", uploads = { "swarmer/swarmer.iso" = "/nonexistent.iso" } }
  }
  expect_failures = [var.iso]
}
