variable "file" {
  type        = string
  default     = null
  description = "The cluster's `servers.yml`. Here its `admin_network` is the VPC's range; each server is a machine of its own, the workers are as many as it lists; of a machine, `name`, `role` and `disk` count."
}

variable "cluster" {
  type        = any
  default     = null
  description = "Instead of `file`: the same as an object."
}

variable "server_token" {
  type        = string
  sensitive   = true
  description = "What `swarmer token new` prints, or where AWS keeps it (`ssm:NAME` of a SecureString parameter, `secretsmanager:NAME`): then it is in no user-data and in no state, and only the servers' role may read it."
}

variable "worker_token" {
  type        = string
  default     = ""
  sensitive   = true
  description = "What `swarmer token derive worker` prints, or where AWS keeps it. Needed if there are workers."
}

variable "settings" {
  type        = any
  default     = {}
  description = "More of the nodes' one file: `dns`, `docker`, `registry`, `log`, `meta`, `listen`, `timing`. Ports that are changed here are changed in the security groups too."
}

variable "zones" {
  type        = list(string)
  default     = null
  description = "The availability zones, for example `[\"eu-central-1a\", \"eu-central-1b\", \"eu-central-1c\"]`. Default: the region's first three. Servers go round them in the list's order. Name them where much depends on it: a region may get new ones."

  validation {
    condition     = var.zones == null || try(length(var.zones) >= 1 && length(var.zones) <= 3 && length(distinct(var.zones)) == length(var.zones), false)
    error_message = "Name one to three zones, each once; three survive the loss of one."
  }
}

variable "vpc" {
  type = object({
    id                  = string
    subnet_ids          = list(string)
    public_subnet_ids   = optional(list(string), [])
    balancer_subnet_ids = optional(list(string), [])
  })
  default     = null
  description = "Your own VPC instead of a new one: one subnet for nodes in each zone, with a way to AWS' APIs (NAT or endpoints). A public one is needed for WireGuard, some of nobody else's for the load balancer."

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) >= 1 && length(distinct(var.vpc.subnet_ids)) == length(var.vpc.subnet_ids), false)
    error_message = "vpc.subnet_ids: name at least one subnet, best one in each of three zones, each once."
  }
}

variable "nat" {
  type        = string
  default     = "one"
  description = "How nodes of a new VPC reach the world (images, AWS' APIs): `one` NAT gateway, one `per_zone` (a lost zone takes nothing from the others), or `none`."

  validation {
    condition     = contains(["one", "per_zone", "none"], var.nat)
    error_message = "It is one, per_zone or none."
  }
}

variable "operator_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks of operators: they reach the ports for joining, the API, the engines, DNS and the registry."

  validation {
    condition     = alltrue([for one in var.operator_cidrs : can(cidrnetmask(one)) && !endswith(one, "/0")])
    error_message = "Each is a network like 10.8.0.0/24, and not the whole world: use a bastion or a VPN."
  }
}

variable "client_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks of machines that are no nodes but ask for the cluster's names and use its registry."

  validation {
    condition     = alltrue([for one in var.client_cidrs : can(cidrnetmask(one)) && !endswith(one, "/0")])
    error_message = "Each is a network like 10.0.0.0/16, and not the whole world."
  }
}

variable "published" {
  type = list(object({
    protocol = optional(string, "tcp")
    from     = number
    to       = number
  }))
  default     = []
  description = "Ports of containers that nodes, operators and clients reach: those that you publish. Swarm picks from 30000 to 32767, `docker run -P` from 32768 to 60999."

  validation {
    condition     = alltrue([for one in var.published : contains(["tcp", "udp"], one.protocol) && one.from >= 1 && one.to >= one.from && one.to <= 65535])
    error_message = "Each has a protocol (tcp or udp) and ports from 1 to 65535, the last one not before the first."
  }
}

variable "egress" {
  type = list(object({
    protocol = string
    port     = number
    cidrs    = list(string)
  }))
  default     = [{ protocol = "tcp", port = 443, cidrs = ["0.0.0.0/0"] }]
  description = "What nodes may reach beside one another. HTTPS is for AWS' APIs and for pulling images."

  validation {
    condition     = alltrue([for one in var.egress : contains(["tcp", "udp"], one.protocol) && one.port >= 1 && one.port <= 65535 && alltrue([for cidr in one.cidrs : can(cidrnetmask(cidr))])])
    error_message = "Each has a protocol (tcp or udp), a port from 1 to 65535, and networks like 0.0.0.0/0."
  }
}

variable "ami" {
  type = object({
    id     = optional(string)
    name   = optional(string, "swarmer-*")
    owners = optional(list(string), ["self"])
  })
  default     = {}
  description = "The image: the newest whose name fits (`packer build -only=amazon-ebs.image` names them `swarmer-VERSION-TIME`), or an `id`. Another one replaces no machine by itself."

  validation {
    condition     = var.ami.id == null || can(regex("^ami-[0-9a-f]+$", var.ami.id))
    error_message = "ami.id: an image's id looks like ami-0123456789abcdef0."
  }
}

