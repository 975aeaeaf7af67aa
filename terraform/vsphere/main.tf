module "cluster" {
  source = "../modules/cluster"

  file         = var.file
  cluster      = var.cluster
  server_token = var.token_in_guestinfo ? "guestinfo:${local.token_key}" : var.server_token
  worker_token = var.token_in_guestinfo && local.has_worker_token ? "guestinfo:${local.token_key}" : var.worker_token
  join         = var.join != null ? var.join : local.by_tag
  settings     = var.settings
}

locals {
  # Keys of guestinfo; the node's file names them.
  token_key        = "swarmer.token"
  user_key         = "swarmer.user"
  password_key     = "swarmer.password"
  has_worker_token = nonsensitive(var.worker_token != "")

  # What the module is told can't be made of what it tells.
  list = var.file == null ? var.cluster : try(yamldecode(file(var.file)), null)
  by_tag = var.discovery == null ? null : [join(" ", compact([
    "provider=vsphere category_name=${var.tag_category.name} tag_name=${try(lower(local.list.stack), "unknown")}-${try(lower(local.list.dc), "unknown")}",
    "host=${var.discovery.host} user=guestinfo:${local.user_key} password=guestinfo:${local.password_key}",
    var.discovery.thumbprint == null ? "" : "thumbprint=${var.discovery.thumbprint}",
    var.discovery.ca_file == null ? "" : "ca_file=${var.discovery.ca_file}",
  ]))]

  # No validation of the variables themselves: that would print what it refuses.
  tokens_fit = !var.token_in_guestinfo || can(regex("^swarmer-server-[0-9a-z]{30,}$", var.server_token)) && can(regex("^(|swarmer-worker-[0-9a-z]{30,})$", var.worker_token))

  given_token = { server = var.server_token, worker = var.worker_token }
  secrets = { for role, token in local.given_token : role => merge(
    var.token_in_guestinfo ? { "guestinfo.${local.token_key}" = token } : {},
    var.discovery == null ? {} : { "guestinfo.${local.user_key}" = var.discovery_user, "guestinfo.${local.password_key}" = var.discovery_password },
  ) }
}

data "vsphere_datacenter" "here" {
  name = var.datacenter
}

data "vsphere_compute_cluster" "here" {
  name          = var.compute_cluster
  datacenter_id = data.vsphere_datacenter.here.id
}

data "vsphere_datastore" "here" {
  for_each      = toset(compact([var.datastore, try(var.iso.datastore, null)]))
  name          = each.value
  datacenter_id = data.vsphere_datacenter.here.id
}

data "vsphere_network" "here" {
  for_each      = toset(var.networks)
  name          = each.value
  datacenter_id = data.vsphere_datacenter.here.id
}

data "vsphere_virtual_machine" "template" {
  count         = var.template == null ? 0 : 1
  name          = var.template
  datacenter_id = data.vsphere_datacenter.here.id
}

data "vsphere_resource_pool" "own" {
  count         = var.resource_pool == null ? 0 : 1
  name          = var.resource_pool
  datacenter_id = data.vsphere_datacenter.here.id
}

locals {
  name     = "${module.cluster.stack}-${module.cluster.dc}"
  machines = module.cluster.machines
  servers  = { for name, machine in local.machines : name => machine if machine.role == "server" }
  template = try(data.vsphere_virtual_machine.template[0], null)
  pool_id  = var.resource_pool == null ? vsphere_resource_pool.here[0].id : data.vsphere_resource_pool.own[0].id

  # What VMware's datasource of cloud-init reads: the machine's name, and its network.
  metadata = { for name in keys(local.machines) : name => base64encode(yamlencode({
    instance-id    = "${local.name}-${name}"
    local-hostname = name
    network        = yamldecode(module.cluster.network_config[name])
  })) }

  # eth0 is the first network, eth1 the second.
  card_number = try(tonumber(regex("^eth([0-9]+)$", module.cluster.interface)[0]), 0)
}

resource "vsphere_folder" "here" {
  path          = var.folder == null ? local.name : var.folder
  type          = "vm"
  datacenter_id = data.vsphere_datacenter.here.id
}

resource "vsphere_resource_pool" "here" {
  count                   = var.resource_pool == null ? 1 : 0
  name                    = local.name
  parent_resource_pool_id = data.vsphere_compute_cluster.here.resource_pool_id
}

resource "vsphere_tag_category" "here" {
  count            = var.tag_category.create ? 1 : 0
  name             = var.tag_category.name
  description      = "Which Swarmer cluster a machine is of"
  cardinality      = "MULTIPLE"
  associable_types = ["VirtualMachine"]

  lifecycle {
    # vSphere takes none back, and may tell them by other names.
    ignore_changes = [associable_types]
  }
}

