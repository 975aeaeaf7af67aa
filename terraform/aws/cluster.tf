data "aws_region" "here" {}
data "aws_partition" "here" {}
data "aws_caller_identity" "here" {}

locals {
  region    = data.aws_region.here.id
  partition = data.aws_partition.here.partition
  account   = data.aws_caller_identity.here.account_id

  name      = "${module.cluster.stack}-${module.cluster.dc}"
  machines  = module.cluster.machines
  servers   = { for name, machine in local.machines : name => machine if machine.role == "server" }
  in_list   = [for machine in local.machines : machine if machine.role == "worker"]
  workers   = var.workers != null ? var.workers : { min = length(local.in_list), max = length(local.in_list) }
  some_work = local.workers.max > 0

  # All images in one place, whoever serves them. The bucket's own rule encrypts.
  own_storage = try(var.settings.registry.storage, null) != null
  s3_settings = {
    registry = merge(try(var.settings.registry, {}), { storage = { s3 = { bucket = local.bucket_names.registry, region = local.region } } })
  }
  server_settings = { for key, value in local.s3_settings : key => value if var.registry_bucket && !local.own_storage }

  # docs/operations.md has the table; what the nodes' file changes is changed here too.
  ports = {
    rpc      = try(var.settings.listen.rpc, 8300)
    https    = try(var.settings.listen.https, 8501)
    registry = try(var.settings.listen.registry, 5000)
    docker   = try(var.settings.listen.docker, 2376)
    dns      = try(var.settings.dns.port, 53)
  }
  with_docker = try(var.settings.docker.enabled, true)
}

module "cluster" {
  source = "../modules/cluster"

  file            = var.file
  cluster         = var.cluster
  server_token    = var.server_token
  worker_token    = var.worker_token
  join            = local.has_own_join ? null : [local.own_join]
  settings        = var.settings
  server_settings = local.server_settings
}

locals {
  # What the module is told can't be made of what it tells.
  list         = var.file == null ? var.cluster : try(yamldecode(file(var.file)), null)
  tag_of_list  = "${try(lower(local.list.stack), "unknown")}-${try(lower(local.list.dc), "unknown")}"
  has_own_join = try(length(local.list.join) > 0, false)
  own_join     = "provider=aws tag_key=swarmer tag_value=${local.tag_of_list} region=${local.region}"
}

data "aws_ami" "node" {
  count       = var.ami.id == null ? 1 : 0
  most_recent = true
  owners      = var.ami.owners

  filter {
    name   = "name"
    values = [var.ami.name]
  }
  filter {
    name   = "state"
    values = ["available"]
  }
}

locals {
  ami_id = var.ami.id != null ? var.ami.id : data.aws_ami.node[0].id
}