variable "instance_type" {
  type = object({
    server = optional(string, "t3.small")
    worker = optional(string, "t3.medium")
  })
  default     = {}
  description = "The machines' types; of x86-64, as the image is."

  validation {
    condition     = alltrue([for one in [var.instance_type.server, var.instance_type.worker] : can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", one))])
    error_message = "A type looks like t3.small."
  }
}

variable "data_volume" {
  type = object({
    type       = optional(string, "gp3")
    iops       = optional(number, 3000)
    throughput = optional(number, 125)
  })
  default     = {}
  description = "The data disks' kind; their size is the list's `disk`. A server writes its log with an fsync before it says yes."

  validation {
    condition     = contains(["gp3", "io1", "io2"], var.data_volume.type)
    error_message = "data_volume.type: gp3, io1 or io2; others promise no steady fsync."
  }
  validation {
    condition     = var.data_volume.iops >= (var.data_volume.type == "gp3" ? 3000 : 100)
    error_message = "data_volume.iops: gp3 has 3000 at the least, io1 and io2 100."
  }
}

variable "kms_key_arn" {
  type        = string
  default     = null
  description = "A key of your own for disks, buckets and SecureString parameters. Default: AWS' own. Its policy must let the autoscaling service's role use it."

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/\\S+$", var.kms_key_arn))
    error_message = "A key's ARN looks like arn:aws:kms:eu-central-1:123456789012:key/…; an alias won't do in rights."
  }
}

variable "workers" {
  type = object({
    min = number
    max = number
  })
  default     = null
  description = "How many workers the autoscaling group may have. Default: as many as the list has. Theirs are their hosts' names."

  validation {
    condition     = var.workers == null || try(var.workers.min >= 0 && var.workers.max >= var.workers.min, false)
    error_message = "workers.min is at least 0, workers.max at least that."
  }
}

variable "leave_timeout" {
  type        = number
  default     = 300
  description = "Seconds that a machine that is being terminated has to leave the cluster well; it goes on as soon as it has."

  validation {
    condition     = var.leave_timeout >= 30 && var.leave_timeout <= 7200
    error_message = "30 to 7200 seconds."
  }
}

variable "bastion" {
  type = object({
    kind          = string
    instance_type = optional(string, "t3.micro")
    cidrs         = optional(list(string), [])
    network       = optional(string, "10.99.0.0/24")
    ami_id        = optional(string)
    peers = optional(map(object({
      public_key = string
      address    = string
    })), {})
  })
  default     = { kind = "none" }
  description = "A way in: `ssm` (Session Manager, no open port), `wireguard` (UDP 51820 from `cidrs`, for `peers` by name, each with an address of its own in `network`, whose first one is the bastion's), or `none`. Other peers replace the bastion, and with it its key."

  validation {
    condition     = contains(["none", "ssm", "wireguard"], var.bastion.kind)
    error_message = "bastion.kind: none, ssm or wireguard."
  }
  validation {
    condition     = var.bastion.kind != "wireguard" || (length(var.bastion.cidrs) > 0 && length(var.bastion.peers) > 0)
    error_message = "A bastion with WireGuard needs cidrs (from where its port is reached; [\"0.0.0.0/0\"] if you don't know) and peers."
  }
  validation {
    condition     = alltrue([for peer in values(var.bastion.peers) : can(regex("^[A-Za-z0-9+/]{43}=$", peer.public_key))])
    error_message = "bastion.peers: a public key is what `wg pubkey` prints, 44 letters of base64."
  }
  validation {
    condition = (
      length(distinct(values(var.bastion.peers)[*].address)) == length(var.bastion.peers) &&
      alltrue([for peer in values(var.bastion.peers) : try(cidrhost("${peer.address}/${split("/", var.bastion.network)[1]}", 0) == cidrhost(var.bastion.network, 0) && peer.address != cidrhost(var.bastion.network, 1), false)])
    )
    error_message = "bastion.peers: each has an address of its own in bastion.network; the first one there is the bastion's."
  }
}

variable "balancer" {
  type        = bool
  default     = false
  description = "An internal network load balancer before the servers, with addresses that stay: for DNS, joins, the API and the registry."
}

variable "dns_forwarding" {
  type        = bool
  default     = false
  description = "Route 53 Resolver sends the VPC's questions for `DC.STACK` to the cluster. Needs `balancer`."

  validation {
    condition     = !var.dns_forwarding || var.balancer
    error_message = "dns_forwarding needs balancer = true: the servers' own addresses change when they are replaced."
  }
}

variable "registry_bucket" {
  type        = bool
  default     = true
  description = "Keep the registry's images in a bucket of S3. Otherwise each server has its own, and what only a lost one had is lost."
}

variable "snapshot_bucket" {
  type        = bool
  default     = true
  description = "A bucket for snapshots that operators save. Nodes have no rights to it."
}

variable "empty_buckets" {
  type        = bool
  default     = false
  description = "Let `terraform destroy` delete buckets that are not empty."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags for all that is made."

  validation {
    condition     = length(setintersection(keys(var.tags), ["Name", "swarmer", "swarmer-cluster", "swarmer-role"])) == 0
    error_message = "Name, swarmer, swarmer-cluster and swarmer-role are set by this module: nodes find servers by them."
  }
}
