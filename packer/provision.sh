#!/bin/sh
# provision.sh FOLDER: turns a running Debian 12 into the image. As root, in the machine that packer
# started. FOLDER holds the package of the agent (swarmer.deb), packages.txt and the tree image/.
set -eu
files=$1
# box: with Vagrant's own user, for machines that only their owner's network reaches.
variant=${VARIANT:-image}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# Units are for the next boot. Telling this one's systemd of each takes seconds where all is emulated.
export SYSTEMD_OFFLINE=1
# Nothing that is installed starts here: it is not configured yet.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT

echo "provision: packages"
wanted=$(grep -v '^#' "$files/packages.txt")
if ! dpkg-query -W -f '${Status}\n' $wanted 2>/dev/null | grep -vq '^install ok installed$' &&
    dpkg-query -W $wanted >/dev/null 2>&1; then
    echo "provision: all are there"
else
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends $wanted >/dev/null
fi
for unwanted in unattended-upgrades needrestart ifupdown netplan.io; do
    dpkg-query -W $unwanted >/dev/null 2>&1 && apt-get -qq purge -y $unwanted >/dev/null
done

echo "provision: files"
cp -r --preserve=mode "$files/image/." /
chown -R root:root /etc/systemd /etc/docker /etc/initramfs-tools /etc/cloud /etc/ssh /usr/lib/swarmer
mkdir -p /data /var/log/journal
dpkg -i "$files/swarmer.deb" >/dev/null
# The agent's registry is its own child: the package's service would only hold port 5000.
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer man-db.timer \
    e2scrub_reap.service docker-registry.service systemd-growfs-root.service getty@tty1.service serial-getty@ttyS0.service
systemctl -q enable systemd-networkd systemd-resolved systemd-timesyncd ssh docker swarmer.service swarmer.path \
    swarmer-data.service swarmer-console@tty1.service swarmer-console@ttyS0.service
# The root is never remounted: it is a memory's view of what the image holds.
: >/etc/fstab
ln -sf /run/systemd/resolve/resolv.conf /etc/resolv.conf
echo swarmer >/etc/hostname
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
printf 'Swarmer %s\n' "$(swarmer --version | cut -d' ' -f2)" >/etc/motd
rm -f /etc/initramfs-tools/modules /etc/systemd/network/*cloud-init* /etc/netplan/* /etc/network/interfaces.d/*

if [ "$variant" = box ]; then
    echo "provision: Vagrant's user"
    id vagrant >/dev/null 2>&1 || useradd -m -s /bin/bash -c Vagrant vagrant
    echo 'vagrant ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/vagrant
    chmod 440 /etc/sudoers.d/vagrant
    install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh
    install -m 600 -o vagrant -g vagrant "$files/vagrant.pub" /home/vagrant/.ssh/authorized_keys
fi

echo "provision: initramfs and boot loader"
# One kernel is enough for a root that is never upgraded.
update-initramfs -u -k all >/dev/null
update-grub 2>/dev/null
sh "$files/manifest.sh" "$variant" >/usr/share/swarmer-image.json
cp /usr/share/swarmer-image.json /tmp/swarmer-image.json

echo "provision: nothing of this machine stays"
SYSTEMD_OFFLINE=0 systemctl -q stop docker.socket docker containerd 2>/dev/null || true
cloud-init clean --logs >/dev/null 2>&1 || true
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/cloud /var/lib/docker/* /var/lib/containerd/* /var/lib/swarmer/* /var/log/journal/* \
    /var/log/*.log /var/log/apt /var/cache/debconf/*-old /var/cache/man /root/.ssh /root/.bash_history /etc/swarmer/* \
    /etc/ssh/ssh_host_*_key* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dhcp/* "$files"
find /var/lib/systemd/timesync -type f -delete 2>/dev/null || true
# Empty, not missing: its first boot is no "first boot", which would reset what is enabled.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
fstrim / 2>/dev/null || true
sync
