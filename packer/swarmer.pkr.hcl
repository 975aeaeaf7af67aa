# One image for four worlds: qemu/libvirt, VirtualBox, Amazon EC2 and vSphere. packer/build.sh makes what
# it needs (the agent's package, a key and a seed for the build) and starts it; see docs/image.md.
# Everything is in this one file because Packer before 1.7 loads no more than one.

variable "version" {
  type        = string
  default     = "0.0.0"
  description = "The agent's version; it names what is built."
}

variable "payload" {
  type        = string
  default     = "target/image/payload.tar"
  description = "What is installed: the agent's package, the image's files, the list of packages."
}

variable "output" {
  type        = string
  default     = "target/image"
  description = "The folder for what is built."
}

variable "base_image" {
  type        = string
  default     = "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2"
  description = "qemu: a Debian 12 cloud image. generic, not genericcloud: that one's kernel has no SATA and no Intel network cards."
}

variable "base_checksum" {
  type        = string
  default     = "file:https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS"
  description = "Its checksum: sha512:…, or file:URL."
}

variable "accelerator" {
  type        = string
  default     = "kvm"
  description = "qemu: kvm, or tcg where there is none (slow)."
}

variable "cpu_model" {
  type    = string
  default = "host"
}

variable "machine" {
  type    = string
  default = "pc"
}

variable "disk_size" {
  type    = string
  default = "6G"
}

variable "ssh_key" {
  type        = string
  default     = "target/image/build_key"
  description = "qemu: the private key of the build's own user, which is removed again."
}

variable "seed" {
  type        = string
  default     = "target/image/build_seed.iso"
  description = "qemu: the NoCloud seed that makes that user."
}

variable "debian_iso" {
  type        = string
  default     = "https://cdimage.debian.org/cdimage/archive/12.11.0/amd64/iso-cd/debian-12.11.0-amd64-netinst.iso"
  description = "VirtualBox, which has no Debian cloud image: the installer."
}

variable "debian_iso_checksum" {
  type    = string
  default = "file:https://cdimage.debian.org/cdimage/archive/12.11.0/amd64/iso-cd/SHA512SUMS"
}

variable "aws_region" {
  type    = string
  default = "eu-central-1"
}

variable "aws_instance_type" {
  type    = string
  default = "t3.small"
}

variable "aws_regions" {
  type        = list(string)
  default     = []
  description = "Regions that the AMI is copied to."
}

variable "vsphere_server" {
  type    = string
  default = "vcenter.example.com"
}

variable "vsphere_user" {
  type    = string
  default = "packer"
}

variable "vsphere_password" {
  type    = string
  default = ""
}

variable "vsphere_insecure" {
  type    = bool
  default = false
}

variable "vsphere_datacenter" {
  type    = string
  default = ""
}

variable "vsphere_cluster" {
  type    = string
  default = "cluster"
}

variable "vsphere_datastore" {
  type    = string
  default = "datastore"
}

variable "vsphere_folder" {
  type    = string
  default = ""
}

variable "vsphere_template" {
  type        = string
  default     = "debian-12-generic"
  description = "A template of Debian 12 with cloud-init, open-vm-tools, and a user for the build."
}

variable "vsphere_ssh_user" {
  type    = string
  default = "debian"
}

variable "vsphere_ssh_password" {
  type    = string
  default = ""
}

locals {
  name = "swarmer-${var.version}"
  # The build's user goes with the machine's last breath: the shutdown itself needs it.
  farewell = "sudo systemd-run -q --no-block sh -c 'sleep 1; userdel -rf packer; rm -rf /etc/sudoers.d/90-cloud-init-users /etc/sudoers.d/packer /tmp/*; systemctl poweroff'"
}

source "qemu" "image" {
  iso_url              = var.base_image
  iso_checksum         = var.base_checksum
  disk_image           = true
  use_backing_file     = false
  format               = "qcow2"
  disk_size            = var.disk_size
  disk_interface       = "virtio"
  disk_compression     = true
  net_device           = "virtio-net"
  accelerator          = var.accelerator
  machine_type         = var.machine
  headless             = true
  memory               = 1024
  cpus                 = 2
  vm_name              = "${local.name}.qcow2"
  output_directory     = "${var.output}/${local.name}"
  ssh_username         = "packer"
  ssh_private_key_file = var.ssh_key
  ssh_timeout          = "15m"
  shutdown_command     = local.farewell
  # A -drive of one's own replaces all of Packer's.
  qemuargs = [
    ["-cpu", var.cpu_model],
    ["-drive", "file=${var.output}/${local.name}/${local.name}.qcow2,if=virtio,cache=unsafe,discard=unmap,format=qcow2"],
    ["-drive", "file=${var.seed},if=virtio,format=raw,readonly=on"],
    ["-device", "virtio-rng-pci"],
    ["-serial", "file:${var.output}/${local.name}.console"],
  ]
}

# The same, with Vagrant's user.
source "qemu" "box" {
  iso_url              = var.base_image
  iso_checksum         = var.base_checksum
  disk_image           = true
  use_backing_file     = false
  format               = "qcow2"
  disk_size            = var.disk_size
  disk_interface       = "virtio"
  disk_compression     = true
  net_device           = "virtio-net"
  accelerator          = var.accelerator
  machine_type         = var.machine
  headless             = true
  memory               = 1024
  cpus                 = 2
  vm_name              = "${local.name}-box.qcow2"
  output_directory     = "${var.output}/${local.name}-box"
  ssh_username         = "packer"
  ssh_private_key_file = var.ssh_key
  ssh_timeout          = "15m"
  shutdown_command     = local.farewell
  qemuargs = [
    ["-cpu", var.cpu_model],
    ["-drive", "file=${var.output}/${local.name}-box/${local.name}-box.qcow2,if=virtio,cache=unsafe,discard=unmap,format=qcow2"],
    ["-drive", "file=${var.seed},if=virtio,format=raw,readonly=on"],
    ["-device", "virtio-rng-pci"],
    ["-serial", "file:${var.output}/${local.name}-box.console"],
  ]
}

