variable "file" {
  type        = string
  default     = null
  description = "The cluster's `servers.yml`. A machine with an `ip` has that address; one without asks DHCP, and then `join` says how nodes find each other."
}

variable "cluster" {
  type        = any
  default     = null
  description = "Instead of `file`: the same as an object."
}

variable "server_token" {
  type        = string
  sensitive   = true
  description = "What `swarmer token new` prints."
}

variable "worker_token" {
  type        = string
  default     = ""
  sensitive   = true
  description = "What `swarmer token derive worker` prints. Needed if there are workers."
}

variable "token_in_guestinfo" {
  type        = bool
  default     = true
  description = "Give a machine its token in a key of guestinfo of its own, which the node wipes when it has read it. Otherwise the token is in its user-data, which stays."
}

variable "join" {
  type        = list(string)
  default     = null
  description = "Where nodes look for servers. Default: with `discovery` by their tag, else what the list says under `join`, else the servers' addresses."
}

variable "discovery" {
  type = object({
    host       = string
    thumbprint = optional(string)
    ca_file    = optional(string)
  })
  default     = null
  description = "Let nodes find each other by their tag, at this vCenter, known by its certificate's `thumbprint` or by the authority in a `ca_file` on the node. Needed where servers have no `ip`."

  validation {
    condition     = var.discovery == null || try((var.discovery.thumbprint == null) || (var.discovery.ca_file == null), false)
    error_message = "discovery: thumbprint or ca_file, not both."
  }
  validation {
    condition     = var.discovery == null || (nonsensitive(var.discovery_user != "") && nonsensitive(var.discovery_password != ""))
    error_message = "discovery needs discovery_user and discovery_password: of a user who may only read machines and tags."
  }
}

variable "discovery_user" {
  type        = string
  default     = ""
  sensitive   = true
  description = "Who asks for machines by tag. It reaches nodes in guestinfo, not in user-data."
}

variable "discovery_password" {
  type        = string
  default     = ""
  sensitive   = true
  description = "Its password."
}

variable "settings" {
  type        = any
  default     = {}
  description = "More of the nodes' one file: `dns`, `docker`, `registry`, `log`, `meta`, `listen`, `timing`."
}

variable "datacenter" {
  type        = string
  description = "The datacenter's name."
}

variable "compute_cluster" {
  type        = string
  description = "The name of the cluster of hosts that the machines run on."
}

variable "datastore" {
  type        = string
  description = "Where the machines' disks are."
}

variable "networks" {
  type        = list(string)
  description = "The machines' networks, in the order of their cards: the first is `eth0`. The list's `interface` says which of them is `admin_network`."

  validation {
    condition     = length(var.networks) >= 1 && length(var.networks) <= 10
    error_message = "A machine has one to ten networks."
  }
}

variable "template" {
  type        = string
  default     = null
  description = "The template that the machines are cloned from; docs/vsphere.md makes `swarmer-VERSION`. Another one replaces no machine by itself."

  validation {
    condition     = (var.template == null) != (var.iso == null)
    error_message = "Give either template or iso."
  }
}

variable "iso" {
  type = object({
    path      = string
    datastore = optional(string)
    uploads   = optional(map(string), {})
  })
  default     = null
  description = "Instead of a template: boot from our ISO. `path` on its `datastore` (default: the machines'). `uploads` puts local files there, once, by the paths that they get; keep an entry for as long as a machine boots from it."

  validation {
    condition     = var.iso == null || try(endswith(var.iso.path, ".iso") && !startswith(var.iso.path, "/"), false)
    error_message = "iso.path: a path on the datastore without a slash before it, as in swarmer/swarmer-0.1.0.iso."
  }
  validation {
    condition     = alltrue([for file in values(try(var.iso.uploads, {})) : fileexists(file)])
    error_message = "iso.uploads: there is no such file; `make iso` makes one."
  }
}

variable "guest_id" {
  type        = string
  default     = "debian11_64Guest"
  description = "With `iso`: the guest's kind, as vSphere knows it."
}

variable "folder" {
  type        = string
  default     = null
  description = "A folder for the machines, made below the datacenter's `vm`. Default: `STACK-DC`."
}

variable "resource_pool" {
  type        = string
  default     = null
  description = "An existing resource pool. Default: one is made for this cluster, named `STACK-DC`."
}

variable "tag_category" {
  type = object({
    name   = optional(string, "swarmer")
    create = optional(bool, true)
  })
  default     = {}
  description = "The category of the machines' tag, which is named `STACK-DC`. A second cluster in the same vCenter uses the first's: `create = false`."
}

variable "anti_affinity" {
  type        = bool
  default     = true
  description = "Ask DRS to keep the servers on different hosts."
}

variable "anti_affinity_mandatory" {
  type        = bool
  default     = false
  description = "Rather leave a server off than put it on another's host."
}

variable "wait_for_address" {
  type        = number
  default     = 5
  description = "Minutes to wait for each machine's address, told by its tools; 0: not at all."

  validation {
    condition     = var.wait_for_address >= 0 && floor(var.wait_for_address) == var.wait_for_address
    error_message = "Whole minutes, or 0."
  }
}

variable "extra_config" {
  type        = map(string)
  default     = {}
  description = "More settings of each machine (`extraConfig`)."

  validation {
    condition     = length([for key in keys(var.extra_config) : key if startswith(key, "guestinfo.userdata") || startswith(key, "guestinfo.metadata")]) == 0
    error_message = "guestinfo.userdata and guestinfo.metadata are set by this module."
  }
}