data "vsphere_tag_category" "here" {
  count = var.tag_category.create ? 0 : 1
  name  = var.tag_category.name
}

resource "vsphere_tag" "here" {
  name        = local.name
  description = "The cluster ${module.cluster.domain}"
  category_id = var.tag_category.create ? vsphere_tag_category.here[0].id : data.vsphere_tag_category.here[0].id
}

# Machines run from it: one that was put there is neither moved nor put there anew.
resource "vsphere_file" "iso" {
  for_each           = try(var.iso.uploads, {})
  datacenter         = var.datacenter
  datastore          = coalesce(var.iso.datastore, var.datastore)
  source_file        = each.value
  destination_file   = each.key
  create_directories = true

  lifecycle {
    ignore_changes = all
  }
}

# A machine is never changed, only replaced: neither a new template nor another size, and no token that was
# rotated, restarts one behind its cluster's back. `terraform apply -replace=…` does, one at a time.
resource "vsphere_virtual_machine" "node" {
  for_each         = local.machines
  name             = "${local.name}-${each.key}"
  annotation       = "A ${each.value.role} of the cluster ${module.cluster.domain}"
  folder           = vsphere_folder.here.path
  resource_pool_id = local.pool_id
  datastore_id     = data.vsphere_datastore.here[var.datastore].id
  tags             = [vsphere_tag.here.id]

  num_cpus  = each.value.cpus
  memory    = each.value.memory
  guest_id  = try(local.template.guest_id, var.guest_id)
  firmware  = try(local.template.firmware, "bios")
  scsi_type = try(local.template.scsi_type, "pvscsi")

  wait_for_guest_net_timeout  = var.wait_for_address
  wait_for_guest_net_routable = false

  dynamic "network_interface" {
    for_each = var.networks
    content {
      network_id   = data.vsphere_network.here[network_interface.value].id
      adapter_type = "vmxnet3"
    }
  }

  dynamic "disk" {
    for_each = local.template == null ? [] : [local.template.disks[0]]
    content {
      label            = "root"
      unit_number      = 0
      size             = disk.value.size
      thin_provisioned = disk.value.thin_provisioned
      eagerly_scrub    = disk.value.eagerly_scrub
    }
  }

  # Blank: the node makes it its own at its first boot.
  disk {
    label            = "data"
    unit_number      = var.template == null ? 0 : 1
    size             = each.value.disk
    thin_provisioned = true
  }

  dynamic "clone" {
    for_each = local.template == null ? [] : [local.template.id]
    content {
      template_uuid = clone.value
    }
  }

  dynamic "cdrom" {
    for_each = var.iso == null ? [] : [var.iso]
    content {
      datastore_id = data.vsphere_datastore.here[coalesce(cdrom.value.datastore, var.datastore)].id
      path         = cdrom.value.path
    }
  }

  extra_config = merge(var.extra_config, {
    "guestinfo.userdata"          = module.cluster.user_data_base64gzip[each.key]
    "guestinfo.userdata.encoding" = "gzip+base64"
    "guestinfo.metadata"          = local.metadata[each.key]
    "guestinfo.metadata.encoding" = "base64"
  }, local.secrets[each.value.role])

  depends_on = [vsphere_file.iso]

  lifecycle {
    ignore_changes = all

    precondition {
      condition     = local.tokens_fit
      error_message = "server_token and worker_token: `swarmer token new` prints the one, `swarmer token derive worker` the other. What the node itself is to find somewhere goes with token_in_guestinfo = false."
    }
    precondition {
      condition     = local.card_number < length(var.networks)
      error_message = "interface: ${module.cluster.interface} is in admin_network, but the machines have ${length(var.networks)} network(s), eth0 and on: set interface: eth0, or name more networks."
    }
  }
}

resource "terraform_data" "servers" {
  input = [for name in keys(local.servers) : vsphere_virtual_machine.node[name].id]
}

resource "vsphere_compute_cluster_vm_anti_affinity_rule" "servers" {
  count               = var.anti_affinity && length(local.servers) > 1 ? 1 : 0
  name                = "${local.name}-servers"
  compute_cluster_id  = data.vsphere_compute_cluster.here.id
  virtual_machine_ids = [for name in keys(local.servers) : vsphere_virtual_machine.node[name].id]
  mandatory           = var.anti_affinity_mandatory

  lifecycle {
    # A rule that names a machine which is gone can be neither read nor mended: it goes before the
    # machine does, and comes back after its successor.
    replace_triggered_by = [terraform_data.servers.output]
  }
}