source "virtualbox-iso" "box" {
  iso_url              = var.debian_iso
  iso_checksum         = var.debian_iso_checksum
  guest_os_type        = "Debian_64"
  guest_additions_mode = "disable"
  hard_drive_interface = "sata"
  iso_interface        = "sata"
  disk_size            = 6144
  memory               = 1024
  cpus                 = 2
  headless             = true
  http_directory       = "packer/virtualbox"
  boot_wait            = "10s"
  boot_command = [
    "<esc><wait>",
    "auto url=http://{{ .HTTPIP }}:{{ .HTTPPort }}/preseed.cfg hostname=swarmer domain= priority=critical<enter>",
  ]
  vm_name          = local.name
  output_directory = "${var.output}/${local.name}-virtualbox"
  ssh_username     = "packer"
  ssh_password     = "packer"
  ssh_timeout      = "60m"
  shutdown_command = local.farewell
}

source "amazon-ebs" "image" {
  region          = var.aws_region
  ami_regions     = var.aws_regions
  instance_type   = var.aws_instance_type
  ami_name        = "${local.name}-{{timestamp}}"
  ami_description = "Swarmer ${var.version}: a node of a cluster, configured by its user-data"
  ena_support     = true
  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    # Debian's.
    owners      = ["136693071363"]
    most_recent = true
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = 8
    volume_type           = "gp3"
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  # The node's data disk: blank, so the node makes it its own at its first boot.
  ami_block_device_mappings {
    device_name           = "/dev/xvdb"
    volume_size           = 20
    volume_type           = "gp3"
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  ssh_username = "admin"
  tags = {
    Name    = local.name
    swarmer = var.version
  }
}

source "vsphere-clone" "image" {
  vcenter_server      = var.vsphere_server
  username            = var.vsphere_user
  password            = var.vsphere_password
  insecure_connection = var.vsphere_insecure
  datacenter          = var.vsphere_datacenter
  cluster             = var.vsphere_cluster
  datastore           = var.vsphere_datastore
  folder              = var.vsphere_folder
  template            = var.vsphere_template
  vm_name             = local.name
  CPUs                = 2
  RAM                 = 1024
  ssh_username        = var.vsphere_ssh_user
  ssh_password        = var.vsphere_ssh_password
  shutdown_command    = "sudo systemd-run -q --no-block sh -c 'sleep 1; userdel -rf ${var.vsphere_ssh_user}; rm -rf /etc/sudoers.d/90-cloud-init-users /tmp/*; systemctl poweroff'"
  convert_to_template = true
}

build {
  sources = [
    "source.qemu.image",
    "source.qemu.box",
    "source.virtualbox-iso.box",
    "source.amazon-ebs.image",
    "source.vsphere-clone.image",
  ]

  provisioner "shell" {
    inline = [
      # Until cloud-init is done it holds apt's lock and the network's configuration.
      "if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi",
    ]
  }

  provisioner "file" {
    source      = var.payload
    destination = "/tmp/payload.tar"
  }

  provisioner "shell" {
    only             = ["qemu.image", "amazon-ebs.image", "vsphere-clone.image"]
    environment_vars = ["VARIANT=image"]
    inline = [
      "mkdir /tmp/payload && tar -C /tmp/payload --no-same-owner -xf /tmp/payload.tar && rm /tmp/payload.tar",
      "sudo VARIANT=$VARIANT sh /tmp/payload/provision.sh /tmp/payload",
    ]
  }

  provisioner "shell" {
    only             = ["qemu.box", "virtualbox-iso.box"]
    environment_vars = ["VARIANT=box"]
    inline = [
      "mkdir /tmp/payload && tar -C /tmp/payload --no-same-owner -xf /tmp/payload.tar && rm /tmp/payload.tar",
      "sudo VARIANT=$VARIANT sh /tmp/payload/provision.sh /tmp/payload",
    ]
  }

  # What is inside, beside what holds it.
  provisioner "file" {
    direction   = "download"
    source      = "/tmp/swarmer-image.json"
    destination = "${var.output}/${local.name}-${source.name}.json"
  }

  # EC2 stops the machine itself: the build's own key goes now, the connection stays open until then.
  provisioner "shell" {
    only   = ["amazon-ebs.image"]
    inline = ["sudo rm -rf /root/.ssh /home/*/.ssh /etc/sudoers.d/90-cloud-init-users"]
  }

  post-processor "checksum" {
    only           = ["qemu.image"]
    checksum_types = ["sha256"]
    output         = "${var.output}/${local.name}.{{.ChecksumType}}"
  }

  post-processor "vagrant" {
    only                 = ["qemu.box", "virtualbox-iso.box"]
    keep_input_artifact  = false
    # The disk in it is compressed already.
    compression_level    = 1
    output               = "${var.output}/${local.name}-{{.Provider}}.box"
    vagrantfile_template = "packer/box.Vagrantfile"
  }
}
